// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Estimate: a mean over independent cases, or a ratio of two such means, with its standard error. That of a mean of n
// values is s / sqrt(n), s^2 their unbiased variance; that of a ratio A / B is first-order (the delta method), the
// standard error of the mean of (a_i - R b_i) / B.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <vrfm/metrics/detail/fixed_sum.hpp>

namespace vrfm {

struct Estimate {
  double value = 0;
  double standard_error = 0;  ///< NaN of a single case
};

namespace detail::metrics {

/// (a_i - ratio b_i)^2, b_i one where there is no b.
struct SquaredResidual {
  const double* a;
  const double* b;
  double ratio;

  KOKKOS_FUNCTION double operator()(std::int64_t i) const {
    const double residual = a[i] - (b == nullptr ? ratio : ratio * b[i]);
    return residual * residual;
  }
};

/// sqrt(sum / (n (n - 1)))
inline double error_of_mean(double sum_of_squares, std::size_t n) {
  const double count = static_cast<double>(n);
  return n > 1 ? std::sqrt(sum_of_squares / (count * (count - 1)))
               : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace detail::metrics

/// The mean of `values` [N], one a case. Fences `exec`. Throws std::invalid_argument if there are none.
template <ExecutionSpace Exec>
Estimate mean_of(const Exec& exec, const Array<double, Exec>& values) {
  const std::size_t n = values.extent(0);
  expect(n > 0, "mean_of: expected at least one value, but got none");
  using namespace detail::metrics;
  const double mean = fixed_sum(exec, values) / static_cast<double>(n);
  const double squares =
      fixed_sum(exec, "vrfm::metrics::squared_residual", static_cast<std::int64_t>(n),
                SquaredResidual{values.data(), nullptr, mean});
  return {mean, error_of_mean(squares, n)};
}

/// The mean of `a` over that of `b`, [N] each, of the same cases; NaN or infinite if that of b is zero. Fences `exec`.
/// Throws std::invalid_argument for different lengths or none.
template <ExecutionSpace Exec>
Estimate ratio_of(const Exec& exec, const Array<double, Exec>& a, const Array<double, Exec>& b) {
  const std::size_t n = a.extent(0);
  expect_same("a", n, "b", b.extent(0), "values");
  expect(n > 0, "ratio_of: expected at least one value, but got none");
  using namespace detail::metrics;
  const double below = fixed_sum(exec, b), ratio = fixed_sum(exec, a) / below;
  const double squares =
      fixed_sum(exec, "vrfm::metrics::squared_residual", static_cast<std::int64_t>(n),
                SquaredResidual{a.data(), b.data(), ratio});
  return {ratio, error_of_mean(squares, n) / std::fabs(below / static_cast<double>(n))};
}

}  // namespace vrfm
