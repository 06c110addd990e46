// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Correlation matrices of features and the largest difference between two of them. The standard error of a correlation
// r is that of its influence function, for any distribution with fourth moments: with standardised x and y,
//   sqrt(mean of (x y - r (x^2 + y^2) / 2)^2 / N)
// (for normal ones (1 - r^2) / sqrt N).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <vrfm/metrics/detail/uploaded.hpp>
#include <vrfm/metrics/estimate.hpp>
#include <vrfm/metrics/feature_statistics.hpp>

namespace vrfm {

/// Of features of D elements, [D][D] each.
struct Correlations {
  std::vector<double> correlation;     ///< NaN with a constant feature
  std::vector<double> standard_error;  ///< 0 on the diagonal
};

struct CorrelationDifference {
  Estimate difference;      ///< of a less b, where its size is largest
  int row = 0, column = 0;  ///< of the two features
  /// The largest |difference| over its standard error among all D (D - 1) / 2: of 10 features that are alike 2 or 3,
  /// of 1000 about 5. Not of the same two features, in general.
  double most_errors = 0;
};

namespace detail::metrics {

/// The sum of the squared influences of features i and j < i. The pairs follow one another, row by row.
template <class T>
struct CorrelationInfluence {
  Matrix<const T> x;
  const double* mean;
  const double* scale;        // 1 / deviation
  const double* correlation;  // [D][D]

  KOKKOS_FUNCTION double operator()(std::int64_t pair) const {
    // i (i - 1) / 2 <= pair < i (i + 1) / 2
    int i = static_cast<int>((1 + math::sqrt(1 + 8 * static_cast<double>(pair))) / 2);
    while (std::int64_t(i) * (i - 1) / 2 > pair) --i;
    while (std::int64_t(i) * (i + 1) / 2 <= pair) ++i;
    const int j = static_cast<int>(pair - std::int64_t(i) * (i - 1) / 2);
    const double r = correlation[std::int64_t(i) * x.cols + j];
    double sum = 0;
    for (int n = 0; n < x.rows; ++n) {
      const double a = (static_cast<double>(x(n, i)) - mean[i]) * scale[i];
      const double b = (static_cast<double>(x(n, j)) - mean[j]) * scale[j];
      const double influence = a * b - r * (a * a + b * b) / 2;
      sum += influence * influence;
    }
    return sum;
  }
};

}  // namespace detail::metrics

/// The correlations of the columns of `features` [N][D]. O(N D^2). Throws std::invalid_argument for fewer than two
/// rows or a number that is not finite. Fences `exec`.
template <ExecutionSpace Exec, class View>
Correlations correlations(const Exec& exec, const View& features) {
  using T = detail::metrics::Value<View>;
  const auto x = detail::metrics::samples(exec, "correlations: features", features);
  const auto statistics = feature_statistics(exec, features);
  const auto columns = static_cast<std::size_t>(x.cols);
  const auto covariance = [&](std::size_t i, std::size_t j) {
    return statistics.covariance[i * columns + j];
  };
  Correlations result{std::vector<double>(columns * columns, 1),
                      std::vector<double>(columns * columns, 0)};
  // Standardised by the deviation with 1 / N, so that the mean of the squares is one.
  std::vector<double> scale;
  for (std::size_t i = 0; i < columns; ++i) {
    scale.push_back(1 / std::sqrt(covariance(i, i) * (x.rows - 1) / x.rows));
    for (std::size_t j = 0; j < i; ++j) {
      result.correlation[i * columns + j] = result.correlation[j * columns + i] =
          covariance(i, j) / std::sqrt(covariance(i, i) * covariance(j, j));
    }
    if (covariance(i, i) == 0)
      result.correlation[i * columns + i] = std::numeric_limits<double>::quiet_NaN();
  }
  const auto mean_view = detail::metrics::uploaded(exec, statistics.mean);
  const auto scale_view = detail::metrics::uploaded(exec, scale);
  const auto correlation_view = detail::metrics::uploaded(exec, result.correlation);
  const auto squares = to_host(
      exec,
      detail::metrics::terms(exec, "vrfm::metrics::correlation_influence", 0,
                             std::int64_t(x.cols) * (x.cols - 1) / 2,
                             detail::metrics::CorrelationInfluence<T>{
                                 x, mean_view.data(), scale_view.data(), correlation_view.data()}));
  for (std::size_t i = 0, pair = 0; i < columns; ++i)
    for (std::size_t j = 0; j < i; ++j)
      result.standard_error[i * columns + j] = result.standard_error[j * columns + i] =
          std::sqrt(squares(pair++)) / x.rows;
  return result;
}

/// The largest difference between the correlations of `a` [N][D] and of `b` [M][D], N and M independent rows; that of
/// many features is large by chance, see most_errors. Throws std::invalid_argument as correlations does, for different
/// dimensions, one column or constant ones.
template <ExecutionSpace Exec, class A, class B>
CorrelationDifference correlation_difference(const Exec& exec, const A& a, const B& b) {
  expect_same("a", a.extent(1), "b", b.extent(1), "columns");
  const auto columns = a.extent(1);
  expect(columns > 1, "correlation_difference: expected at least two columns, but got ", columns);
  const Correlations of_a = correlations(exec, a), of_b = correlations(exec, b);
  CorrelationDifference largest;
  double size = -1;
  for (std::size_t i = 0; i < columns; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const std::size_t at = i * columns + j;
      const double difference = of_a.correlation[at] - of_b.correlation[at];
      expect(std::isfinite(difference),
             "correlation_difference: expected columns that vary, but column ", i, " or ", j,
             " is constant");
      const double error = std::hypot(of_a.standard_error[at], of_b.standard_error[at]);
      largest.most_errors = (std::max)(largest.most_errors, std::fabs(difference) / error);
      if (std::fabs(difference) <= size) continue;
      size = std::fabs(difference);
      largest.difference = {difference, error};
      largest.row = static_cast<int>(i);
      largest.column = static_cast<int>(j);
    }
  }
  return largest;
}

}  // namespace vrfm
