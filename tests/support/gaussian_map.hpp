// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The exact map of a flow whose x_t is N(0, sigma(t)^2): X(x, t, s) = sigma(s) / sigma(t) x, in closed form.
#pragma once

#include <vrfm/core/compat.hpp>

namespace vrfm::test {

/// x0 ~ N(0, 1), and x1 = 2 x0 or, not coupled, x1 ~ N(0, 4) independent of x0.
struct GaussianScale {
  bool coupled = false;

  template <class T>
  KOKKOS_INLINE_FUNCTION T sigma(T t) const {
    return coupled ? T(1) + t : math::sqrt((T(1) - t) * (T(1) - t) + T(4) * t * t);
  }
  /// sigma' / sigma
  template <class T>
  KOKKOS_INLINE_FUNCTION T growth(T t) const {
    return (coupled ? T(1) : (T(5) * t - T(1)) / sigma(t)) / sigma(t);
  }
  /// u(x, t, s), the velocity if s = t.
  template <class T>
  KOKKOS_INLINE_FUNCTION T mean_velocity(T x, T t, T s) const {
    return x * (s == t ? growth(t) : (sigma(s) / sigma(t) - T(1)) / (s - t));
  }
};

}  // namespace vrfm::test
