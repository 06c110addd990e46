// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MultiHeadAttention: y = softmax(q k^T / sqrt(depth)) v for each sample and head (Vaswani et al.
// 2017), exact. Exponentials are of differences from the row's largest score, so none overflows.
// Queries, keys and values are columns of x in one of two orders; y's columns are [head][depth]. On hosts a
// thread holds at most max(131072, 32 pixels) scores at a time, twice as many in backward; on devices all hold at
// most max(2^24, 32 heads pixels) together. x and y may be stored in
// BFloat16; scores are of the arena's type. Gradients of keys and values are then rounded after each block of
// queries; up to 362 pixels (hosts) there is one block.
#pragma once

#include <vrfm/layers/detail/attention_group.hpp>

namespace vrfm {

/// The order of the columns that attention reads.
enum class AttentionColumns {
  by_head,  ///< [head][q | k | v][depth]: Dhariwal and Nichol's U-Net
  by_part   ///< [q | k | v][head][depth]: PyTorch's nn.MultiheadAttention, and timm
};

class MultiHeadAttention {
 public:
  static constexpr bool has_parameters = false;

  template <class T, class X = T>
  struct Saved {
    detail::AttentionOperands<T, X> operands;
  };

  MultiHeadAttention() = default;

  /// From 3 channels columns to `channels`. Throws std::invalid_argument for extents below 1, or if
  /// the heads do not divide the channels.
  MultiHeadAttention(int pixels, int channels, int heads,
                     AttentionColumns order = AttentionColumns::by_head) {
    expect(pixels > 0 && channels > 0, "attention needs at least one pixel and one channel, got ",
           pixels, " and ", channels);
    expect(heads > 0 && channels % heads == 0, "attention needs heads that divide its ", channels,
           " channels, got ", heads);
    const int depth = channels / heads;
    const bool by_head = order == AttentionColumns::by_head;
    shape_ = {pixels, heads, depth, by_head ? 3 * depth : depth, by_head ? depth : channels};
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return 3 * outputs(); }
  KOKKOS_INLINE_FUNCTION int outputs() const { return shape_.heads * shape_.depth; }
  KOKKOS_INLINE_FUNCTION int input_pixels() const { return shape_.pixels; }
  KOKKOS_INLINE_FUNCTION int output_pixels() const { return shape_.pixels; }

  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P*, Matrix<X> x, Matrix<Y> y,
                               Saved<T, Y>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int pieces = x.rows / shape_.pixels * shape_.heads;
    const Matrix<T> maxima = arena.take(pieces, shape_.pixels),
                    inverse_sums = arena.take(pieces, shape_.pixels);
    const detail::AttentionOperands<T, Y> operands{shape_, x, y, maxima, inverse_sums};
    each_group<false>(ctx, x.rows, detail::AttentionForward<T, Y>{operands, y}, arena);
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->operands = operands;
    }
  }

  template <class Ctx, class P, class T, class X, class D, class DX>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P*, Gradient<T>, Matrix<X> x, Matrix<D> dy,
                                Matrix<DX> dx, const Saved<T, DX>& saved, Arena<T>& arena) const {
    if (dx.empty()) return;
    each_group<true>(ctx, x.rows, detail::AttentionBackward<T, DX>{saved.operands, dy, dx}, arena);
  }

  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P*, Matrix<X> dx, Matrix<Y> dy,
                               const Saved<T, Y>& saved, Arena<T>& arena) const {
    each_group<false>(ctx, dx.rows, detail::AttentionTangent<T, Y>{saved.operands, dx, dy}, arena);
  }

 private:
  /// `step` for all queries of all pieces. in_order: one after the other for the queries of one piece.
  VRFM_UNCHECKED_HOST_DEVICE
  template <bool in_order, class Ctx, class T, class Step>
  KOKKOS_FUNCTION void each_group(const Ctx& ctx, int rows, const Step& step,
                                  Arena<T>& arena) const {
    const int samples = rows / shape_.pixels, pieces = samples * shape_.heads;
    const int tiles =
        in_order ? pieces : pieces * shape_.blocks(detail::AttentionShape::tile_scores);
    const detail::AttentionTile<Step, in_order> tile{step, shape_};
    if constexpr (requires { requires Ctx::by_batches; }) {
      if (ctx.measures_tile()) {
        MeasureContext{}.each_tile(tiles, tile, arena);
      } else {
        detail::attend_in_batches(ctx, shape_, samples, step, arena);
      }
    } else {
      ctx.each_tile(tiles, tile, arena);
    }
  }

  detail::AttentionShape shape_;
};

}  // namespace vrfm
