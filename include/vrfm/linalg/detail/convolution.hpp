// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A product of patches in the terms of convolution libraries: which of input, output and weights is
// sought, and where the other two lie. With patches in front, C = P M^T is the output, or, of
// transposed patches, the input's gradient; C = M^T P is the gradient of the weights.
#pragma once

#include <array>

#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/epilogue.hpp>

namespace vrfm::detail {

enum class Sought { output, input, weights };

/// Whether operands are patches and weights, or an image and patches, of float.
template <class A, class B>
inline constexpr bool are_of_float_convolution =
    (is_patches_of<float, A> && std::is_same_v<B, Matrix<const float>>) ||
    (is_patches_of<float, B> && std::is_same_v<A, Matrix<const float>>);

/// Images are (samples x pixels) x channels. Libraries are asked for no volumes.
template <class T>
struct Convolution {
  Sought sought;
  Window window;
  int samples;
  Matrix<const T> input, output, weights;
  bool adjoint;  ///< weights are inputs x (taps x outputs), otherwise outputs x (taps x inputs)
  T* result;     ///< the elements of the one that is sought

  /// What a library's plan of signals and images depends on, besides strides.
  std::array<int, 12> shape() const {
    return {static_cast<int>(sought), samples,         window.height, window.width,
            window.kernel.y,          window.kernel.x, window.stride, window.padding.y,
            window.padding.x,         window.behind,   input.cols,    output.cols};
  }
};

template <class T>
Convolution<T> convolution_of(const Patches<T>& a, Matrix<const T> b, Matrix<T> c) {
  const int samples = a.x.rows / a.source_pixels();
  if (a.transposed) return {Sought::input, a.window, samples, c, a.x, b, true, c.data};
  return {Sought::output, a.window, samples, a.x, c, b, false, c.data};
}

template <class T>
Convolution<T> convolution_of(Matrix<const T> a, const Patches<T>& b, Matrix<T> c) {
  const int samples = b.x.rows / b.source_pixels();
  if (b.transposed) return {Sought::weights, b.window, samples, a, b.x, c, true, c.data};
  return {Sought::weights, b.window, samples, b.x, a, c, false, c.data};
}

}  // namespace vrfm::detail
