// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Log-likelihoods of samples, in nats: under the true density, and of held-out samples under a
// Gaussian kernel density estimate on generated ones (Parzen, "On estimation of a probability
// density function and mode", 1962). The first alone rewards a collapse onto the modes; the second
// falls when a mode is missing. Report both.
#pragma once

#include <cmath>

#include <vrfm/core/distribution.hpp>
#include <vrfm/core/fast_math.hpp>
#include <vrfm/metrics/detail/fixed_sum.hpp>
#include <vrfm/metrics/detail/pairwise.hpp>
#include <vrfm/metrics/detail/samples.hpp>

namespace vrfm {

namespace detail::metrics {

template <class T, class Density>
struct LogDensity {
  Matrix<const T> x;
  Density density;

  KOKKOS_FUNCTION double operator()(std::int64_t row) const {
    return static_cast<double>(density.log_density(x.row(static_cast<int>(row))));
  }
};

/// log sum_i exp(-scale || y - x_i ||^2) for row y of `points`. The sum is relative to the term of
/// the nearest x_i so far.
template <class T, int width>
struct LogKernelSum {
  Matrix<const T> columns, points;
  T scale;

  KOKKOS_FUNCTION double operator()(std::int64_t row) const {
    const T* y = points.row(static_cast<int>(row));
    T exponent[std::size_t(width)];
    double sum[std::size_t(width)];
    for (int l = 0; l < width; ++l) sum[l] = 0;
    constexpr T infinity = static_cast<T>(INFINITY);
    T nearest = infinity;
    for (int first = 0; first < columns.cols; first += width) {
      const int count = math::minimum(width, columns.cols - first);
      squared_distances(columns, first, count, y, exponent);
      for (int l = 0; l < count; ++l) exponent[l] *= scale;
      const T least = smallest<width>(exponent, count);
      if (!math::is_finite(least)) continue;  // all too far for T: each term is zero
      if (least < nearest) {
        const double factor = math::exp(static_cast<double>(least - nearest));
        for (int l = 0; l < width; ++l) sum[l] *= factor;
        nearest = least;
      }
      // Two loops: with the conversion inside, compilers leave the exponential scalar.
      VRFM_INDEPENDENT_ITERATIONS
      for (int l = 0; l < count; ++l) exponent[l] = fast::exp(nearest - exponent[l]);
      VRFM_INDEPENDENT_ITERATIONS
      for (int l = 0; l < count; ++l) sum[l] += static_cast<double>(exponent[l]);
    }
    double total = 0;
    for (int l = 0; l < width; ++l) total += sum[l];
    return math::log(total) - static_cast<double>(nearest);
  }
};

}  // namespace detail::metrics

/// Mean of log p(x) over the rows of `samples` [N][D], in nats, for a density with
/// `dimension()` and `log_density(const T* x)` (data/mixture.hpp). -infinity if one sample is so far
/// out that its log p overflows. Ranks that all have the samples share the work. Throws
/// std::invalid_argument for empty or not finite samples or another dimension.
template <ExecutionSpace Exec, class Density, class View, class Comm = SelfCommunicator>
double true_log_likelihood(const Exec& exec, const Density& density, const View& samples,
                           const Comm& communicator = {}) {
  using T = detail::metrics::Value<View>;
  const auto x = detail::metrics::samples(exec, "true_log_likelihood: samples", samples);
  static_assert(LogDensity<Density, T>,
                "vrfm: a density needs dimension() -> int and log_density(const T* x) const -> T");
  if constexpr (LogDensity<Density, T>) {
    expect(x.cols == density.dimension(), "true_log_likelihood: samples have ", x.cols,
           " columns but the density has ", density.dimension(), " dimensions");
    return detail::metrics::fixed_sum(exec, "vrfm::metrics::true_log_likelihood", x.rows,
                                      detail::metrics::LogDensity<T, Density>{x, density},
                                      communicator) /
           x.rows;
  } else {
    return 0;
  }
}

/// Mean over the rows y of `held_out` [M][D] of log (1/N sum_i N(y; x_i, bandwidth^2 I)) over the rows
/// x_i of `generated` [N][D], in nats. The bandwidth has the samples' unit. Exponentials are taken in
/// the samples' type, sums in double. -infinity if the nearest x_i is so far that its square
/// overflows. Ranks that all have the samples share the work. Throws std::invalid_argument for empty or
/// not finite samples, different dimensions, or a bandwidth that is not positive and finite.
template <ExecutionSpace Exec, class Generated, class HeldOut, class Comm = SelfCommunicator>
double parzen_log_likelihood(const Exec& exec, const Generated& generated, const HeldOut& held_out,
                             double bandwidth, const Comm& communicator = {}) {
  using T = detail::metrics::Value<Generated>;
  static_assert(std::is_same_v<T, detail::metrics::Value<HeldOut>>,
                "vrfm: a metric needs samples of one type, float or double");
  const auto x = detail::metrics::samples(exec, "parzen_log_likelihood: generated", generated);
  const auto y = detail::metrics::samples(exec, "parzen_log_likelihood: held_out", held_out);
  detail::metrics::expect_same_columns("generated", x, "held_out", y);
  const T scale = static_cast<T>(0.5 / (bandwidth * bandwidth));
  expect(bandwidth > 0 && scale > T(0) && math::is_finite(scale),
         "parzen_log_likelihood: bandwidth must be positive and finite, as its inverse square, but "
         "is ",
         bandwidth);
  const auto columns = detail::metrics::transposed(exec, x);
  const double sum = detail::metrics::fixed_sum(
      exec, "vrfm::metrics::parzen_log_likelihood", y.rows,
      detail::metrics::LogKernelSum<T, detail::metrics::chunk_width<Exec>>{matrix(columns), y,
                                                                           scale},
      communicator);
  constexpr double half_log_two_pi = 0.91893853320467274178;
  return sum / y.rows - std::log(static_cast<double>(x.rows)) -
         x.cols * (std::log(bandwidth) + half_log_two_pi);
}

}  // namespace vrfm
