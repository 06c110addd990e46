// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Patches: a batch of channels-last images, read without a copy as the left operand of a
// convolution that is written as a matrix product (im2col; Chellapilla, Puri and Simard 2006). A
// row is an output pixel; its columns are the input pixels under the kernel, tap by tap, all
// channels of a tap adjacent. Transposed patches are those of the convolution's adjoint: rows are
// input pixels, taps the output pixels that the input pixel went into.
#pragma once

#include <cstddef>

#include <vrfm/core/matrix.hpp>

namespace vrfm {

/// A number for lines and one for columns; one int is both.
struct PerAxis {
  int y = 0, x = 0;

  KOKKOS_INLINE_FUNCTION constexpr PerAxis(int both) : y(both), x(both) {}
  KOKKOS_INLINE_FUNCTION constexpr PerAxis(int down, int across) : y(down), x(across) {}
};

/// How a window moves over images: output pixel (y, x) sees input pixels
/// (y stride - padding.y + k, x stride - padding.x + l) for taps 0 <= k < kernel.y, 0 <= l < kernel.x.
struct Window {
  int height = 0, width = 0;  ///< of the input image
  PerAxis kernel = 1;
  int stride = 1;
  PerAxis padding = 0;
  int behind = 0;  ///< further padding, below and to the right alone

  KOKKOS_INLINE_FUNCTION int out_height() const { return out(height, kernel.y, padding.y); }
  KOKKOS_INLINE_FUNCTION int out_width() const { return out(width, kernel.x, padding.x); }
  KOKKOS_INLINE_FUNCTION int pixels() const { return height * width; }
  KOKKOS_INLINE_FUNCTION int out_pixels() const { return out_height() * out_width(); }
  KOKKOS_INLINE_FUNCTION int taps() const { return kernel.y * kernel.x; }

 private:
  KOKKOS_INLINE_FUNCTION int out(int extent, int taps, int border) const {
    const int last = extent + 2 * border + behind - taps;
    return (stride == 1 ? last : last / stride) + 1;
  }
};

template <class T>
struct Patches {
  Matrix<const T> x;  ///< (samples x pixels) x channels
  Window window;      ///< of the convolution itself, also if transposed
  bool transposed = false;

  /// Rows of a sample, and of one of its image lines.
  KOKKOS_INLINE_FUNCTION int row_pixels() const {
    return transposed ? window.pixels() : window.out_pixels();
  }
  KOKKOS_INLINE_FUNCTION int row_width() const {
    return transposed ? window.width : window.out_width();
  }
  /// Rows of x that are one sample.
  KOKKOS_INLINE_FUNCTION int source_pixels() const {
    return transposed ? window.out_pixels() : window.pixels();
  }
  KOKKOS_INLINE_FUNCTION int rows() const { return x.rows / source_pixels() * row_pixels(); }
  KOKKOS_INLINE_FUNCTION int cols() const { return window.taps() * x.cols; }

  /// Where a row lies.
  struct Pixel {
    int sample, y, x;
  };

  KOKKOS_INLINE_FUNCTION Pixel pixel(int row) const {
    const int width = row_width();
    const int sample = row / row_pixels(), rest = row - sample * row_pixels();
    return {sample, rest / width, rest % width};
  }

  /// Where the next row lies.
  KOKKOS_INLINE_FUNCTION void advance(Pixel& pixel) const {
    const int width = row_width();
    if (++pixel.x < width) return;
    pixel.x = 0;
    if (++pixel.y * width < row_pixels()) return;
    pixel.y = 0;
    ++pixel.sample;
  }

  /// The channels of tap (k, l) of one row; nullptr where the tap lies outside: zeros.
  KOKKOS_INLINE_FUNCTION const T* segment(const Pixel& pixel, int k, int l) const {
    const int width = transposed ? window.out_width() : window.width;
    const int y =
        source(pixel.y, k, window.padding.y, transposed ? window.out_height() : window.height);
    const int column = source(pixel.x, l, window.padding.x, width);
    if (y < 0 || column < 0) return nullptr;
    return x.row(pixel.sample * source_pixels() + y * width + column);
  }

  /// The first of the pixels under a row's window; nullptr unless all its taps lie inside, each one
  /// pixel from the next.
  KOKKOS_INLINE_FUNCTION const T* corner(const Pixel& pixel) const {
    if (transposed && window.stride > 1) return nullptr;
    const PerAxis &kernel = window.kernel, &padding = window.padding;
    const int y = pixel.y * window.stride + (transposed ? padding.y - kernel.y + 1 : -padding.y);
    const int column =
        pixel.x * window.stride + (transposed ? padding.x - kernel.x + 1 : -padding.x);
    const int height = transposed ? window.out_height() : window.height;
    const int width = transposed ? window.out_width() : window.width;
    const int last_y = height - kernel.y, last_column = width - kernel.x;
    if (y < 0 || y > last_y || column < 0 || column > last_column) return nullptr;
    return x.row(pixel.sample * source_pixels() + y * width + column);
  }

  /// Where a tap's channels begin, relative to that pixel.
  KOKKOS_INLINE_FUNCTION std::ptrdiff_t offset(int tap) const {
    const int from = transposed ? window.taps() - 1 - tap : tap;
    const int width = transposed ? window.out_width() : window.width;
    return std::ptrdiff_t(from / window.kernel.x * width + from % window.kernel.x) * x.stride;
  }

  /// Taps, from l on, whose channels follow those of tap l in x, inside or not.
  KOKKOS_INLINE_FUNCTION int adjoining(const Pixel& pixel, int l) const {
    const int first = pixel.x * window.stride - window.padding.x;
    const bool inside = first >= 0 && first + window.kernel.x <= window.width;
    return !transposed && inside && x.stride == x.cols ? window.kernel.x - l : 1;
  }

  /// The same for tap `tap` = k kernel.x + l.
  KOKKOS_INLINE_FUNCTION const T* segment(int row, int tap) const {
    return segment(pixel(row), tap / window.kernel.x, tap % window.kernel.x);
  }

  /// Element (row, column).
  KOKKOS_INLINE_FUNCTION T operator()(int row, int col) const {
    const T* channels = segment(row, col / x.cols);
    return channels == nullptr ? T(0) : channels[col % x.cols];
  }

 private:
  /// The source's coordinate under tap k; -1 if none is in [0, extent).
  KOKKOS_INLINE_FUNCTION int source(int coordinate, int k, int padding, int extent) const {
    int at;
    if (transposed) {
      const int scaled = coordinate + padding - k;
      at = window.stride == 1 ? scaled : scaled / window.stride;
      if (at * window.stride != scaled) return -1;
    } else {
      at = coordinate * window.stride - padding + k;
    }
    return at >= 0 && at < extent ? at : -1;
  }
};

namespace detail {

template <class X>
inline constexpr bool is_patches = false;
template <class T>
inline constexpr bool is_patches<Patches<T>> = true;
template <class T, class X>
inline constexpr bool is_patches_of = std::is_same_v<X, Patches<T>>;

template <class X>
struct ElementOf;
template <class T>
struct ElementOf<Patches<T>> {
  using type = T;
};
template <class T>
struct ElementOf<Matrix<T>> {
  using type = std::remove_const_t<T>;
};
/// The type of an operand's elements.
template <class X>
using element_of = typename ElementOf<X>::type;

}  // namespace detail

}  // namespace vrfm
