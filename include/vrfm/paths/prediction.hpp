// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a network may predict beside the velocity: the data x1, the noise x0, or the score of p_t, -x0 / sigma for x0 ~
// N(0, I). At a point x of an affine path each of them, o, is the velocity in other words (paths/affine_path.hpp),
//   v = a(t) x + b(t) o,   with D = alpha sigma' - alpha' sigma:
//   data   a = sigma' / sigma   b = -D / sigma
//   noise  a = alpha' / alpha   b = D / alpha
//   score  a = alpha' / alpha   b = -sigma D / alpha
// On the linear path v is (o - x) / (1 - t) of the data and (x - o) / t of the noise. a and b may be infinite at an
// end, so times are kept away from it (PredictionTimes).
#pragma once

#include <vrfm/paths/affine_path.hpp>

namespace vrfm {

enum class Prediction { data, noise, score };

constexpr const char* name_of(Prediction prediction) {
  return prediction == Prediction::data    ? "data"
         : prediction == Prediction::noise ? "noise"
                                           : "score";
}

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

/// Where a prediction is converted: before `first` and after `last` as there. Both are away from an end at which a or b
/// is infinite, by default as far as SiT's trainings by noise and score stay (Ma et al. 2024); the score is kept away
/// from t = 1, too, where it says nothing of the velocity.
template <Prediction prediction, Schedule Path = LinearSchedule>
struct PredictionTimes {
  static constexpr bool from_start = prediction == Prediction::data;
  static constexpr bool to_end = prediction == Prediction::noise && !infinite_at_end<Path>;

  double first = from_start ? 0 : 1e-3;
  double last = to_end ? 1 : 1 - 1e-3;

  /// Throws std::invalid_argument.
  void check() const {
    expect((from_start ? first >= 0 : first > 0) && first < last && (to_end ? last <= 1 : last < 1),
           "this prediction needs times 0 ", from_start ? "<=" : "<", " first < last ",
           to_end ? "<=" : "<", " 1, got ", first, " and ", last);
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION T within(T t) const {
    return math::minimum(math::maximum(t, static_cast<T>(first)), static_cast<T>(last));
  }
};

}  // namespace vrfm
