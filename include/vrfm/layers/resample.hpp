// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AveragePool: an output pixel is the mean of a block of factor x factor input pixels (PyTorch's
// nn.AvgPool2d(factor)). NearestUpsample: an output pixel is the input pixel that it lies in
// (PyTorch's nn.Upsample(scale_factor = factor)). Up to a factor, each is the transpose of the
// other.
#pragma once

#include <vrfm/layers/layer.hpp>
#include <vrfm/linalg/elementwise.hpp>

namespace vrfm {

namespace detail {

/// y(i, j) = a x(i, j)
template <class T>
struct ScaledCopy {
  T a;
  ConstMatrix<T> x;
  Matrix<T> y;
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

/// coarse = scale * (sum of the block's pixels); a tile is one row of one image.
template <class T>
struct SumBlocks {
  Blocks blocks;
  T scale;
  ConstMatrix<T> fine;
  Matrix<T> coarse;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    const int height = blocks.coarse_height(), width = blocks.coarse_width();
    const int first = k / height * blocks.height + k % height * blocks.factor;
    const Matrix<T> out = coarse.row_range(k * width, width);
    for (int tap = 0; tap < blocks.factor * blocks.factor; ++tap) {
      const Matrix<const T> in =
          blocks.block_columns(fine, first + tap / blocks.factor, tap % blocks.factor);
      if (tap == 0) {
        ctx.map(width, out.cols, ScaledCopy<T>{scale, in, out});
      } else {
        ctx.map(width, out.cols, AddScaled<T>{scale, in, out});
      }
    }
  }
};

/// fine = scale * (its block's coarse pixel), zero where there is none; a tile is one row of one image.
template <class T>
struct SpreadBlocks {
  Blocks blocks;
  T scale;
  ConstMatrix<T> coarse;
  Matrix<T> fine;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    const int row = k % blocks.height / blocks.factor, width = blocks.coarse_width();
    const bool inside = row < blocks.coarse_height();
    if (inside) {
      const int first = (k / blocks.height * blocks.coarse_height() + row) * width;
      const Matrix<const T> in = coarse.row_range(first, width);
      for (int column = 0; column < blocks.factor; ++column) {
        ctx.map(width, in.cols, ScaledCopy<T>{scale, in, blocks.block_columns(fine, k, column)});
      }
    }
    const int covered = inside ? width * blocks.factor : 0, rest = blocks.width - covered;
    if (rest == 0) return;
    ctx.map(rest, fine.cols, Fill<T>{fine.row_range(k * blocks.width + covered, rest), T(0)});
  }
};

template <class Ctx, class T>
KOKKOS_FUNCTION void sum_blocks(const Ctx& ctx, const Blocks& blocks, T scale, ConstMatrix<T> fine,
                                Matrix<T> coarse, Arena<T>& arena) {
  ctx.each_tile(coarse.rows / blocks.coarse_width(), SumBlocks<T>{blocks, scale, fine, coarse},
                arena);
}

template <class Ctx, class T>
KOKKOS_FUNCTION void spread_blocks(const Ctx& ctx, const Blocks& blocks, T scale,
                                   ConstMatrix<T> coarse, Matrix<T> fine, Arena<T>& arena) {
  ctx.each_tile(fine.rows / blocks.width, SpreadBlocks<T>{blocks, scale, coarse, fine}, arena);
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

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T*, ConstMatrix<T> x, Matrix<T> y, Saved<T>*,
                               Arena<T>& arena) const {
    detail::sum_blocks<Ctx, T>(ctx, blocks_, share<T>(), x, y, arena);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T*, Gradient<T>, ConstMatrix<T>,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>&,
                                Arena<T>& arena) const {
    if (dx.empty()) return;
    detail::spread_blocks<Ctx, T>(ctx, blocks_, share<T>(), dy, dx, arena);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T*, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>&, Arena<T>& arena) const {
    detail::sum_blocks<Ctx, T>(ctx, blocks_, share<T>(), dx, dy, arena);
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

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T*, ConstMatrix<T> x, Matrix<T> y, Saved<T>*,
                               Arena<T>& arena) const {
    detail::spread_blocks<Ctx, T>(ctx, blocks_, T(1), x, y, arena);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T*, Gradient<T>, ConstMatrix<T>,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>&,
                                Arena<T>& arena) const {
    if (dx.empty()) return;
    detail::sum_blocks<Ctx, T>(ctx, blocks_, T(1), dy, dx, arena);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T*, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>&, Arena<T>& arena) const {
    detail::spread_blocks<Ctx, T>(ctx, blocks_, T(1), dx, dy, arena);
  }

 private:
  detail::Blocks blocks_;
  int channels_ = 0;
};

}  // namespace vrfm
