// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Squared maximum mean discrepancy (Gretton et al., "A kernel two-sample test", 2012),
//   MMD^2(X, Y) = E k(X, X') + E k(Y, Y') - 2 E k(X, Y),
// with a sum of Gaussian kernels, k(x, y) = sum_b exp(-||x - y||^2 / (2 h_b^2)): zero only for equal
// distributions. A bandwidth h far from the samples' distances sees nothing; several of them see several
// scales, and the median distance is a usual choice where none is known.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <vrfm/core/fast_math.hpp>
#include <vrfm/metrics/detail/fixed_sum.hpp>
#include <vrfm/metrics/detail/pairwise.hpp>
#include <vrfm/metrics/detail/samples.hpp>
#include <vrfm/metrics/detail/subset.hpp>
#include <vrfm/metrics/pair_estimate.hpp>

namespace vrfm {

namespace detail::metrics {

/// scale[b] = 1 / (2 h_b^2)
template <class T>
struct KernelScales {
  static constexpr int most = 16;
  int count = 0;
  T scale[std::size_t(most)] = {};
};

/// sum_i k(x_i, y) of row y of `points`; if `without_self`, row y of `points` is x_y and left out.
template <class T, int width>
struct KernelSum {
  Matrix<const T> columns, points;
  KernelScales<T> scales;
  bool without_self;

  KOKKOS_FUNCTION double operator()(std::int64_t row) const {
    const int self = static_cast<int>(row);
    const T* y = points.row(self);
    T squares[std::size_t(width)], kernel[std::size_t(width)];
    double sum[std::size_t(width)];
    for (int l = 0; l < width; ++l) sum[l] = 0;
    for (int first = 0; first < columns.cols; first += width) {
      const int count = math::minimum(width, columns.cols - first);
      squared_distances(columns, first, count, y, squares);
      for (int b = 0; b < scales.count; ++b) {
        const T scale = scales.scale[b];
        // Two loops: with the conversion inside, compilers leave the exponential scalar.
        VRFM_INDEPENDENT_ITERATIONS
        for (int l = 0; l < count; ++l) kernel[l] = fast::exp(-scale * squares[l]);
        if (without_self && self >= first && self < first + count) kernel[self - first] = T(0);
        VRFM_INDEPENDENT_ITERATIONS
        for (int l = 0; l < count; ++l) sum[l] += static_cast<double>(kernel[l]);
      }
    }
    double total = 0;
    for (int l = 0; l < width; ++l) total += sum[l];
    return total;
  }
};

/// Row i of a lower triangle without its diagonal: || x_i - x_j || for j < i.
struct TriangleRow {
  Matrix<const double> x;
  double* distances;

