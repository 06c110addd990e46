// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The Layer concept. A layer is a small trivially copyable value that knows its extents and the
// offsets of its parameters; its arithmetic is written once against a Context.
//
//   inputs(), outputs()                             columns of x and y
//   input_pixels(), output_pixels()                 rows of x and y that are one sample; a layer
//                                                   without them maps row by row: both are 1
//   has_parameters                                  false: backward without dx has nothing to do
//   Saved<T>                                        what backward and tangent read besides their
//                                                   arguments: tangent gets no x, backward no y, so
//                                                   forward leaves the slice here if one needs it
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

namespace detail {

template <class L>
concept HasLayerShape = requires(const L& layer) {
  { L::has_parameters } -> std::convertible_to<bool>;
  { layer.inputs() } -> std::same_as<int>;
  { layer.outputs() } -> std::same_as<int>;
};

template <class L>
concept HasLayerSaved = requires { typename L::template Saved<float>; };

template <class L>
concept HasLayerForward =
    requires(const L& layer, const MeasureContext& ctx, const float* p, Matrix<const float> in,
             Matrix<float> out, typename L::template Saved<float>* saved,
             Arena<float>& arena) { layer.forward(ctx, p, in, out, saved, arena); };

template <class L>
concept HasLayerBackward = requires(
    const L& layer, const MeasureContext& ctx, const float* p, Gradient<float> g,
    Matrix<const float> in, Matrix<float> out, const typename L::template Saved<float>& saved,
    Arena<float>& arena) { layer.backward(ctx, p, g, in, in, out, saved, arena); };

template <class L>
concept HasLayerTangent =
    requires(const L& layer, const MeasureContext& ctx, const float* p, Matrix<const float> in,
             Matrix<float> out, const typename L::template Saved<float>& saved,
             Arena<float>& arena) { layer.tangent(ctx, p, in, out, saved, arena); };

}  // namespace detail

template <class L>
concept Layer =
    std::is_trivially_copyable_v<L> && detail::HasLayerShape<L> && detail::HasLayerSaved<L> &&
    detail::HasLayerForward<L> && detail::HasLayerBackward<L> && detail::HasLayerTangent<L>;

/// Says in one sentence what a layer lacks.
template <class L>
struct RequireLayer {
  static_assert(std::is_trivially_copyable_v<L>,
                "vrfm: a layer needs to be trivially copyable, as it travels into kernels");
  static_assert(detail::HasLayerShape<L>,
                "vrfm: a layer needs `static constexpr bool has_parameters`, inputs() const -> int "
                "and outputs() const -> int");
  static_assert(detail::HasLayerSaved<L>, "vrfm: a layer needs the member template Saved<T>");
  static_assert(
      !detail::HasLayerSaved<L> || detail::HasLayerForward<L>,
      "vrfm: a layer needs forward(const Ctx&, const T* p, ConstMatrix<T> x, Matrix<T> y, "
      "Saved<T>*, Arena<T>&) const");
  static_assert(
      !detail::HasLayerSaved<L> || detail::HasLayerBackward<L>,
      "vrfm: a layer needs backward(const Ctx&, const T* p, Gradient<T>, ConstMatrix<T> x, "
      "ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>&, Arena<T>&) const");
  static_assert(!detail::HasLayerSaved<L> || detail::HasLayerTangent<L>,
                "vrfm: a layer needs tangent(const Ctx&, const T* p, ConstMatrix<T> dx, Matrix<T> "
                "dy, const Saved<T>&, Arena<T>&) const");
  static constexpr bool ok = Layer<L>;
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
