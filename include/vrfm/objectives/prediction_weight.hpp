// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights over t under which the loss of velocities is that of a prediction (paths/prediction.hpp). Velocities are
// v = a x + b o, and the path's is u = a x_t + b o* with the path's own data, noise or score, so with times in
// [first, last]
//   |v - u|^2 / b(t)^2 = |o - o*|^2,
// whatever the network itself predicts (models/predicting.hpp).
#pragma once

#include <vrfm/objectives/distance.hpp>
#include <vrfm/paths/prediction.hpp>

namespace vrfm {

/// 1 / b(t)^2, for SquaredDistance: the plain loss of this prediction.
template <Prediction prediction, Schedule Path = LinearSchedule>
struct PredictionWeight {
  Path path = {};
  PredictionTimes<prediction, Path> times = {};

  /// Throws std::invalid_argument.
  void check() const {
    check_part(path);
    times.check();
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION T operator()(T t) const {
    const T b = velocity_factors<prediction>(path.at(times.within(t))).output;
    return T(1) / (b * b);
  }
};

/// The data's loss with weight min(SNR, gamma), SNR = alpha^2 / sigma^2 (Hang et al. 2023, "Efficient diffusion
/// training via min-SNR weighting strategy"): min(alpha^2, gamma sigma^2) / D^2.
template <Schedule Path = LinearSchedule>
struct MinSnrWeight {
  double gamma = 5;
  Path path = {};

  /// Throws std::invalid_argument.
  void check() const {
    check_part(path);
    expect(gamma > 0 && math::is_finite(gamma), "MinSnrWeight needs a finite gamma > 0, got ",
           gamma);
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION T operator()(T t) const {
    const auto s = path.at(t);
    const T determinant = detail::path_determinant(s);
    return math::minimum(s.alpha * s.alpha, static_cast<T>(gamma) * s.sigma * s.sigma) /
           (determinant * determinant);
  }
};

}  // namespace vrfm
