// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Patches: a batch of channels-last images, read without a copy as the left operand of a
// convolution that is written as a matrix product (im2col; Chellapilla, Puri and Simard 2006). A
// row is an output pixel; its columns are the input pixels under the kernel, tap by tap, all
// channels of a tap adjacent. Transposed patches are those of the convolution's adjoint: rows are
// input pixels, taps the output pixels that the input pixel went into. Signals are images of one line.
// Volumes are stacks of planes, whose lines are numbered through all planes, and so are those of a
// kernel: whoever reads patches knows lines and columns alone.
#pragma once

#include <cstddef>

#include <vrfm/core/matrix.hpp>
#include <vrfm/linalg/pixel_grid.hpp>

namespace vrfm {

/// A number for lines and one for columns; one int is both.
struct PerAxis {
  int y = 0, x = 0;

  KOKKOS_INLINE_FUNCTION constexpr PerAxis(int both) : y(both), x(both) {}
  KOKKOS_INLINE_FUNCTION constexpr PerAxis(int down, int across) : y(down), x(across) {}
};

/// How a window moves over images: output pixel (y, x) sees input pixels
/// (y stride - padding.y + k, x stride - padding.x + l) for taps 0 <= k < kernel.y, 0 <= l < kernel.x;
/// over volumes along z alike.
struct Window {
  int height = 0, width = 0;  ///< of the input image, or of a plane of it
  PerAxis kernel = 1;
  int stride = 1;
  PerAxis padding = 0;
  int behind = 0;  ///< further padding of images, below and to the right alone
  int axes = 2;    ///< of a signal 1: its height and kernel.y are 1, its padding.y 0; of a volume 3
  int depth = 1, kernel_z = 1, padding_z = 0;  ///< along z

  /// The same along each axis of the grid.
  static constexpr Window over(const PixelGrid& grid, int kernel, int stride = 1, int padding = 0) {
    const PixelGrid taps = grid.each(kernel);
    return {.height = grid.height,
            .width = grid.width,
            .kernel = {taps.height, taps.width},
            .stride = stride,
            .padding = {grid.axes > 1 ? padding : 0, padding},
            .axes = grid.axes,
            .depth = grid.depth,
            .kernel_z = taps.depth,
            .padding_z = grid.axes > 2 ? padding : 0};
  }

  KOKKOS_INLINE_FUNCTION bool is_volume() const { return axes == 3; }
  KOKKOS_INLINE_FUNCTION int out_depth() const {
    return is_volume() ? out(depth, kernel_z, padding_z) : 1;
  }
  KOKKOS_INLINE_FUNCTION int out_height() const { return out(height, kernel.y, padding.y); }
  KOKKOS_INLINE_FUNCTION int out_width() const { return out(width, kernel.x, padding.x); }
  KOKKOS_INLINE_FUNCTION int pixels() const { return depth * height * width; }
  KOKKOS_INLINE_FUNCTION int out_pixels() const { return out_depth() * out_height() * out_width(); }
  KOKKOS_INLINE_FUNCTION int taps() const { return kernel_z * kernel.y * kernel.x; }

  PixelGrid out_grid() const { return along(out_depth(), out_height(), out_width()); }
  /// Of these as many as there are axes.
  PixelGrid along(int z, int y, int x) const {
    PixelGrid grid(z, y, x);
    grid.axes = axes;
    return grid;
  }

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

  /// Where a row lies; lines are those of all planes.
  struct Pixel {
    int sample, line, x;
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
    if (++pixel.line * width < row_pixels()) return;
    pixel.line = 0;
    ++pixel.sample;
  }

  /// The channels of tap (k, l) of one row, k a line of the kernel; nullptr where the tap lies outside: zeros.
  KOKKOS_INLINE_FUNCTION const T* segment(const Pixel& pixel, int k, int l) const {
    const int width = source_width();
    const int line = source_line(pixel.line, k);
    const int column = source(pixel.x, l, window.padding.x, width);
    if (line < 0 || column < 0) return nullptr;
    return x.row(pixel.sample * source_pixels() + line * width + column);
  }

  /// The first of the pixels under a row's window; nullptr unless all its taps lie inside, each one
  /// pixel from the next.
  KOKKOS_INLINE_FUNCTION const T* corner(const Pixel& pixel) const {
    if (transposed && window.stride > 1) return nullptr;
    const int width = source_width();
    const int line = first_line(pixel.line);
    const int column = first(pixel.x, window.kernel.x, window.padding.x, width);
    if (line < 0 || column < 0) return nullptr;
    return x.row(pixel.sample * source_pixels() + line * width + column);
  }

  /// Where a tap's channels begin, relative to that pixel.
  KOKKOS_INLINE_FUNCTION std::ptrdiff_t offset(int tap) const {
    const int from = transposed ? window.taps() - 1 - tap : tap;
    int line = from / window.kernel.x;
    if (window.is_volume()) {
      line = line / window.kernel.y * source_height() + line % window.kernel.y;
    }
    return std::ptrdiff_t(line * source_width() + from % window.kernel.x) * x.stride;
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
  KOKKOS_INLINE_FUNCTION int source_width() const {
    return transposed ? window.out_width() : window.width;
  }
  KOKKOS_INLINE_FUNCTION int source_height() const {
    return transposed ? window.out_height() : window.height;
  }
  KOKKOS_INLINE_FUNCTION int source_depth() const {
    return transposed ? window.out_depth() : window.depth;
  }
  /// Of a row.
  KOKKOS_INLINE_FUNCTION int row_height() const {
    return transposed ? window.height : window.out_height();
  }

  /// The source's line under line k of the kernel; -1 if there is none.
  KOKKOS_INLINE_FUNCTION int source_line(int line, int k) const {
    const int height = source_height(), taps = window.kernel.y;
    if (!window.is_volume()) return source(line, k, window.padding.y, height);
    const int z = source(line / row_height(), k / taps, window.padding_z, source_depth());
    const int y = source(line % row_height(), k % taps, window.padding.y, height);
    return z < 0 || y < 0 ? -1 : z * height + y;
  }

  /// The first of the source's lines under the window; negative unless all of them are there.
  KOKKOS_INLINE_FUNCTION int first_line(int line) const {
    const int height = source_height(), taps = window.kernel.y;
    if (!window.is_volume()) return first(line, taps, window.padding.y, height);
    const int z = first(line / row_height(), window.kernel_z, window.padding_z, source_depth());
    const int y = first(line % row_height(), taps, window.padding.y, height);
    return z < 0 || y < 0 ? -1 : z * height + y;
  }

  /// The first of the source's coordinates under `taps` taps; negative unless all are in [0, extent).
  KOKKOS_INLINE_FUNCTION int first(int coordinate, int taps, int padding, int extent) const {
    const int at = coordinate * window.stride + (transposed ? padding - taps + 1 : -padding);
    return at <= extent - taps ? at : -1;
  }

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
