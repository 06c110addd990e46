// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The Layer concept. A layer is a small trivially copyable value that knows its extents and the
// offsets of its parameters; its arithmetic is written once against a Context.
//
//   inputs(), outputs()                             columns of x and y
//   input_pixels(), output_pixels()                 rows of x and y that are one sample; a layer
//                                                   without them maps row by row: both are 1
//   has_parameters                                  false: backward without dx has nothing to do
//   Saved<T>                                        what backward and tangent read besides x and y
//   forward(ctx, p, x, y, saved, arena)             y = f(x); saved == nullptr: inference only
//   backward(ctx, p, g, x, dy, dx, saved, arena)    dx = J_x^T dy, g += J_p^T dy
//   tangent(ctx, p, dx, dy, saved, arena)           dy = J_x dx (forward mode)
//
// Images are channels-last: a row is a pixel, a sample height x width adjacent rows, row by row.
// p: flat parameters; g: Gradient (ignore, overwrite or accumulate). An empty dx in backward means
// that it is not wanted. Working memory and what `saved` points to come from `arena`: the caller
// keeps x, y and the arena's mark from forward to the last backward or tangent. Forward without
// `saved` gives its memory back.
#pragma once

#include <vrfm/layers/parameters.hpp>
#include <vrfm/linalg/context.hpp>

namespace vrfm {

template <class L>
concept Layer = std::is_trivially_copyable_v<L> &&
                requires(const L& layer, const MeasureContext& ctx, const float* p,
                         Gradient<float> g, Matrix<const float> in, Matrix<float> out,
                         Arena<float>& arena, typename L::template Saved<float>* saved) {
                  { L::has_parameters } -> std::convertible_to<bool>;
                  { layer.inputs() } -> std::same_as<int>;
                  { layer.outputs() } -> std::same_as<int>;
                  layer.forward(ctx, p, in, out, saved, arena);
                  layer.backward(ctx, p, g, in, in, out, *saved, arena);
                  layer.tangent(ctx, p, in, out, *saved, arena);
                };

/// Rows of x and y that are one sample.
template <Layer L>
KOKKOS_INLINE_FUNCTION int input_pixels(const L& layer) {
  if constexpr (requires { layer.input_pixels(); }) {
    return layer.input_pixels();
  } else {
    return 1;
  }
}
template <Layer L>
KOKKOS_INLINE_FUNCTION int output_pixels(const L& layer) {
  if constexpr (requires { layer.output_pixels(); }) {
    return layer.output_pixels();
  } else {
    return 1;
  }
}

}  // namespace vrfm
