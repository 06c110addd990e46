// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of patches by way of gathered chunks, in buffers that hold all rows at once, several
// chunks with a shorter last one, or too little. Operands are small whole numbers, which every type
// here holds and sums exactly: so the result must be exact.
#include <cmath>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/linalg/batch_context.hpp>

namespace vrfm::test {

/// c = 2 c + i - j
template <class T>
struct GatheredEpilogue {
  Matrix<T> c;
  KOKKOS_FUNCTION void operator()(int i, int j) const {
    c(i, j) = T(2) * c(i, j) + T(static_cast<sum_type<T>>(i - j));
  }
};

namespace {

struct Convolution {
  int samples;
  Window window;
  int channels, channel_gap;
  bool transposed;
  int others;  // columns of C, or rows of it
};

// Channels that are copied in 16 bytes and ones that are not, by their number or by what lies between
// the pixels; several chunks; strides, and those transposed; a last chunk of one row; nothing; volumes.
const Convolution convolutions[] = {{2, {9, 7, 3, 2, 1}, 5, 1, false, 70},
                                    {3, {23, 21, 3, 1, 1}, 8, 8, false, 9},
                                    {3, {20, 15, 3, 1, 1}, 8, 3, true, 12},
                                    {2, {19, 19, 3, 2, 1}, 16, 0, true, 33},
                                    {1, {43, 3, 2, 1, 0}, 3, 0, true, 4},
                                    {0, {4, 4, 3, 1, 1}, 3, 0, false, 5},
                                    {2, {12, 12, 5, 1, 2}, 16, 0, false, 16},
                                    {2, Window::over({3, 4, 5}, 3, 2, 1), 8, 0, true, 9},
                                    {1, Window::over({5, 4, 6}, 3, 1, 1), 4, 1, false, 7}};

std::vector<double> whole(Numbers& numbers, int rows, int cols) {
  auto values = numbers.take(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
  for (double& value : values) value = std::floor(16 * value);
  return values;
}

/// C = P M^T (forward) or C = M^T P, C of Sum, with operands of T that are gathered as `Operand` and room for `fit`
/// rows of chunks.
template <bool forward, class Exec, class T, class Operand, class Sum>
void check(const Convolution& k, Update update, int fit) {
  Numbers numbers(61);
  Patches<T> patches{Matrix<const T>(nullptr, 0, k.channels, k.channels), k.window, k.transposed};
  const int pixels = k.samples * patches.source_pixels();
  const auto image = whole(numbers, pixels, k.channels);
  Padded<T, Exec> x(pixels, k.channels, image, k.channel_gap);
  patches.x = x.matrix();
  const int rows = patches.rows(), cols = patches.cols();
  const int c_rows = forward ? rows : k.others, c_cols = forward ? k.others : cols;
  const int m_rows = forward ? k.others : rows, m_cols = forward ? cols : k.others;
  const auto factor = whole(numbers, m_rows, m_cols), before = whole(numbers, c_rows, c_cols);
  const Padded<T, Exec> m(m_rows, m_cols, factor, 2);
  Padded<Sum, Exec> c(c_rows, c_cols, 1);  // of NaN
  if (update == Update::accumulate) c.write(before);

  const auto stride = [](int n) { return Arena<Operand>::padded(static_cast<std::size_t>(n)); };
  const std::size_t copied = std::is_same_v<Operand, T> ? 0 : stride(m_cols);
  const auto fit_rows = static_cast<std::size_t>(fit);
  const std::size_t room = forward ? copied * std::size_t(k.others) + fit_rows * stride(cols)
                                   : fit_rows * (stride(cols) + copied);
  // 64-byte borders, of which a view does not always begin on one, are only a matter of speed here.
  Padded<Operand, Exec> memory(1, static_cast<int>(room) + 32, 0);
  auto* first = memory.data();
  while (reinterpret_cast<std::uintptr_t>(first) % 64 != 0) ++first;

  INFO(rows << " rows of " << cols << " columns, forward " << forward << ", room for " << fit
            << ", accumulate " << (update == Update::accumulate) << ", bytes a number "
            << sizeof(Operand));
  const BatchContext<Exec> ctx{Exec()};
  const Arena<Operand> buffer(first, room);
  const Matrix<const T> other = m.matrix();
  const GatheredEpilogue<Sum> epilogue{c.matrix()};
  bool done;
  if constexpr (forward) {
    done = detail::gathered_gemm<Op::none, Op::transpose>(ctx, buffer, patches, other, c.matrix(),
                                                          update, epilogue);
  } else {
    done = detail::gathered_gemm<Op::transpose, Op::none>(ctx, buffer, other, patches, c.matrix(),
                                                          update, epilogue);
  }
  const auto actual = c.read();
  memory.read();  // throws if anything beside it changed
  const bool fits = fit >= 128 || fit >= rows;
  // One of BFloat16 would be rounded after each chunk that adds to it.
  constexpr bool rounds = std::is_same_v<Sum, BFloat16>;
  CHECK(done == (fits && (forward || (rows > 0 && (!rounds || fit >= rows)))));
  if (!done) return;

  const Patches<double> exact{Matrix<const double>(image.data(), pixels, k.channels, k.channels),
                              k.window, k.transposed};
  std::vector<double> expected(actual.size());
  if (update == Update::accumulate) expected = before;
  const Matrix<const double> factors(factor.data(), m_rows, m_cols, m_cols);
  const Matrix<double> sums(expected.data(), c_rows, c_cols, c_cols);
  for (int i = 0; i < rows; ++i) {
    for (int n = 0; n < cols; ++n) {
      const double element = exact(i, n);
      for (int j = 0; j < k.others; ++j) {
        (forward ? sums(i, j) : sums(j, n)) += element * (forward ? factors(j, n) : factors(i, j));
      }
    }
  }
  for (int i = 0; i < c_rows; ++i) {
    for (int j = 0; j < c_cols; ++j) {
      const auto as_held = [](double sum) {
        return rounds ? double(float(BFloat16(static_cast<float>(sum)))) : sum;
      };
      sums(i, j) = as_held(2 * as_held(sums(i, j)) + as_held(i - j));
    }
  }
  CHECK(actual == expected);
}

template <class Exec, class T, class Operand, class Sum = T>
void check_all() {
  for (const Convolution& k : convolutions) {
    for (const int fit : {127, 128, 300, 2000}) {
      check<true, Exec, T, Operand, Sum>(k, Update::overwrite, fit);
      check<false, Exec, T, Operand, Sum>(k, Update::accumulate, fit);
    }
    check<true, Exec, T, Operand, Sum>(k, Update::accumulate, 260);
    check<false, Exec, T, Operand, Sum>(k, Update::overwrite, 260);
  }
}

}  // namespace
}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEST_CASE("chunks are equal, of whole tiles, and fit", "[linalg][gathered]") {
  CHECK(detail::chunk_rows(0, 0) == 0);
  CHECK(detail::chunk_rows(1, 1) == 1);
  CHECK(detail::chunk_rows(127, 126) == 0);
  CHECK(detail::chunk_rows(300, 300) == 300);
  CHECK(detail::chunk_rows(300, 299) == 256);
  CHECK(detail::chunk_rows(1025, 1024) == 640);
  CHECK(detail::chunk_rows(2'000'000'000, 7281) == 7168);
  for (const int rows : {129, 1000, 1280, 4097, 100'003}) {
    for (const int fit : {128, 129, 700, 4096}) {
      const int each = detail::chunk_rows(rows, std::size_t(fit));
      CHECK(each > 0);
      CHECK(each <= fit);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("gathered chunks multiply as patches do", "[linalg][gathered]",
                        SpacesTimesReals) {
  check_all<typename TestType::Exec, typename TestType::Real, typename TestType::Real>();
}

TEMPLATE_LIST_TEST_CASE("gathered chunks of bfloat16 multiply as patches do", "[linalg][gathered]",
                        Spaces) {
  check_all<TestType, float, BFloat16>();
  check_all<TestType, BFloat16, BFloat16, float>();
  check_all<TestType, BFloat16, float, float>();
  check_all<TestType, BFloat16, BFloat16, BFloat16>();
}
