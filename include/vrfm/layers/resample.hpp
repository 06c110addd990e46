// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AveragePool: an output pixel is the mean of a block of factor x factor input pixels (PyTorch's
// nn.AvgPool2d(factor)). NearestUpsample: an output pixel is the input pixel that it lies in
// (PyTorch's nn.Upsample(scale_factor = factor)). Up to a factor, each is the transpose of the
// other. x and y may be of types of their own, such as BFloat16; sums are of the arena's.
#pragma once

#include <vrfm/layers/layer.hpp>
#include <vrfm/linalg/elementwise.hpp>

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

/// Coarse images and fine ones: a block of factor x factor fine pixels is one coarse pixel. Fine
/// rows and columns that fill no block belong to none.
struct Blocks {
  int height = 1, width = 1;  ///< of the fine images
  int factor = 1;

  KOKKOS_INLINE_FUNCTION int coarse_height() const { return height / factor; }
  KOKKOS_INLINE_FUNCTION int coarse_width() const { return width / factor; }
  KOKKOS_INLINE_FUNCTION int pixels() const { return height * width; }
  KOKKOS_INLINE_FUNCTION int coarse_pixels() const { return coarse_height() * coarse_width(); }

  /// Column `column` of each block in fine image row `row` of all samples.
  template <class M>
  KOKKOS_INLINE_FUNCTION M block_columns(const M& fine, int row, int column) const {
    M result = fine.row_range(row * width + column, coarse_width());
    result.stride *= factor;
    return result;
  }
};

/// Pixel i of a row of coarse ones, channel j: scale * (sum of the block's pixels), rounded once.
template <class T, class X, class Y>
struct SumBlock {
  Blocks blocks;
  T scale;
  Matrix<const X> fine;  ///< from the row's first block on
  Matrix<Y> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    T sum = T(0);
    for (int tap = 0; tap < blocks.factor * blocks.factor; ++tap) {
      const int row = tap / blocks.factor, column = i * blocks.factor + tap % blocks.factor;
      sum += fine(row * blocks.width + column, j);
    }
    out(i, j) = scale * sum;
  }
};

/// coarse = scale * (sum of the block's pixels); a tile is one row of one image.
template <class T, class X, class Y>
struct SumBlocks {
  Blocks blocks;
  T scale;
  Matrix<const X> fine;
  Matrix<Y> coarse;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    const int height = blocks.coarse_height(), width = blocks.coarse_width();
    const int first = k / height * blocks.height + k % height * blocks.factor;
    const Matrix<Y> out = coarse.row_range(k * width, width);
    if constexpr (std::is_same_v<X, T> && std::is_same_v<Y, T>) {
      for (int tap = 0; tap < blocks.factor * blocks.factor; ++tap) {
        const Matrix<const T> in =
            blocks.block_columns(fine, first + tap / blocks.factor, tap % blocks.factor);
        if (tap == 0) {
          ctx.map(width, out.cols, ScaledCopy<T>{scale, in, out});
        } else {
          ctx.map(width, out.cols, AddScaled<T>{scale, in, out});
        }
      }
    } else {
      const Matrix<const X> in = fine.row_range(first * blocks.width, blocks.factor * blocks.width);
      ctx.map(width, out.cols, SumBlock<T, X, Y>{blocks, scale, in, out});
    }
  }
};

/// fine = scale * (its block's coarse pixel), zero where there is none; a tile is one row of one image.
template <class T, class X, class Y>
struct SpreadBlocks {
  Blocks blocks;
  T scale;
  Matrix<const X> coarse;
  Matrix<Y> fine;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    const int row = k % blocks.height / blocks.factor, width = blocks.coarse_width();
    const bool inside = row < blocks.coarse_height();
    if (inside) {
      const int first = (k / blocks.height * blocks.coarse_height() + row) * width;
      const Matrix<const X> in = coarse.row_range(first, width);
      for (int column = 0; column < blocks.factor; ++column) {
        ctx.map(width, in.cols,
                ScaledCopy<T, X, Y>{scale, in, blocks.block_columns(fine, k, column)});
      }
    }
    const int covered = inside ? width * blocks.factor : 0, rest = blocks.width - covered;
    if (rest == 0) return;
    ctx.map(rest, fine.cols, Fill<Y>{fine.row_range(k * blocks.width + covered, rest), Y(0)});
  }
};

template <class Ctx, class T, class X, class Y>
KOKKOS_FUNCTION void sum_blocks(const Ctx& ctx, const Blocks& blocks, T scale, Matrix<X> fine,
                                Matrix<Y> coarse, Arena<T>& arena) {
  ctx.each_tile(coarse.rows / blocks.coarse_width(),
                SumBlocks<T, std::remove_const_t<X>, Y>{blocks, scale, fine, coarse}, arena);
}

template <class Ctx, class T, class X, class Y>
KOKKOS_FUNCTION void spread_blocks(const Ctx& ctx, const Blocks& blocks, T scale, Matrix<X> coarse,
                                   Matrix<Y> fine, Arena<T>& arena) {
  ctx.each_tile(fine.rows / blocks.width,
                SpreadBlocks<T, std::remove_const_t<X>, Y>{blocks, scale, coarse, fine}, arena);
}

}  // namespace detail

class AveragePool {
 public:
  static constexpr bool has_parameters = false;

  template <class T>
  struct Saved {};

  AveragePool() = default;

  /// From height x width to (height / factor) x (width / factor) pixels, rounded down: rows and
  /// columns that fill no block are left out. Throws std::invalid_argument for extents below 1, or
  /// for a factor that leaves no pixel.
  AveragePool(int height, int width, int channels, int factor)
      : blocks_{height, width, factor}, channels_(channels) {
    expect(height > 0 && width > 0 && channels > 0,
           "average pooling needs at least one pixel and one channel, got ", height, " x ", width,
           " pixels and ", channels, " channels");
    expect(factor > 0 && factor <= math::minimum(height, width), "average pooling of ", height,
           " x ", width, " pixels needs a factor from 1 to ", math::minimum(height, width),
           ", got ", factor);
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return channels_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return channels_; }
  KOKKOS_INLINE_FUNCTION int input_pixels() const { return blocks_.pixels(); }
  KOKKOS_INLINE_FUNCTION int output_pixels() const { return blocks_.coarse_pixels(); }

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
    return T(1) / static_cast<T>(blocks_.factor * blocks_.factor);
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

  /// From height x width to (height factor) x (width factor) pixels. Throws std::invalid_argument
  /// for extents or a factor below 1.
  NearestUpsample(int height, int width, int channels, int factor = 2)
      : blocks_{height * factor, width * factor, factor}, channels_(channels) {
    expect(height > 0 && width > 0 && channels > 0 && factor > 0,
           "upsampling needs at least one pixel, one channel and a factor of 1, got ", height,
           " x ", width, " pixels, ", channels, " channels and the factor ", factor);
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return channels_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return channels_; }
  KOKKOS_INLINE_FUNCTION int input_pixels() const { return blocks_.coarse_pixels(); }
  KOKKOS_INLINE_FUNCTION int output_pixels() const { return blocks_.pixels(); }

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
