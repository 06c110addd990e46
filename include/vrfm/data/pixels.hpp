// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Between pixels of 8 bits and a network's real values: x = u / 127.5 - 1 maps 0 ... 255 to [-1,
// 1], and u = trunc(clip(127.5 x + 128, 0, 255)) maps back to the nearest pixel.
#pragma once

#include <cstdint>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/concepts.hpp>

namespace vrfm {

/// The real value in [-1, 1] of a pixel.
template <Real T>
KOKKOS_INLINE_FUNCTION T from_pixel(std::uint8_t pixel) {
  return static_cast<T>(pixel) / T(127.5) - T(1);
}

/// The pixel of a real value; 0 for NaN. Inverse of from_pixel.
template <Real T>
KOKKOS_INLINE_FUNCTION std::uint8_t to_pixel(T x) {
  return static_cast<std::uint8_t>(
      math::minimum(T(255), math::maximum(T(0), T(127.5) * x + T(128))));
}

}  // namespace vrfm