  KOKKOS_FUNCTION void operator()(int i) const {
    double* out = distances + std::int64_t(i) * (i - 1) / 2;
    for (int j = 0; j < i; ++j) {
      double square = 0;
      for (int d = 0; d < x.cols; ++d) square += (x(i, d) - x(j, d)) * (x(i, d) - x(j, d));
      out[j] = math::sqrt(square);
    }
  }
};

}  // namespace detail::metrics

/// The median of the distances between the rows of `a` [N][D] and `b` [M][D] together, a bandwidth for
/// squared_mmd in the samples' unit: of all pairs of at most 1,000 rows, which are drawn if there are more and
/// depend on `seed` alone. MMDs under different bandwidths do not compare: take the median once. Throws
/// std::invalid_argument for empty or not finite samples, different dimensions, a seed of more than 32 bits, and
/// if half of the pairs or more are equal, so that the median is zero.
template <ExecutionSpace Exec, class A, class B>
double median_distance(const Exec& exec, const A& a, const B& b, std::uint64_t seed = 0) {
  using T = detail::metrics::Value<A>;
  static_assert(std::is_same_v<T, detail::metrics::Value<B>>,
                "vrfm: a metric needs samples of one type, float or double");
  const auto x = detail::metrics::samples(exec, "median_distance: a", a);
  const auto y = detail::metrics::samples(exec, "median_distance: b", b);
  detail::metrics::expect_same_columns("a", x, "b", y);
  const RandomStream stream(narrow<std::uint32_t>(seed, "median_distance: the seed"),
                            Purpose::subset);
  constexpr int most = 1000;
  const int all = narrow<int>(std::int64_t(x.rows) + y.rows, "median_distance: the number of rows");
  const int rows = math::minimum(all, most);
  const auto drawn = detail::metrics::draw_subset(stream, 0, 0, all, rows);
  std::vector<int> from_x, from_y;
  for (const int row : drawn) {
    if (row < x.rows) from_x.push_back(row);
    if (row >= x.rows) from_y.push_back(row - x.rows);
  }
  const Table<double, Exec> pooled(
      Kokkos::view_alloc("vrfm::metrics::pooled", exec, Kokkos::WithoutInitializing),
      static_cast<std::size_t>(rows), static_cast<std::size_t>(x.cols));
  const int split = static_cast<int>(from_x.size());
  detail::metrics::take_rows(exec, x, from_x, matrix(pooled).row_range(0, split));
  detail::metrics::take_rows(exec, y, from_y, matrix(pooled).row_range(split, rows - split));
  const Array<double, Exec> distances(
      Kokkos::view_alloc("vrfm::metrics::distances", exec, Kokkos::WithoutInitializing),
      static_cast<std::size_t>(rows) * static_cast<std::size_t>(rows - 1) / 2);
  launch_each(exec, "vrfm::metrics::triangle", rows,
              detail::metrics::TriangleRow{matrix(pooled), distances.data()});
  const auto host = to_host(exec, distances);
  double* const begin = host.data();
  double* const middle = begin + host.size() / 2;
  std::nth_element(begin, middle, begin + host.size());
  // Of an even number, the mean of the two in the middle.
  const double below = host.size() % 2 == 0 ? *std::max_element(begin, middle) : *middle;
  const double median = (below + *middle) / 2;
  expect(median > 0 && std::isfinite(median),
         "median_distance: expected a median that is positive and finite, but it is ", median);
  return median;
}

/// MMD^2 between the rows of `a` [N][D] and of `b` [M][D], between 0 and twice the number of bandwidths if
/// biased. The bandwidths h_b, one to 16, have the samples' unit. Distances and exponentials are taken in the
/// samples' type, sums in double. O((N + M)^2 D), which ranks that all have the samples share. Throws
/// std::invalid_argument for empty or not finite samples, different dimensions, no or too many bandwidths or one
/// that is not positive and finite, or fewer than two samples when unbiased.
template <ExecutionSpace Exec, class A, class B, class Comm = SelfCommunicator>
double squared_mmd(const Exec& exec, const A& a, const B& b, const std::vector<double>& bandwidths,
                   PairEstimate estimate = PairEstimate::biased, const Comm& communicator = {}) {
  using T = detail::metrics::Value<A>;
  static_assert(std::is_same_v<T, detail::metrics::Value<B>>,
                "vrfm: a metric needs samples of one type, float or double");
  const auto x = detail::metrics::samples(exec, "squared_mmd: a", a);
  const auto y = detail::metrics::samples(exec, "squared_mmd: b", b);
  detail::metrics::expect_same_columns("a", x, "b", y);
  using Scales = detail::metrics::KernelScales<T>;
  expect(!bandwidths.empty() && bandwidths.size() <= std::size_t(Scales::most),
         "squared_mmd: expected one to ", Scales::most, " bandwidths, but got ", bandwidths.size());
  Scales scales;
  for (const double bandwidth : bandwidths) {
    const T scale = static_cast<T>(0.5 / (bandwidth * bandwidth));
    expect(bandwidth > 0 && scale > T(0) && math::is_finite(scale),
           "squared_mmd: a bandwidth must be positive and finite, as its inverse square, but is ",
           bandwidth);
    scales.scale[scales.count++] = scale;
  }
  const bool unbiased = estimate == PairEstimate::unbiased;
  expect(!unbiased || (x.rows > 1 && y.rows > 1),
         "squared_mmd: the unbiased estimate needs two samples of each, but got ", x.rows, " and ",
         y.rows);
  const auto x_columns = detail::metrics::transposed(exec, x);
  const auto y_columns = detail::metrics::transposed(exec, y);
  using Sum = detail::metrics::KernelSum<T, detail::metrics::chunk_width<Exec>>;
  const double n = x.rows, m = y.rows, excluded = unbiased ? 1 : 0;
  const auto sum = [&](const auto& columns, const auto& points, bool without_self) {
    return detail::metrics::fixed_sum(exec, "vrfm::metrics::squared_mmd", points.rows,
                                      Sum{matrix(columns), points, scales, without_self},
                                      communicator);
  };
  const double xy = sum(x_columns, y, false), xx = sum(x_columns, x, unbiased),
               yy = sum(y_columns, y, unbiased);
  return xx / (n * (n - excluded)) + yy / (m * (m - excluded)) - 2 * xy / (n * m);
}

}  // namespace vrfm
