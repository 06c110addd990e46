// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of batches of matrices: those of the same matrices one by one, for every space, for tiles, and for
// matrices whose rows lie between those of others.
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/linalg/batch_context.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

constexpr BatchCounts counts{3, 2};

/// Matrices side by side (inner) and below one another (outer), in a table with gaps.
template <class T, class Exec>
MatrixBatch<T> batch_of(const Padded<T, Exec>& table, int rows, int cols) {
  const Matrix<T> all = table.matrix();
  return {all.row_range(0, rows).col_range(0, cols), std::ptrdiff_t(rows) * all.stride, cols + 1};
}

template <class T, class Exec>
Padded<T, Exec> table_of(Numbers& numbers, int rows, int cols) {
  const int all_rows = counts.outer * rows, all_cols = counts.inner * (cols + 1);
  return Padded<T, Exec>(
      all_rows, all_cols,
      numbers.take(static_cast<std::size_t>(all_rows) * static_cast<std::size_t>(all_cols)));
}

template <Op OpA, Op OpB, class Exec, class A, class B, class T>
void check_batch(int rows, int cols, int depth, Update update) {
  CAPTURE(rows, cols, depth);
  Numbers numbers(17);
  const bool a_lies = OpA == Op::transpose, b_lies = OpB == Op::transpose;
  const int a_rows = a_lies ? depth : rows, a_cols = a_lies ? rows : depth;
  const int b_rows = b_lies ? cols : depth, b_cols = b_lies ? depth : cols;
  const auto a = table_of<A, Exec>(numbers, a_rows, a_cols);
  const auto b = table_of<B, Exec>(numbers, b_rows, b_cols);
  auto one_by_one = table_of<T, Exec>(numbers, rows, cols);
  auto together = one_by_one;  // of the same memory
  const auto before = one_by_one.read();
  const BatchContext<Exec> ctx{Exec()};
  const auto as = batch_of(a, a_rows, a_cols);
  const auto bs = batch_of(b, b_rows, b_cols);
  const auto cs = batch_of(one_by_one, rows, cols);
  detail::gemm_batch_in_turn<OpA, OpB>(ctx, counts, as, bs, cs, update);
  const auto expected = one_by_one.read();
  together.write(before);
  ctx.template gemm_batch<OpA, OpB>(counts, as, bs, cs, update);
  const auto got = together.read();
  // Sums may be in another order; on hosts they are not.
  const double tolerance =
      is_host_space<Exec> ? 0
                          : 4 * (depth + 1) * double(epsilon<float>) * (1 + largest(expected)) +
                                (std::is_same_v<T, float> ? 0 : largest(expected) / 128);
  CHECK(difference(got, expected, tolerance) == "");
  CHECK(expected != before);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a batch of products is its products one by one", "[linalg][gemm_batch]",
                        Spaces) {
  for (const auto update : {Update::overwrite, Update::accumulate}) {
    check_batch<Op::none, Op::transpose, TestType, float, float, float>(5, 7, 9, update);
    check_batch<Op::none, Op::none, TestType, float, float, float>(64, 36, 70, update);
    check_batch<Op::transpose, Op::none, TestType, float, float, float>(33, 3, 12, update);
    check_batch<Op::none, Op::transpose, TestType, BFloat16, BFloat16, float>(20, 24, 72, update);
    check_batch<Op::none, Op::none, TestType, float, BFloat16, BFloat16>(20, 24, 17, update);
  }
  check_batch<Op::none, Op::none, TestType, double, double, double>(6, 5, 4, Update::accumulate);
}

TEST_CASE("a batch of no products is nothing", "[linalg][gemm_batch]") {
  const Kokkos::DefaultExecutionSpace exec;
  const MatrixBatch<float> none{};
  const BatchContext<Kokkos::DefaultExecutionSpace> ctx(exec);
  ctx.gemm_batch<Op::none, Op::none>({0, 4}, none, none, none, Update::overwrite);
  exec.fence();
}
