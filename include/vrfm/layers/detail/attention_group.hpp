// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What MultiHeadAttention (vrfm/layers/attention.hpp) does with a group of heads, some queries at a time: their
// scores are a block of rows, and no more of the score matrix ever exists. Scores are of type T, queries, keys,
// values and results of type X, which may be BFloat16. Backward computes the scores anew from each row's largest
// score and sum of exponentials, as Dao et al. 2022 ("FlashAttention") do. In a tile the group is one head of one
// sample; of a whole batch it is all heads of many samples, whose products are then one batch (gemm_batch).
#pragma once

#include <vrfm/core/fast_math.hpp>
#include <vrfm/layers/detail/row_sums.hpp>
#include <vrfm/layers/layer.hpp>

namespace vrfm::detail {

/// The layer's extents, and where the parts of its operands are.
struct AttentionShape {
  /// Scores of a block, whose queries are at least `least_queries`: in a tile, where two such blocks of floats are
  /// 1 MiB, which a core's cache holds; of a batch, where they fill a device. Each block reads all keys anew, so
  /// fewer queries cost speed.
  static constexpr int tile_scores = 131072, batch_scores = 1 << 24, least_queries = 32;

  int pixels = 1, heads = 1, depth = 1;
  int next_head = 3,
      next_part = 1;  ///< columns from one head to the next, and from queries to keys

  KOKKOS_INLINE_FUNCTION int queries(int scores) const {
    return math::minimum(pixels, math::maximum(least_queries, scores / pixels));
  }
  KOKKOS_INLINE_FUNCTION int blocks(int scores) const {
    return (pixels + queries(scores) - 1) / queries(scores);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION T scale() const {
    return T(1) / math::sqrt(static_cast<T>(depth));
  }
};

/// Queries [first, first + count) of the pieces from `piece` on, a piece being one head of one sample: of one, or of
/// all heads of some samples.
struct AttentionGroup {
  AttentionShape shape;
  int piece;
  BatchCounts counts;  // samples, heads
  int first, count;

  KOKKOS_INLINE_FUNCTION int rows() const { return counts.all() * count; }

  /// Where row r = (piece of the group) count + query has its place in a table of pieces x pixels.
  KOKKOS_INLINE_FUNCTION std::ptrdiff_t place(int r) const {
    return std::ptrdiff_t(piece + r / count) * shape.pixels + first + r % count;
  }

  /// Queries (part 0), keys (1) or values (2) of each piece, all pixels.
  template <class X>
  KOKKOS_INLINE_FUNCTION MatrixBatch<X> part(const Matrix<X>& x, int part) const {
    return columns(x, shape.next_head, part * shape.next_part);
  }
  template <class X>
  KOKKOS_INLINE_FUNCTION MatrixBatch<X> output(const Matrix<X>& y) const {
    return columns(y, shape.depth, 0);
  }
  /// The group's queries of these.
  template <class X>
  KOKKOS_INLINE_FUNCTION MatrixBatch<X> own(const MatrixBatch<X>& x) const {
    return x.row_range(first, count);
  }
  /// Rows of scores as one matrix a piece.
  template <class T>
  KOKKOS_INLINE_FUNCTION MatrixBatch<T> pieces(const Matrix<T>& scores) const {
    const std::ptrdiff_t next = std::ptrdiff_t(count) * scores.stride;
    return {scores.row_range(0, count), next * counts.inner, next};
  }

