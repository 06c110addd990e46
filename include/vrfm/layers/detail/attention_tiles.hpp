// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What MultiHeadAttention (vrfm/layers/attention.hpp) does with one head of one sample, some
// queries at a time: their scores are a block of rows, and no more of the score matrix ever exists.
// Scores are of type T, queries, keys, values and results of type X, which may be BFloat16.
// Backward computes the scores anew from each row's largest score and sum of exponentials, as Dao
// et al. 2022 ("FlashAttention") do.
#pragma once

#include <vrfm/core/fast_math.hpp>
#include <vrfm/layers/detail/row_sums.hpp>
#include <vrfm/layers/layer.hpp>

namespace vrfm::detail {

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
  Matrix<T> scores;
  T *maximum, *inverse_sum;
  T scale;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    T* const row = scores.row(i);
    maximum[i] = row_maximum(row, scores.cols);
    inverse_sum[i] = T(1) / row_sum<T>(scores.cols, Exponential<T>{row, maximum[i], scale});
  }
};

/// Row: out[i] = sum of x(i, j) y(i, j)
template <class T, class X>
struct RowProduct {
  Matrix<const X> x, y;
  T* out;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    out[i] = row_sum<T>(x.cols, ElementProduct<T, X>{x.row(i), y.row(i)});
  }
};

/// Epilogue: y(i, j) *= factor[i]
template <class T, class Y>
struct ScaleRows {
  const T* factor;
  Matrix<Y> y;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { y(i, j) = y(i, j) * factor[i]; }
};

/// Epilogue: a score becomes its probability.
template <class T>
struct Probability {
  Matrix<T> scores;
  const T *maximum, *inverse_sum;
  T scale;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    scores(i, j) = fast::exp(scale * (scores(i, j) - maximum[i])) * inverse_sum[i];
  }
};

/// The softmax's derivative, which is its own transpose: d = scale p (d - mean), `mean` the row's
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

/// The layer's extents, and where the parts of its operands are.
struct AttentionShape {
  /// Scores of a block, whose queries are at least `least_queries`. In float two such blocks are
  /// 1 MiB, which a core's cache holds. Each block packs the keys anew, so fewer queries cost speed.
  static constexpr int block_scores = 131072, least_queries = 32;

  int pixels = 1, heads = 1, depth = 1;
  int next_head = 3,
      next_part = 1;  ///< columns from one head to the next, and from queries to keys

  KOKKOS_INLINE_FUNCTION int queries() const {
    return math::minimum(pixels, math::maximum(least_queries, block_scores / pixels));
  }
  KOKKOS_INLINE_FUNCTION int blocks() const { return (pixels + queries() - 1) / queries(); }
  template <class T>
  KOKKOS_INLINE_FUNCTION T scale() const {
    return T(1) / math::sqrt(static_cast<T>(depth));
  }

  /// Queries (part 0), keys (1) or values (2) of piece k = sample * heads + head.
  template <class M>
  KOKKOS_INLINE_FUNCTION M part(const M& x, int k, int part) const {
    return x.row_range(k / heads * pixels, pixels)
        .col_range(k % heads * next_head + part * next_part, depth);
  }
  template <class M>
  KOKKOS_INLINE_FUNCTION M output(const M& y, int k) const {
    return y.row_range(k / heads * pixels, pixels).col_range(k % heads * depth, depth);
  }
};

/// Rows [first, first + count) of the queries, and what belongs to them.
struct QueryBlock {
  int first, count;
  KOKKOS_INLINE_FUNCTION QueryBlock(const AttentionShape& shape, int block)
      : first(block * shape.queries()),
        count(math::minimum(shape.queries(), shape.pixels - first)) {}
  template <class M>
  KOKKOS_INLINE_FUNCTION M of(const M& m) const {
    return m.row_range(first, count);
  }
  /// Memory for a block's scores.
  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<T> take(const AttentionShape& shape, Arena<T>& arena) const {
    return arena.take(shape.queries(), shape.pixels).row_range(0, count);
  }
};

/// The operands of backward and tangent, and what gives the rows' probabilities.
template <class T, class X>
struct AttentionOperands {
  AttentionShape shape;
  Matrix<const X> x, y;
  Matrix<T> statistics;  ///< (samples x heads) x (maxima of the pixels, inverse sums)

  KOKKOS_INLINE_FUNCTION T* maxima(int k, const QueryBlock& block) const {
    return statistics.row(k) + block.first;
  }
  KOKKOS_INLINE_FUNCTION T* inverse_sums(int k, const QueryBlock& block) const {
    return statistics.row(k) + shape.pixels + block.first;
  }

