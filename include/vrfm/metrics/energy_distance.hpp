// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Energy distance (Szekely and Rizzo, "Energy statistics", 2013):
//   D^2(X, Y) = 2 E|X - Y| - E|X - X'| - E|Y - Y'|,
// zero only for equal distributions, in any dimension, without a bandwidth.
#pragma once

#include <vrfm/metrics/detail/fixed_sum.hpp>
#include <vrfm/metrics/detail/pairwise.hpp>
#include <vrfm/metrics/detail/samples.hpp>
#include <vrfm/metrics/pair_estimate.hpp>

namespace vrfm {

using EnergyEstimate = PairEstimate;

namespace detail::metrics {

/// sum_i || x_i - y || of row y of `points`.
template <class T, int width>
struct DistanceSum {
  Matrix<const T> columns, points;

  KOKKOS_FUNCTION double operator()(std::int64_t row) const {
    const T* y = points.row(static_cast<int>(row));
    T squares[std::size_t(width)];
    double sum[std::size_t(width)];
    for (int l = 0; l < width; ++l) sum[l] = 0;
    for (int first = 0; first < columns.cols; first += width) {
      const int count = math::minimum(width, columns.cols - first);
      squared_distances(columns, first, count, y, squares);
      VRFM_INDEPENDENT_ITERATIONS
      for (int l = 0; l < count; ++l) sum[l] += static_cast<double>(math::sqrt(squares[l]));
    }
    double total = 0;
    for (int l = 0; l < width; ++l) total += sum[l];
    return total;
  }
};

}  // namespace detail::metrics

/// D^2 between the rows of `a` [N][D] and of `b` [M][D], in the samples' unit (SciPy's
/// energy_distance is its square root). O((N + M)^2 D), which ranks that all have the samples share. Throws
/// std::invalid_argument for empty or not finite samples, different dimensions, or fewer than two
/// samples when unbiased.
template <ExecutionSpace Exec, class A, class B, class Comm = SelfCommunicator>
double energy_distance(const Exec& exec, const A& a, const B& b,
                       EnergyEstimate estimate = EnergyEstimate::biased,
                       const Comm& communicator = {}) {
  using T = detail::metrics::Value<A>;
  static_assert(std::is_same_v<T, detail::metrics::Value<B>>,
                "vrfm: a metric needs samples of one type, float or double");
  const auto x = detail::metrics::samples(exec, "energy_distance: a", a);
  const auto y = detail::metrics::samples(exec, "energy_distance: b", b);
  detail::metrics::expect_same_columns("a", x, "b", y);
  const bool unbiased = estimate == EnergyEstimate::unbiased;
  expect(!unbiased || (x.rows > 1 && y.rows > 1),
         "energy_distance: the unbiased estimate needs two samples of each, but got ", x.rows,
         " and ", y.rows);
  const auto x_columns = detail::metrics::transposed(exec, x);
  const auto y_columns = detail::metrics::transposed(exec, y);
  using Sum = detail::metrics::DistanceSum<T, detail::metrics::chunk_width<Exec>>;
  const std::string label = "vrfm::metrics::energy_distance";
  const double n = x.rows, m = y.rows, excluded = unbiased ? 1 : 0;
  const auto sum = [&](const auto& columns, const auto& points) {
    return detail::metrics::fixed_sum(exec, label, points.rows, Sum{matrix(columns), points},
                                      communicator);
  };
  const double xy = sum(x_columns, y), xx = sum(x_columns, x), yy = sum(y_columns, y);
  return 2 * xy / (n * m) - xx / (n * (n - excluded)) - yy / (m * (m - excluded));
}

}  // namespace vrfm
