// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AveragePool: an output pixel is the mean of a block of input pixels, factor along each axis of a signal,
// an image or a volume (PyTorch's nn.AvgPool1d(factor) and so on). NearestUpsample: an output pixel is
// the input pixel that it lies in (PyTorch's nn.Upsample(scale_factor = factor)). Up to a factor, each is
// the transpose of the other. x and y may be of types of their own, such as BFloat16; sums are of the arena's.
#pragma once

#include <vrfm/layers/layer.hpp>
#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/linalg/pixel_grid.hpp>

namespace vrfm {

namespace detail {

/// y(i, j) = a x(i, j)
template <class T, class X = T, class Y = T>
struct ScaledCopy {
  T a;
  Matrix<const X> x;
  Matrix<Y> y;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { y(i, j) = a * x(i, j); }
};

/// Coarse fields and fine ones: a block of fine pixels, factor along each axis, is one coarse pixel. Fine
/// pixels that fill no block belong to none.
struct Blocks {
  PixelGrid fine, coarse, block;

  Blocks() = default;
  Blocks(const PixelGrid& of_fine, int factor)
      : fine(of_fine), coarse(of_fine / factor), block(of_fine.each(factor)) {}

  /// The first fine line under coarse line k of all samples.
  KOKKOS_INLINE_FUNCTION int first_line(int k) const {
    const int plane = k / coarse.height, sample = plane / coarse.depth;
    const int z = plane % coarse.depth * block.depth, y = k % coarse.height * block.height;
    return (sample * fine.depth + z) * fine.height + y;
  }
  /// From there to the line of a tap of the block.
  KOKKOS_INLINE_FUNCTION int line_of(int tap) const {
    const int line = tap / block.width;
    return line / block.height * fine.height + line % block.height;
  }
  /// The coarse line over fine line k of all samples; -1 if there is none.
  KOKKOS_INLINE_FUNCTION int coarse_line(int k) const {
    const int plane = k / fine.height, sample = plane / fine.depth;
    const int z = plane % fine.depth / block.depth, y = k % fine.height / block.height;
    if (z >= coarse.depth || y >= coarse.height) return -1;
    return (sample * coarse.depth + z) * coarse.height + y;
  }

  /// Column `column` of each block in fine line `line` of all samples.
  template <class M>
  KOKKOS_INLINE_FUNCTION M block_columns(const M& pixels, int line, int column) const {
    M result = pixels.row_range(line * fine.width + column, coarse.width);
    result.stride *= block.width;
    return result;
  }
};

/// Pixel i of a line of coarse ones, channel j: scale * (sum of the block's pixels), rounded once.
template <class T, class X, class Y>
struct SumBlock {
  Blocks blocks;
  T scale;
  Matrix<const X> fine;  ///< from the line's first block on
  Matrix<Y> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    T sum = T(0);
    for (int tap = 0; tap < blocks.block.pixels(); ++tap) {
      const int column = i * blocks.block.width + tap % blocks.block.width;
      sum += fine(blocks.line_of(tap) * blocks.fine.width + column, j);
    }
    out(i, j) = scale * sum;
  }
};

/// coarse = scale * (sum of the block's pixels); a tile is one line of one sample.
template <class T, class X, class Y>
struct SumBlocks {
  Blocks blocks;
  T scale;
  Matrix<const X> fine;
  Matrix<Y> coarse;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    const int width = blocks.coarse.width, taps = blocks.block.pixels();
    const int first = blocks.first_line(k);
    const Matrix<Y> out = coarse.row_range(k * width, width);
    if constexpr (std::is_same_v<X, T> && std::is_same_v<Y, T>) {
      for (int tap = 0; tap < taps; ++tap) {
        const Matrix<const T> in =
            blocks.block_columns(fine, first + blocks.line_of(tap), tap % blocks.block.width);
        if (tap == 0) {
          ctx.map(width, out.cols, ScaledCopy<T>{scale, in, out});
        } else {
          ctx.map(width, out.cols, AddScaled<T>{scale, in, out});
        }
      }
    } else {
      const int lines = blocks.line_of(taps - 1) + 1, fine_width = blocks.fine.width;
      const Matrix<const X> in = fine.row_range(first * fine_width, lines * fine_width);
      ctx.map(width, out.cols, SumBlock<T, X, Y>{blocks, scale, in, out});
    }
  }
};

/// fine = scale * (its block's coarse pixel), zero where there is none; a tile is one line of one sample.
template <class T, class X, class Y>
struct SpreadBlocks {
  Blocks blocks;
  T scale;
  Matrix<const X> coarse;
  Matrix<Y> fine;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    const int line = blocks.coarse_line(k), width = blocks.coarse.width;
    const bool inside = line >= 0;
    if (inside) {
      const Matrix<const X> in = coarse.row_range(line * width, width);
      for (int column = 0; column < blocks.block.width; ++column) {
        ctx.map(width, in.cols,
                ScaledCopy<T, X, Y>{scale, in, blocks.block_columns(fine, k, column)});
      }
    }
    const int fine_width = blocks.fine.width;
    const int covered = inside ? width * blocks.block.width : 0, rest = fine_width - covered;
    if (rest == 0) return;
    ctx.map(rest, fine.cols, Fill<Y>{fine.row_range(k * fine_width + covered, rest), Y(0)});
  }
};