 private:
  template <class X>
  KOKKOS_INLINE_FUNCTION MatrixBatch<X> columns(const Matrix<X>& x, int next_head,
                                                int offset) const {
    return {x.row_range(piece / shape.heads * shape.pixels, shape.pixels)
                .col_range(piece % shape.heads * next_head + offset, shape.depth),
            std::ptrdiff_t(shape.pixels) * x.stride, next_head};
  }
};

/// row[j] = exp(scale (row[j] - maximum)); returns row[j].
template <class T>
struct Exponential {
  T* row;
  T maximum, scale;
  KOKKOS_INLINE_FUNCTION T operator()(int j) const {
    return row[j] = fast::exp(scale * (row[j] - maximum));
  }
};

template <class T, class X>
struct ElementProduct {
  const X *x, *y;
  KOKKOS_INLINE_FUNCTION T operator()(int j) const { return x[j] * y[j]; }
};

/// Row: scores become their exponentials; saves the row's maximum and the inverse of its sum.
template <class T>
struct ExponentialRow {
  AttentionGroup group;
  Matrix<T> scores;
  T *maxima, *inverse_sums;
  T scale;
  KOKKOS_INLINE_FUNCTION void operator()(int r) const {
    T* const row = scores.row(r);
    const std::ptrdiff_t place = group.place(r);
    maxima[place] = row_maximum(row, scores.cols);
    inverse_sums[place] = T(1) / row_sum<T>(scores.cols, Exponential<T>{row, maxima[place], scale});
  }
};

/// Row: out[r] = sum over the columns of x y, rows of a query each.
template <class T, class X>
struct RowProduct {
  AttentionGroup group;
  MatrixBatch<const X> x, y;
  T* out;
  KOKKOS_INLINE_FUNCTION void operator()(int r) const {
    const int k = r / group.count, i = r % group.count;
    const auto left = x.at(k, group.counts), right = y.at(k, group.counts);
    out[r] = row_sum<T>(left.cols, ElementProduct<T, X>{left.row(i), right.row(i)});
  }
};

/// Element of a query's output: *= the inverse of its sum of exponentials.
template <class T, class Y>
struct ScaleQueries {
  AttentionGroup group;
  const T* inverse_sums;
  MatrixBatch<Y> y;
  KOKKOS_INLINE_FUNCTION void operator()(int r, int j) const {
    Y& out = y.at(r / group.count, group.counts)(r % group.count, j);
    out = out * inverse_sums[group.place(r)];
  }
};

/// Element: a score becomes its probability.
template <class T>
struct Probability {
  AttentionGroup group;
  Matrix<T> scores;
  const T *maxima, *inverse_sums;
  T scale;
  KOKKOS_INLINE_FUNCTION void operator()(int r, int j) const {
    const std::ptrdiff_t place = group.place(r);
    scores(r, j) = fast::exp(scale * (scores(r, j) - maxima[place])) * inverse_sums[place];
  }
};

/// Element of the softmax's derivative, which is its own transpose: d = scale p (d - mean), `mean` the row's
/// sum of p d.
template <class T>
struct SoftmaxDerivative {
  ConstMatrix<T> probabilities;
  const T* mean;
  Matrix<T> d;
  T scale;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    d(i, j) = scale * probabilities(i, j) * (d(i, j) - mean[i]);
  }
};

/// The operands of backward and tangent, and what gives the rows' probabilities.
template <class T, class X>
struct AttentionOperands {
  AttentionShape shape;
  Matrix<const X> x, y;
  Matrix<T> maxima, inverse_sums;  ///< (samples heads) x pixels

  template <class Ctx>
  KOKKOS_FUNCTION void probabilities(const Ctx& ctx, const AttentionGroup& g, Matrix<T> out) const {
    ctx.template gemm_batch<Op::none, Op::transpose>(g.counts, g.own(g.part(x, 0)), g.part(x, 1),
                                                     g.pieces(out), Update::overwrite);
    ctx.map(g.rows(), shape.pixels,
            Probability<T>{g, out, maxima.data, inverse_sums.data, shape.template scale<T>()});
  }
};

template <class T, class X>
struct AttentionForward {
  AttentionOperands<T, X> operands;
  Matrix<X> y;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const AttentionGroup& g, Arena<T>& arena) const {
    const auto& o = operands;
    const Matrix<T> scores = arena.take(g.rows(), o.shape.pixels);
    ctx.template gemm_batch<Op::none, Op::transpose>(
        g.counts, g.own(g.part(o.x, 0)), g.part(o.x, 1), g.pieces(scores), Update::overwrite);
    ctx.each_row(g.rows(), ExponentialRow<T>{g, scores, o.maxima.data, o.inverse_sums.data,
                                             o.shape.template scale<T>()});
    const MatrixBatch<X> out = g.own(g.output(y));
    ctx.template gemm_batch<Op::none, Op::none>(g.counts, g.pieces(scores), g.part(o.x, 2), out,
                                                Update::overwrite);
    ctx.map(g.rows(), o.shape.depth, ScaleQueries<T, X>{g, o.inverse_sums.data, out});
  }
};

