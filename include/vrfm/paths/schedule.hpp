// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Schedules: the coefficients of the affine path x_t = alpha(t) x1 + sigma(t) x0 from noise (t = 0)
// to data (t = 1), with their derivatives. Linear: rectified flow (Liu et al. 2023); the other two
// as in Albergo, Boffi and Vanden-Eijnden 2023 and Song et al. 2021.
#pragma once

#include <concepts>

#include <vrfm/core/check.hpp>
#include <vrfm/core/compat.hpp>

namespace vrfm {

/// Values of a schedule at one time.
template <class T>
struct ScheduleValue {
  T alpha;
  T sigma;
  T alpha_rate;  ///< d alpha / dt
  T sigma_rate;  ///< d sigma / dt
};

template <class S>
concept Schedule = requires(const S& schedule, float t, double u) {
  { schedule.at(t) } -> std::same_as<ScheduleValue<float>>;
  { schedule.at(u) } -> std::same_as<ScheduleValue<double>>;
};

/// Second derivatives at one time.
template <class T>
struct ScheduleCurvature {
  T alpha;
  T sigma;
};

/// A Schedule that tells them, for derivatives of what its rates make.
template <class S>
concept DifferentiableSchedule = Schedule<S> && requires(const S& schedule, float t, double u) {
  { schedule.curvature(t) } -> std::same_as<ScheduleCurvature<float>>;
  { schedule.curvature(u) } -> std::same_as<ScheduleCurvature<double>>;
};

/// Where the rate of a schedule, of noise or of a path is infinite, as it declares by
/// `static constexpr bool infinite_rate = true` (at t = 1) and `infinite_rate_at_start`.
template <class P>
inline constexpr bool infinite_at_end = requires { requires P::infinite_rate; };
template <class P>
inline constexpr bool infinite_at_start = requires { requires P::infinite_rate_at_start; };

/// alpha = t, sigma = 1 - t.
struct LinearSchedule {
  template <class T>
  KOKKOS_INLINE_FUNCTION ScheduleValue<T> at(T t) const {
    return {t, T(1) - t, T(1), T(-1)};
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION ScheduleCurvature<T> curvature(T) const {
    return {T(0), T(0)};
  }
};

/// alpha = sin(pi t / 2), sigma = cos(pi t / 2): alpha^2 + sigma^2 = 1. The cosine is computed as a sine
/// of 1 - t, so that it is 0 at t = 1 in every type and never negative.
struct TrigonometricSchedule {
  template <class T>
  KOKKOS_INLINE_FUNCTION ScheduleValue<T> at(T t) const {
    const T half_pi = T(1.5707963267948966192);
    const T s = math::sin(half_pi * t), c = math::sin(half_pi * (T(1) - t));
    return {s, c, half_pi * c, -half_pi * s};
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION ScheduleCurvature<T> curvature(T t) const {
    const T square = T(2.4674011002723396547);  // (pi / 2)^2
    const auto s = at(t);
    return {-square * s.alpha, -square * s.sigma};
  }
};

/// Variance preserving, with r = 1 - t the diffusion time:
/// alpha = exp(-r^2 (beta_max - beta_min) / 4 - r beta_min / 2), sigma = sqrt(1 - alpha^2).
/// sigma's rate is infinite at t = 1, and so is the mean square of the path's velocity over all t:
/// objectives keep away from there (DefaultTimes).
struct VariancePreservingSchedule {
  static constexpr bool infinite_rate = true;

  double beta_min = 0.1;
  double beta_max = 20.0;

  /// Throws std::invalid_argument unless the path goes from noise to data without turning back.
  void check() const {
    expect(beta_min > 0 && beta_max >= beta_min && math::is_finite(beta_max),
           "VariancePreservingSchedule needs 0 < beta_min <= beta_max, finite, got ", beta_min,
           " and ", beta_max);
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION ScheduleValue<T> at(T t) const {
    const T low = static_cast<T>(beta_min), range = static_cast<T>(beta_max - beta_min);
    const T r = T(1) - t;
    const T log_alpha = -r * r * range / T(4) - r * low / T(2);
    const T alpha = math::exp(log_alpha);
    const T alpha_rate = alpha * (r * range + low) / T(2);
    // 1 - alpha^2, without cancellation near t = 1.
    const T sigma = math::sqrt(-math::expm1(T(2) * log_alpha));
    return {alpha, sigma, alpha_rate, -alpha * alpha_rate / sigma};
  }
  /// From alpha' = alpha g, g = (r range + beta_min) / 2, and alpha^2 + sigma^2 = 1.
  template <class T>
  KOKKOS_INLINE_FUNCTION ScheduleCurvature<T> curvature(T t) const {
    const T low = static_cast<T>(beta_min), range = static_cast<T>(beta_max - beta_min);
    const auto s = at(t);
    const T g = ((T(1) - t) * range + low) / T(2);
    const T alpha = s.alpha * (g * g - range / T(2));
    return {alpha, -(s.alpha_rate * s.alpha_rate + s.alpha * alpha + s.sigma_rate * s.sigma_rate) /
                       s.sigma};
  }
};

}  // namespace vrfm
