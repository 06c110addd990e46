// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The affine path between paired samples, x_t = alpha x1 + sigma x0 with velocity u = alpha' x1 +
// sigma' x0, and the conversions between four quantities that determine each other at a point x on
// it: velocity, data prediction x1, noise prediction x0, and (for x0 ~ N(0, I)) the score of p_t,
// -x0 / sigma.
#pragma once

#include <vrfm/core/matrix.hpp>
#include <vrfm/paths/schedule.hpp>

namespace vrfm {

/// Row function: x_t and u of each row from x0, x1 and its own time t(i, 0).
template <class T, Schedule S = LinearSchedule>
struct Interpolate {
  S schedule;
  ConstMatrix<T> t, x0, x1;
  Matrix<T> x_t, u;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const auto s = schedule.at(t(i, 0));
    for (int j = 0; j < x0.cols; ++j) {
      x_t(i, j) = s.alpha * x1(i, j) + s.sigma * x0(i, j);
      u(i, j) = s.alpha_rate * x1(i, j) + s.sigma_rate * x0(i, j);
    }
  }
};

namespace detail {
template <class T>
KOKKOS_INLINE_FUNCTION T path_determinant(const ScheduleValue<T>& s) {
  return s.alpha * s.sigma_rate - s.alpha_rate * s.sigma;
}
}  // namespace detail

/// x1 from x and velocity v.
template <class T>
KOKKOS_INLINE_FUNCTION T data_from_velocity(const ScheduleValue<T>& s, T x, T v) {
  return (s.sigma_rate * x - s.sigma * v) / detail::path_determinant(s);
}

/// x0 from x and velocity v.
template <class T>
KOKKOS_INLINE_FUNCTION T noise_from_velocity(const ScheduleValue<T>& s, T x, T v) {
  return (s.alpha * v - s.alpha_rate * x) / detail::path_determinant(s);
}

/// Score of p_t at x from velocity v; needs sigma > 0 (t < 1).
template <class T>
KOKKOS_INLINE_FUNCTION T score_from_velocity(const ScheduleValue<T>& s, T x, T v) {
  return -noise_from_velocity(s, x, v) / s.sigma;
}

/// Velocity from x and data x1; needs sigma > 0 (t < 1).
template <class T>
KOKKOS_INLINE_FUNCTION T velocity_from_data(const ScheduleValue<T>& s, T x, T x1) {
  return s.alpha_rate * x1 + s.sigma_rate * (x - s.alpha * x1) / s.sigma;
}

/// Velocity from x and noise x0; needs alpha > 0 (t > 0).
template <class T>
KOKKOS_INLINE_FUNCTION T velocity_from_noise(const ScheduleValue<T>& s, T x, T x0) {
  return s.alpha_rate * (x - s.sigma * x0) / s.alpha + s.sigma_rate * x0;
}

/// Velocity from x and the score of p_t; needs alpha > 0 (t > 0).
template <class T>
KOKKOS_INLINE_FUNCTION T velocity_from_score(const ScheduleValue<T>& s, T x, T score) {
  return velocity_from_noise(s, x, -s.sigma * score);
}

}  // namespace vrfm