template <class Ctx, class T, class X, class Y>
KOKKOS_FUNCTION void sum_blocks(const Ctx& ctx, const Blocks& blocks, T scale, Matrix<X> fine,
                                Matrix<Y> coarse, Arena<T>& arena) {
  ctx.each_tile(coarse.rows / blocks.coarse.width,
                SumBlocks<T, std::remove_const_t<X>, Y>{blocks, scale, fine, coarse}, arena);
}

template <class Ctx, class T, class X, class Y>
KOKKOS_FUNCTION void spread_blocks(const Ctx& ctx, const Blocks& blocks, T scale, Matrix<X> coarse,
                                   Matrix<Y> fine, Arena<T>& arena) {
  ctx.each_tile(fine.rows / blocks.fine.width,
                SpreadBlocks<T, std::remove_const_t<X>, Y>{blocks, scale, coarse, fine}, arena);
}

}  // namespace detail

class AveragePool {
 public:
  static constexpr bool has_parameters = false;

  template <class T>
  struct Saved {};

  AveragePool() = default;

  /// From a grid's pixels to those of grid / factor; pixels that fill no block are left out. Throws
  /// std::invalid_argument for extents below 1, or for a factor that leaves no pixel.
  AveragePool(const PixelGrid& grid, int channels, int factor) : channels_(channels) {
    expect(grid.shortest() > 0 && channels > 0,
           "average pooling needs at least one pixel and one channel, got ", grid, " pixels and ",
           channels, " channels");
    expect(factor > 0 && factor <= grid.shortest(), "average pooling of ", grid,
           " pixels needs a factor from 1 to ", grid.shortest(), ", got ", factor);
    blocks_ = detail::Blocks(grid, factor);
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return channels_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return channels_; }
  KOKKOS_INLINE_FUNCTION int input_pixels() const { return blocks_.fine.pixels(); }
  KOKKOS_INLINE_FUNCTION int output_pixels() const { return blocks_.coarse.pixels(); }

  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P*, Matrix<X> x, Matrix<Y> y, Saved<T>*,
                               Arena<T>& arena) const {
    detail::sum_blocks(ctx, blocks_, share<T>(), x, y, arena);
  }

  template <class Ctx, class P, class T, class X, class D, class DX>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P*, Gradient<T>, Matrix<X>, Matrix<D> dy,
                                Matrix<DX> dx, const Saved<T>&, Arena<T>& arena) const {
    if (dx.empty()) return;
    detail::spread_blocks(ctx, blocks_, share<T>(), dy, dx, arena);
  }

  template <class Ctx, class P, class DX, class D, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P*, Matrix<DX> dx, Matrix<D> dy,
                               const Saved<T>&, Arena<T>& arena) const {
    detail::sum_blocks(ctx, blocks_, share<T>(), dx, dy, arena);
  }

 private:
  template <class T>
  KOKKOS_INLINE_FUNCTION T share() const {
    return T(1) / static_cast<T>(blocks_.block.pixels());
  }

  detail::Blocks blocks_;
  int channels_ = 0;
};

class NearestUpsample {
 public:
  static constexpr bool has_parameters = false;

  template <class T>
  struct Saved {};

  NearestUpsample() = default;

  /// From a grid's pixels to those of grid * factor. Throws std::invalid_argument for extents or a
  /// factor below 1.
  NearestUpsample(const PixelGrid& grid, int channels, int factor) : channels_(channels) {
    expect(grid.shortest() > 0 && channels > 0 && factor > 0,
           "upsampling needs at least one pixel, one channel and a factor of 1, got ", grid,
           " pixels, ", channels, " channels and the factor ", factor);
    blocks_ = detail::Blocks(grid * factor, factor);
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return channels_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return channels_; }
  KOKKOS_INLINE_FUNCTION int input_pixels() const { return blocks_.coarse.pixels(); }
  KOKKOS_INLINE_FUNCTION int output_pixels() const { return blocks_.fine.pixels(); }

  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P*, Matrix<X> x, Matrix<Y> y, Saved<T>*,
                               Arena<T>& arena) const {
    detail::spread_blocks(ctx, blocks_, T(1), x, y, arena);
  }

  template <class Ctx, class P, class T, class X, class D, class DX>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P*, Gradient<T>, Matrix<X>, Matrix<D> dy,
                                Matrix<DX> dx, const Saved<T>&, Arena<T>& arena) const {
    if (dx.empty()) return;
    detail::sum_blocks(ctx, blocks_, T(1), dy, dx, arena);
  }

  template <class Ctx, class P, class DX, class D, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P*, Matrix<DX> dx, Matrix<D> dy,
                               const Saved<T>&, Arena<T>& arena) const {
    detail::spread_blocks(ctx, blocks_, T(1), dx, dy, arena);
  }

 private:
  detail::Blocks blocks_;
  int channels_ = 0;
};

}  // namespace vrfm