  template <class Ctx>
  KOKKOS_FUNCTION void probabilities(const Ctx& ctx, int k, const QueryBlock& block,
                                     Matrix<T> out) const {
    const Probability<T> epilogue{out, maxima(k, block), inverse_sums(k, block),
                                  shape.template scale<T>()};
    ctx.template gemm<Op::none, Op::transpose>(block.of(shape.part(x, k, 0)), shape.part(x, k, 1),
                                               out, Update::overwrite, epilogue);
  }
};

/// Tile: some queries of one head of one sample.
template <class T, class X>
struct AttentionForwardTile {
  AttentionOperands<T, X> operands;
  Matrix<X> y;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int tile, Arena<T>& arena) const {
    const auto& shape = operands.shape;
    const int k = tile / shape.blocks();
    const QueryBlock block(shape, tile % shape.blocks());
    const Matrix<T> scores = block.take(shape, arena);
    const auto& x = operands.x;
    ctx.template gemm<Op::none, Op::transpose>(block.of(shape.part(x, k, 0)), shape.part(x, k, 1),
                                               scores, Update::overwrite);
    T* const inverse_sums = operands.inverse_sums(k, block);
    ctx.each_row(block.count, ExponentialRow<T>{scores, operands.maxima(k, block), inverse_sums,
                                                shape.template scale<T>()});
    const Matrix<X> out = block.of(shape.output(y, k));
    ctx.template gemm<Op::none, Op::none>(scores, shape.part(x, k, 2), out, Update::overwrite,
                                          ScaleRows<T, X>{inverse_sums, out});
  }
};

/// Tile: one head of one sample; its gradients of keys and values are sums over its queries.
template <class T, class X>
struct AttentionBackwardTile {
  AttentionOperands<T, X> operands;
  Matrix<const X> dy;
  Matrix<X> dx;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>& arena) const {
    const auto& shape = operands.shape;
    const auto& x = operands.x;
    const Matrix<const X> queries = shape.part(x, k, 0), keys = shape.part(x, k, 1),
                          values = shape.part(x, k, 2);
    const Matrix<X> dqueries = shape.part(dx, k, 0), dkeys = shape.part(dx, k, 1),
                    dvalues = shape.part(dx, k, 2);
    const Matrix<T> p_all = arena.take(shape.queries(), shape.pixels),
                    d_all = arena.take(shape.queries(), shape.pixels),
                    mean = arena.take(1, shape.queries());
    for (int b = 0; b < shape.blocks(); ++b) {
      const QueryBlock block(shape, b);
      const auto update = b == 0 ? Update::overwrite : Update::accumulate;
      const Matrix<T> p = p_all.row_range(0, block.count), d = d_all.row_range(0, block.count);
      const Matrix<const X> dout = block.of(shape.output(dy, k));
      operands.probabilities(ctx, k, block, p);
      ctx.template gemm<Op::transpose, Op::none>(p, dout, dvalues, update);
      // sum_j p_ij d_ij = dy_i . y_i
      ctx.each_row(block.count,
                   RowProduct<T, X>{dout, block.of(shape.output(operands.y, k)), mean.data});
      ctx.template gemm<Op::none, Op::transpose>(
          dout, values, d, Update::overwrite,
          SoftmaxDerivative<T>{p, mean.data, d, shape.template scale<T>()});
      ctx.template gemm<Op::none, Op::none>(d, keys, block.of(dqueries), Update::overwrite);
      ctx.template gemm<Op::transpose, Op::none>(d, block.of(queries), dkeys, update);
    }
  }
};

/// Tile: some queries of one head of one sample.
template <class T, class X>
struct AttentionTangentTile {
  AttentionOperands<T, X> operands;
  Matrix<const X> dx;
  Matrix<X> dy;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int tile, Arena<T>& arena) const {
    const auto& shape = operands.shape;
    const auto& x = operands.x;
    const int k = tile / shape.blocks();
    const QueryBlock block(shape, tile % shape.blocks());
    const Matrix<T> p = block.take(shape, arena), d = block.take(shape, arena),
                    mean = arena.take(1, shape.queries());
    operands.probabilities(ctx, k, block, p);
    ctx.template gemm<Op::none, Op::transpose>(block.of(shape.part(dx, k, 0)), shape.part(x, k, 1),
                                               d, Update::overwrite);
    ctx.template gemm<Op::none, Op::transpose>(block.of(shape.part(x, k, 0)), shape.part(dx, k, 1),
                                               d, Update::accumulate);
    ctx.each_row(block.count, RowProduct<T, T>{p, d, mean.data});
    ctx.map(block.count, shape.pixels,
            SoftmaxDerivative<T>{p, mean.data, d, shape.template scale<T>()});
    const Matrix<X> out = block.of(shape.output(dy, k));
    ctx.template gemm<Op::none, Op::none>(d, shape.part(x, k, 2), out, Update::overwrite);
    ctx.template gemm<Op::none, Op::none>(p, shape.part(dx, k, 2), out, Update::accumulate);
  }
};

}  // namespace vrfm::detail
