// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The limits of s = ln sigma^2, which a LatentModel tells: s counts within [-20, 20], so sigma stays
// within [4.5e-5, 2.2e4] and neither it nor 1 / sigma overflows. Outside, a gradient passes if it
// leads back.
#pragma once

#include <vrfm/core/compat.hpp>

namespace vrfm {

/// The largest |ln sigma^2|.
inline constexpr double log_variance_limit = 20.0;

namespace detail {

/// s within the limits; NaN stays NaN (s is the first argument), so that it is seen in the loss.
template <class T>
KOKKOS_INLINE_FUNCTION T limited_log_variance(T s) {
  const T limit = T(log_variance_limit);
  return math::maximum(math::minimum(s, limit), -limit);
}

/// The gradient of s from that of the limited s: zero where descent would lead further out. NaN
/// passes, so that it is seen and not hidden.
template <class T>
KOKKOS_INLINE_FUNCTION T log_variance_gradient(T s, T d) {
  const bool outward =
      (s > T(log_variance_limit) && d < T(0)) || (s < -T(log_variance_limit) && d > T(0));
  return outward ? T(0) : d;
}

}  // namespace detail

}  // namespace vrfm