/// Gradients of keys and values are sums over blocks of queries, which follow one another.
template <class T, class X>
struct AttentionBackward {
  AttentionOperands<T, X> operands;
  Matrix<const X> dy;
  Matrix<X> dx;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const AttentionGroup& g, Arena<T>& arena) const {
    const auto& o = operands;
    const int rows = g.rows(), pixels = o.shape.pixels;
    const auto update = g.first == 0 ? Update::overwrite : Update::accumulate;
    const Matrix<T> p = arena.take(rows, pixels), d = arena.take(rows, pixels),
                    mean = arena.take(1, rows);
    const MatrixBatch<const X> dout = g.own(g.output(dy));
    o.probabilities(ctx, g, p);
    ctx.template gemm_batch<Op::transpose, Op::none>(g.counts, g.pieces(p), dout, g.part(dx, 2),
                                                     update);
    // sum_j p_ij d_ij = dy_i . y_i
    ctx.each_row(rows, RowProduct<T, X>{g, dout, g.own(g.output(o.y)), mean.data});
    ctx.template gemm_batch<Op::none, Op::transpose>(g.counts, dout, g.part(o.x, 2), g.pieces(d),
                                                     Update::overwrite);
    ctx.map(rows, pixels, SoftmaxDerivative<T>{p, mean.data, d, o.shape.template scale<T>()});
    ctx.template gemm_batch<Op::none, Op::none>(g.counts, g.pieces(d), g.part(o.x, 1),
                                                g.own(g.part(dx, 0)), Update::overwrite);
    ctx.template gemm_batch<Op::transpose, Op::none>(g.counts, g.pieces(d), g.own(g.part(o.x, 0)),
                                                     g.part(dx, 1), update);
  }
};

template <class T, class X>
struct AttentionTangent {
  AttentionOperands<T, X> operands;
  Matrix<const X> dx;
  Matrix<X> dy;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const AttentionGroup& g, Arena<T>& arena) const {
    const auto& o = operands;
    const int rows = g.rows(), pixels = o.shape.pixels;
    const Matrix<T> p = arena.take(rows, pixels), d = arena.take(rows, pixels),
                    mean = arena.take(1, rows);
    o.probabilities(ctx, g, p);
    ctx.template gemm_batch<Op::none, Op::transpose>(g.counts, g.own(g.part(dx, 0)), g.part(o.x, 1),
                                                     g.pieces(d), Update::overwrite);
    ctx.template gemm_batch<Op::none, Op::transpose>(g.counts, g.own(g.part(o.x, 0)), g.part(dx, 1),
                                                     g.pieces(d), Update::accumulate);
    ctx.each_row(rows, RowProduct<T, T>{g, g.pieces(p), g.pieces(d), mean.data});
    ctx.map(rows, pixels, SoftmaxDerivative<T>{p, mean.data, d, o.shape.template scale<T>()});
    const MatrixBatch<X> out = g.own(g.output(dy));
    ctx.template gemm_batch<Op::none, Op::none>(g.counts, g.pieces(d), g.part(o.x, 2), out,
                                                Update::overwrite);
    ctx.template gemm_batch<Op::none, Op::none>(g.counts, g.pieces(p), g.part(dx, 2), out,
                                                Update::accumulate);
  }
};

/// Tile: one block of queries of one piece, or with all blocks one after the other, as sums ask for.
template <class Step, bool all_blocks>
struct AttentionTile {
  Step step;
  AttentionShape shape;

  template <class Ctx, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int tile, Arena<T>& arena) const {
    const int blocks = shape.blocks(AttentionShape::tile_scores),
              most = shape.queries(AttentionShape::tile_scores);
    const int first_block = all_blocks ? 0 : tile % blocks;
    const int end_block = all_blocks ? blocks : first_block + 1;
    const auto mark = arena.used();
    for (int b = first_block; b < end_block; ++b) {
      const int first = b * most;
      step(ctx,
           AttentionGroup{shape,
                          all_blocks ? tile : tile / blocks,
                          {1, 1},
                          first,
                          math::minimum(most, shape.pixels - first)},
           arena);
      arena.rewind(mark);
    }
  }
};

/// The step for each group, one after the other, with about `scores` at a time: the verbs are of a whole batch.
VRFM_UNCHECKED_HOST_DEVICE
template <class Ctx, class T, class Step>
KOKKOS_FUNCTION void attend_in_batches(const Ctx& ctx, const AttentionShape& shape, int samples,
                                       const Step& step, Arena<T>& arena,
                                       int scores = AttentionShape::batch_scores) {
  const auto mark = arena.used();
  const int of_head = scores / shape.heads;
  const int queries = shape.queries(of_head);
  const int together = math::maximum(1, of_head / queries / shape.pixels);
  for (int sample = 0; sample < samples; sample += together) {
    const BatchCounts counts{math::minimum(together, samples - sample), shape.heads};
    for (int first = 0; first < shape.pixels; first += queries) {
      const int count = math::minimum(queries, shape.pixels - first);
      step(ctx, AttentionGroup{shape, sample * shape.heads, counts, first, count}, arena);
      arena.rewind(mark);
    }
  }
}

}  // namespace vrfm::detail
