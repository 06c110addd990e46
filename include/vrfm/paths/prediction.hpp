// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a network may predict beside the velocity: the data x1, the noise x0, or the score of p_t, -x0 / sigma for x0 ~
// N(0, I). At a point x of an affine path each of them, o, is the velocity in other words (paths/affine_path.hpp),
//   v = a(t) x + b(t) o,   with D = alpha sigma' - alpha' sigma:
//   data   a = sigma' / sigma   b = -D / sigma
//   noise  a = alpha' / alpha   b = D / alpha
//   score  a = alpha' / alpha   b = -sigma D / alpha
// Of the linear path data is v = (o - x) / (1 - t) and noise v = (x - o) / t. a and b are infinite at an end, so times
// are kept within [first, last] there.
#pragma once

#include <vrfm/paths/affine_path.hpp>

namespace vrfm {

enum class Prediction { data, noise, score };

/// a and b, or their derivatives.
template <class T>
struct VelocityFactors {
  T x;
  T output;
};

template <Prediction prediction, class T>
KOKKOS_INLINE_FUNCTION VelocityFactors<T> velocity_factors(const ScheduleValue<T>& s) {
  const T determinant = detail::path_determinant(s);
  if constexpr (prediction == Prediction::data) {
    return {s.sigma_rate / s.sigma, -determinant / s.sigma};
  } else if constexpr (prediction == Prediction::noise) {
    return {s.alpha_rate / s.alpha, determinant / s.alpha};
  } else {
    return {s.alpha_rate / s.alpha, -s.sigma * determinant / s.alpha};
  }
}

/// da / dt and db / dt.
template <Prediction prediction, class T>
KOKKOS_INLINE_FUNCTION VelocityFactors<T> velocity_factor_rates(const ScheduleValue<T>& s,
                                                                const ScheduleCurvature<T>& c) {
  const auto [a, b] = velocity_factors<prediction>(s);
  const T determinant_rate = s.alpha * c.sigma - c.alpha * s.sigma;
  if constexpr (prediction == Prediction::data) {
    return {c.sigma / s.sigma - a * a, -determinant_rate / s.sigma - a * b};
  } else if constexpr (prediction == Prediction::noise) {
    return {c.alpha / s.alpha - a * a, determinant_rate / s.alpha - a * b};
  } else {
    const T product_rate = s.sigma_rate * detail::path_determinant(s) + s.sigma * determinant_rate;
    return {c.alpha / s.alpha - a * a, -product_rate / s.alpha - a * b};
  }
}

/// Where predictions are converted: before `first` and after `last` as there. The defaults are as far from both ends as
/// SiT's trainings by noise and score stay (Ma et al. 2024).
struct PredictionTimes {
  double first = 1e-3;
  double last = 1 - 1e-3;

  void check() const {
    expect(0 < first && first < last && last < 1,
           "a prediction needs times 0 < first < last < 1, got ", first, " and ", last);
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION T within(T t) const {
    return math::minimum(math::maximum(t, static_cast<T>(first)), static_cast<T>(last));
  }
};

}  // namespace vrfm
