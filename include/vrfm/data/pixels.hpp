// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Between pixels of 8 bits and a network's real values: x = u / 127.5 - 1 maps 0 ... 255 to [-1,
// 1], and u = trunc(clip(127.5 x + 128, 0, 255)) maps back to the nearest pixel. Densities of pixels are those of
// dequantised ones (Theis et al., "A note on the evaluation of generative models", 2016): u + e, e uniform in
// [-1/2, 1/2), has a density whose integral over a pixel's unit is its probability.
#pragma once

#include <cmath>
#include <cstdint>

#include <vrfm/core/check.hpp>
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

/// The real value of a dequantised pixel; `uniform`, in [0, 1), is drawn for it. to_pixel gives the pixel again,
/// but for the rounding of edges.
template <Real T>
KOKKOS_INLINE_FUNCTION T dequantised(std::uint8_t pixel, T uniform) {
  return (static_cast<T>(pixel) + (uniform - T(0.5))) / T(127.5) - T(1);
}

/// Bits per dimension of an image from the log density, in nats, of its `dimension` real values x: the pixels' is
/// log p(u) = log p(x) - dimension ln 127.5, so that bits = -log p(x) / (dimension ln 2) + log2 127.5. The mean over
/// dequantised pixels is an upper bound of the bits that the pixels need. Throws std::invalid_argument unless dimension
/// >= 1.
inline double bits_per_dimension(double log_density, int dimension) {
  expect(dimension >= 1, "bits_per_dimension: expected at least one dimension, but got ",
         dimension);
  return -log_density / (dimension * std::log(2.0)) + std::log2(127.5);
}

}  // namespace vrfm
