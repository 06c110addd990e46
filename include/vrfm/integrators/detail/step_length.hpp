// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lengths of adaptive steps as their type has them.
#pragma once

#include <limits>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/integrators/grid.hpp>

namespace vrfm::detail {

template <class T>
inline constexpr T unlimited = (std::numeric_limits<T>::max)();
template <class T>
inline constexpr T resolution = std::numeric_limits<T>::epsilon();

/// The step h as the type makes it, t + h - t: so that x moves by what t moves by, however far from 0
/// the times are. A step that would not move t becomes one that does so everywhere between -size and
/// size.
template <class T>
KOKKOS_INLINE_FUNCTION T representable_step(T t, T h, T size) {
  const T moved = (t + h) - t;
  if (moved != T(0) || h == T(0)) return moved;
  const T shortest = size * resolution<T>;
  return (t + (h < T(0) ? -shortest : shortest)) - t;
}

/// The larger end of a grid.
template <class T>
KOKKOS_INLINE_FUNCTION T size_of(const GridView& grid) {
  return static_cast<T>(math::maximum(math::fabs(grid.begin), math::fabs(grid.end)));
}

/// Element (i, 0): h = length.
template <class T>
struct SetFirstStep {
  T length;
  Matrix<T> h;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int) const { h(i, 0) = length; }
};

/// Row: h as the type makes it.
template <class T>
struct RepresentStep {
  T size;
  ConstMatrix<T> t;
  Matrix<T> h;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    h(i, 0) = representable_step(t(i, 0), h(i, 0), size);
  }
};

}  // namespace vrfm::detail
