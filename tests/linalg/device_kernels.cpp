// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kernels by which BatchContext multiplies and sums on devices, by teams of every size that the
// execution space has: products of small whole numbers, which every type here holds and sums
// exactly, and sums in the very order that is promised.
#include <cmath>
#include <limits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/linalg/detail/column_sums.hpp>
#include <vrfm/linalg/engines/tiled.hpp>

namespace vrfm::test {

/// c = 2 c + i - j
template <class T>
struct TiledEpilogue {
  Matrix<T> c;
  KOKKOS_FUNCTION void operator()(int i, int j) const {
    c(i, j) = T(float(2 * c(i, j) + float(i - j)));
  }
};

namespace {

/// Calls use(run) for teams of several sizes; run() is f in `teams` of them.
template <class Exec, class F, class Use>
void with_teams(const F& f, int teams, const Use& use) {
  const int most = Kokkos::TeamPolicy<Exec>(1, 1).team_size_max(f, Kokkos::ParallelForTag());
  for (const int size : {1, 2, 3, 64, 128, 1024}) {
    if (size > most) break;
    INFO("teams of " << size);
    use([&] {
      if (teams == 0) return;
      Kokkos::TeamPolicy<Exec> policy(teams, size);
      policy.set_scratch_size(0, Kokkos::PerTeam(static_cast<int>(F::scratch_bytes + 16)));
      Kokkos::parallel_for("vrfm::test::teams", policy, f);
    });
  }
}

std::vector<double> whole(Numbers& numbers, int rows, int cols) {
  auto values = numbers.take(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
  for (double& value : values) value = std::floor(16 * value);
  return values;
}

/// 2 (before + L R) + i - j, L and R as the product reads them.
template <class Left, class Right>
std::vector<double> product(int rows, int cols, int depth, const Left& left, const Right& right,
                            std::vector<double> sums) {
  const Matrix<double> c(sums.data(), rows, cols, cols);
  for (int i = 0; i < rows; ++i) {
    for (int k = 0; k < depth; ++k) {
      const double factor = left(i, k);
      for (int j = 0; j < cols; ++j) c(i, j) += factor * right(k, j);
    }
    for (int j = 0; j < cols; ++j) c(i, j) = 2 * c(i, j) + (i - j);
  }
  return sums;
}

/// op(A) op(B) = expected for both updates, by teams of every size.
template <Op OpA, Op OpB, class Exec, class T, class A, class B, class Left, class Right>
void check_tiles(const A& a, const B& b, int rows, int cols, int depth, const Left& left,
                 const Right& right, Numbers& numbers) {
  Padded<T, Exec> c(rows, cols);
  using Tiles = detail::GemmTiles<Compute::float32, OpA, OpB, A, B, T, TiledEpilogue<T>>;
  for (const Update update : {Update::overwrite, Update::accumulate}) {
    const bool adds = update == Update::accumulate;
    const auto before = whole(numbers, rows, cols);
    const std::vector<double> zeros(before.size()),
        nans(before.size(), std::numeric_limits<double>::quiet_NaN());
    auto expected = product(rows, cols, depth, left, right, adds ? before : zeros);
    // As the type of C holds it: the sum, then what the epilogue makes of that.
    if (std::is_same_v<T, BFloat16>) {
      for (std::size_t e = 0; e < expected.size(); ++e) {
        const double shift = static_cast<int>(e) / cols - static_cast<int>(e) % cols;
        const double sum = double(BFloat16(float((expected[e] - shift) / 2)));
        expected[e] = double(BFloat16(float(2 * sum + shift)));
      }
    }
    const Tiles tiles{a, b, c.matrix(), update, {c.matrix()}};
    with_teams<Exec>(tiles, tiles.tiles(), [&](const auto& run) {
      c.write(adds ? before : nans);
      run();
      INFO(rows << " x " << cols << ", depth " << depth << ", accumulate " << adds);
      CHECK(c.read() == expected);
    });
  }
}

template <Op OpA, Op OpB, class Exec, class Operand, class T>
void check_matrices(Numbers& numbers) {
  // Tiles cut off and not; a depth of several blocks, of none; no C.
  const int extents[][3] = {{5, 70, 33}, {16, 64, 64}, {17, 5, 40}, {64, 64, 0},
                            {1, 1, 7},   {70, 65, 35}, {0, 9, 3},   {3, 0, 4}};
  for (const auto& e : extents) {
    const int rows = e[0], cols = e[1], depth = e[2];
    const bool along_a = OpA == Op::none, along_b = OpB == Op::transpose;
    const int a_rows = along_a ? rows : depth, a_cols = along_a ? depth : rows;
    const int b_rows = along_b ? cols : depth, b_cols = along_b ? depth : cols;
    const auto left = whole(numbers, a_rows, a_cols), right = whole(numbers, b_rows, b_cols);
    const Padded<Operand, Exec> a(a_rows, a_cols, left, 1), b(b_rows, b_cols, right, 2);
    check_tiles<OpA, OpB, Exec, T>(
        Matrix<const Operand>(a.matrix()), Matrix<const Operand>(b.matrix()), rows, cols, depth,
        [&](int i, int k) { return left[std::size_t(along_a ? i * a_cols + k : k * a_cols + i)]; },
        [&](int k, int j) { return right[std::size_t(along_b ? j * b_cols + k : k * b_cols + j)]; },
        numbers);
  }
}

template <class Exec, class T, class X = T>
void check_patches(int samples, const Window& window, int channels, bool turned, int others) {
  Numbers numbers(72);
  Patches<double> exact{Matrix<const double>(nullptr, 0, channels, channels), window, turned};
  exact.x.rows = samples * exact.source_pixels();
  const auto image = whole(numbers, exact.x.rows, channels);
  exact.x.data = image.data();
  const Padded<X, Exec> x(exact.x.rows, channels, image, 2);
  const Patches<X> patches{x.matrix(), window, turned};
  const int rows = exact.rows(), cols = exact.cols();
  {
    const auto factor = whole(numbers, others, cols);
    const Padded<X, Exec> weights(others, cols, factor);
    check_tiles<Op::none, Op::transpose, Exec, T>(
        patches, Matrix<const X>(weights.matrix()), rows, others, cols, exact,
        [&](int k, int j) { return factor[std::size_t(j * cols + k)]; }, numbers);
  }
  const auto factor = whole(numbers, rows, others);
  const Padded<X, Exec> gradient(rows, others, factor);
  check_tiles<Op::transpose, Op::none, Exec, T>(
      Matrix<const X>(gradient.matrix()), patches, others, cols, rows,
      [&](int i, int k) { return factor[std::size_t(k * others + i)]; }, exact, numbers);
}

/// The sum of a column as its parts are added: in halves.
template <class S>
S tree(std::vector<S> parts) {
  for (std::size_t half = parts.size() / 2; half > 0; half /= 2) {
    for (std::size_t p = 0; p < half; ++p) parts[p] += parts[p + half];
  }
  return parts[0];
}

template <class Exec, class T, class S>
void check_sums(int rows, int cols, int width) {
  Numbers numbers(73);
  const auto n = static_cast<std::size_t>(cols), m = static_cast<std::size_t>(rows);
  const auto values = numbers.take(m * n), before = numbers.take(n);
  const Padded<T, Exec> x(rows, cols, values);
  Padded<S, Exec> sums(1, cols);
  for (const Update update : {Update::overwrite, Update::accumulate}) {
    const bool adds = update == Update::accumulate;
    std::vector<double> expected;
    for (std::size_t j = 0; j < n; ++j) {
      std::vector<S> parts(std::size_t(1024 / width));
      for (std::size_t i = 0; i < m; ++i) parts[i % parts.size()] += S(T(values[i * n + j]));
      expected.push_back(double(adds ? S(before[j]) + tree(parts) : tree(parts)));
    }
    const detail::TeamColumnSums<Element<T>, S> body(rows, cols, Element<T>{x.matrix()},
                                                     sums.data(), update);
    with_teams<Exec>(body, body.teams(), [&](const auto& run) {
      sums.write(adds ? before : std::vector<double>(n, std::numeric_limits<double>::quiet_NaN()));
      run();
      INFO(rows << " x " << cols << ", accumulate " << adds);
      CHECK(sums.read() == expected);
    });
  }
}

}  // namespace
}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("teams multiply tile by tile", "[linalg][device]", SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  Numbers numbers(71);
  check_matrices<Op::none, Op::none, Exec, T, T>(numbers);
  check_matrices<Op::none, Op::transpose, Exec, T, T>(numbers);
  check_matrices<Op::transpose, Op::none, Exec, T, T>(numbers);
  check_matrices<Op::transpose, Op::transpose, Exec, T, T>(numbers);
}

TEMPLATE_LIST_TEST_CASE("teams multiply bfloat16 matrices tile by tile", "[linalg][device]",
                        Spaces) {
  Numbers numbers(74);
  check_matrices<Op::none, Op::transpose, TestType, BFloat16, float>(numbers);
  check_matrices<Op::transpose, Op::none, TestType, BFloat16, BFloat16>(numbers);
}

TEMPLATE_LIST_TEST_CASE("teams multiply patches tile by tile", "[linalg][device]",
                        SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  check_patches<Exec, T>(2, {9, 7, 3, 2, 1}, 5, false, 70);
  check_patches<Exec, T>(2, {7, 9, 3, 2, 1}, 6, true, 33);
  check_patches<Exec, T>(1, {6, 5, 3, 1, 1}, 20, true, 3);
  check_patches<Exec, T>(0, {4, 4, 3, 1, 1}, 3, false, 2);
}

TEMPLATE_LIST_TEST_CASE("teams multiply patches of bfloat16 tile by tile", "[linalg][device]",
                        Spaces) {
  check_patches<TestType, float, BFloat16>(2, {9, 7, 3, 2, 1}, 5, false, 70);
  check_patches<TestType, BFloat16, BFloat16>(2, {7, 9, 3, 2, 1}, 6, true, 33);
}

TEMPLATE_LIST_TEST_CASE("teams add columns in parts, and those as a tree", "[linalg][device]",
                        SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  check_sums<Exec, T, T>(0, 4, 4);
  check_sums<Exec, T, T>(1, 3, 4);
  check_sums<Exec, T, double>(9000, 1, 1);
  check_sums<Exec, T, T>(1300, 2, 2);
  check_sums<Exec, T, T>(1500, 19, 8);
  check_sums<Exec, T, double>(128, 16, 8);
  check_sums<Exec, T, T>(5, 0, 1);
}
