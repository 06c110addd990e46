// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LayerNorm: y = n, or w n + b, with n = (x - mean) / sqrt(variance + eps), mean and biased variance over a
// row (Ba, Kiros and Hinton 2016; PyTorch's nn.LayerNorm). With modulation, y (1 + scale) + shift, where each
// sample has its own scale and shift of each column (Peebles and Xie 2023, "Scalable diffusion models with
// transformers"). Besides x, backward needs only the rows' moments; it computes the rest anew. x, y and the
// parameters may be of types of their own, such as BFloat16; moments, modulation and sums are of the arena's.
#pragma once

#include <vrfm/layers/detail/row_sums.hpp>
#include <vrfm/layers/layer.hpp>

namespace vrfm {

/// Rows of samples, each for `tokens` consecutive rows of x; or nothing.
template <class T>
struct Modulation {
  Matrix<T> shift, scale;
  int tokens;

  KOKKOS_INLINE_FUNCTION bool empty() const { return scale.empty(); }
};

namespace detail {

/// What the layer's kernels read: X is x's type, P the parameters'.
template <class T, class X, class P>
struct LayerNormOperands {
  Matrix<const X> x;
  Modulation<const T> modulation;
  const P *weight, *bias;  // null: there are none
  Matrix<T> moments;       // of each row: mean, inverse deviation

  /// n of one element.
  KOKKOS_INLINE_FUNCTION T normed(int i, int j) const {
    return (x(i, j) - moments(i, 0)) * moments(i, 1);
  }
  KOKKOS_INLINE_FUNCTION T affine(int i, int j) const {
    const T n = normed(i, j);
    return weight == nullptr ? n : n * weight[j] + bias[j];
  }
  /// d row[j] of dy row[j], of n.
  template <class D>
  KOKKOS_INLINE_FUNCTION void scale_row(int i, D* row) const {
    if (!modulation.empty()) {
      const T* const scale = modulation.scale.row(i / modulation.tokens);
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < x.cols; ++j) row[j] = row[j] * (T(1) + scale[j]);
    }
    if (weight != nullptr) {
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < x.cols; ++j) row[j] = row[j] * weight[j];
    }
  }
};

template <class T, class X>
struct RowValue {
  const X* row;
  KOKKOS_INLINE_FUNCTION T operator()(int j) const { return row[j]; }
};

template <class T, class X>
struct SquaredDistance {
  const X* row;
  T center;
  KOKKOS_INLINE_FUNCTION T operator()(int j) const {
    const T d = row[j] - center;
    return d * d;
  }
};

/// d n of one row, n computed anew.
template <class T, class D, class X>
struct TimesNormed {
  const D* d;
  const X* x;
  T mean, inverse;
  KOKKOS_INLINE_FUNCTION T operator()(int j) const { return d[j] * ((x[j] - mean) * inverse); }
};

/// Row: moments and y.
template <class T, class X, class P, class Y>
struct LayerNormRow {
  LayerNormOperands<T, X, P> operands;
  Matrix<Y> y;
  T eps;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const auto& o = operands;
    const int cols = o.x.cols;
    const X* const x = o.x.row(i);
    const T mean = row_sum<T>(cols, RowValue<T, X>{x}) / static_cast<T>(cols);
    const T variance = row_sum<T>(cols, SquaredDistance<T, X>{x, mean}) / static_cast<T>(cols);
    const T inverse = T(1) / math::sqrt(variance + eps);
    o.moments(i, 0) = mean;
    o.moments(i, 1) = inverse;
    if (o.modulation.empty()) {
      o.weight == nullptr ? write<false, false>(i, mean, inverse)
                          : write<true, false>(i, mean, inverse);
    } else {
      o.weight == nullptr ? write<false, true>(i, mean, inverse)
                          : write<true, true>(i, mean, inverse);
    }
  }

 private:
  template <bool affine, bool modulated>
  KOKKOS_INLINE_FUNCTION void write(int i, T mean, T inverse) const {
    const auto& o = operands;
    const X* const x = o.x.row(i);
    const P *const weight = o.weight, *const bias = o.bias;
    const T* const scale = modulated ? o.modulation.scale.row(i / o.modulation.tokens) : nullptr;
    const T* const shift = modulated ? o.modulation.shift.row(i / o.modulation.tokens) : nullptr;
    Y* const out = y.row(i);
    VRFM_INDEPENDENT_ITERATIONS
    for (int j = 0; j < o.x.cols; ++j) {
      T value = (x[j] - mean) * inverse;
      if constexpr (affine) value = value * weight[j] + bias[j];
      if constexpr (modulated) value = value * (T(1) + scale[j]) + shift[j];
      out[j] = value;
    }
  }
};

/// Row: (1 / deviation) (d - mean of d - n mean of d n), the derivative of n, which is its own transpose, of
/// what `out` holds.
template <class T, class X, class P>
struct NormDerivative {
  LayerNormOperands<T, X, P> operands;
  template <class D>
  KOKKOS_INLINE_FUNCTION void operator()(int i, D* out) const {
    const auto& o = operands;
    const int cols = o.x.cols;
    const X* const x = o.x.row(i);
    const T mean = o.moments(i, 0), inverse = o.moments(i, 1), share = T(1) / static_cast<T>(cols);
    const T sum = share * row_sum<T>(cols, RowValue<T, D>{out});
    const T product = share * row_sum<T>(cols, TimesNormed<T, D, X>{out, x, mean, inverse});
    VRFM_INDEPENDENT_ITERATIONS
    for (int j = 0; j < cols; ++j) {
      out[j] = inverse * (out[j] - sum - (x[j] - mean) * inverse * product);
    }
  }
};

/// Row: dx from dy, which may be dx.
template <class T, class X, class P, class D, class DX>
struct LayerNormBackwardRow {
  NormDerivative<T, X, P> derivative;
  Matrix<const D> dy;
  Matrix<DX> dx;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    DX* const out = dx.row(i);
    for (int j = 0; j < dy.cols; ++j) out[j] = dy(i, j);
    derivative.operands.scale_row(i, out);
    derivative(i, out);
  }
};

/// Row: dy from dx, which may be dy; the modulation's rates may be empty.
template <class T, class X, class P, class DX, class D>
struct LayerNormTangentRow {
  NormDerivative<T, X, P> derivative;
  Matrix<const DX> dx;
  Modulation<const T> rates;
  Matrix<D> dy;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    D* const out = dy.row(i);
    for (int j = 0; j < dx.cols; ++j) out[j] = dx(i, j);
    derivative(i, out);
    derivative.operands.scale_row(i, out);
    if (rates.empty()) return;
    const int sample = i / rates.tokens;
    for (int j = 0; j < dy.cols; ++j) {
      out[j] = out[j] + derivative.operands.affine(i, j) * rates.scale(sample, j) +
               rates.shift(sample, j);
    }
  }
};

/// Element of the gradient of a modulation's scale, per row.
template <class T, class X, class P, class D>
struct ScaleGradient {
  LayerNormOperands<T, X, P> operands;
  Matrix<const D> dy;
  int first;
  KOKKOS_INLINE_FUNCTION T operator()(int i, int j) const {
    return dy(first + i, j) * operands.affine(first + i, j);
  }
};

/// Tile: one sample's gradients of scale and shift.
template <class T, class X, class P, class D>
struct ModulationGradient {
  LayerNormOperands<T, X, P> operands;
  Matrix<const D> dy;
  Modulation<T> gradient;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    const int tokens = operands.modulation.tokens, first = k * tokens;
    ctx.column_sum(dy.row_range(first, tokens), gradient.shift.row(k), Update::overwrite);
    ctx.column_sum(tokens, dy.cols, ScaleGradient<T, X, P, D>{operands, dy, first},
                   gradient.scale.row(k), Update::overwrite);
  }
};

/// Elements of the gradients of weight and bias, per row.
template <class T, class X, class P, class D>
struct AffineGradient {
  LayerNormOperands<T, X, P> operands;
  Matrix<const D> dy;
  bool of_weight;
  KOKKOS_INLINE_FUNCTION T operator()(int i, int j) const {
    const auto& m = operands.modulation;
    const T d = m.empty() ? dy(i, j) : dy(i, j) * (T(1) + m.scale(i / m.tokens, j));
    return of_weight ? d * operands.normed(i, j) : d;
  }
};

}  // namespace detail

class LayerNorm {
 public:
  static constexpr bool has_parameters = true;

  template <class T, class X = T, class P = T>
  struct Saved {
    detail::LayerNormOperands<T, X, P> operands;
  };

  LayerNorm() = default;

  /// Without weight and bias. Throws std::invalid_argument unless channels and eps are positive.
  explicit LayerNorm(int channels, double eps = 1e-6) : channels_(channels), eps_(eps) {
    expect(channels > 0 && eps > 0, "a layer norm needs at least one channel and eps > 0, got ",
           channels, " and ", eps);
  }

  /// Adds `name`.weight (1 at first) and `name`.bias (0) to `list`. Throws as above.
  LayerNorm(ParameterList& list, const std::string& name, int channels, double eps = 1e-5)
      : LayerNorm(channels, eps) {
    const std::vector<std::size_t> shape{static_cast<std::size_t>(channels)};
    affine_ = true;
    weight_ = list.add(name + ".weight", shape, Initializer::constant(1));
    bias_ = list.add(name + ".bias", shape, Initializer::constant(0));
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return channels_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return channels_; }

  /// y may not be x.
  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, Matrix<X> x, Matrix<Y> y,
                               Saved<T, std::remove_const_t<X>, P>* saved, Arena<T>& arena) const {
    forward(ctx, p, x, Modulation<const T>{}, y, saved, arena);
  }

  /// With modulation, which the caller keeps until the last backward or tangent.
  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, Matrix<X> x,
                               const Modulation<const T>& modulation, Matrix<Y> y,
                               Saved<T, std::remove_const_t<X>, P>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const detail::LayerNormOperands<T, std::remove_const_t<X>, P> operands{
        x, modulation, affine_ ? p + weight_ : nullptr, affine_ ? p + bias_ : nullptr,
        arena.take(x.rows, 2)};
    ctx.each_row(x.rows, detail::LayerNormRow<T, std::remove_const_t<X>, P, Y>{
                             operands, y, static_cast<T>(eps_)});
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->operands = operands;
    }
  }

  /// dx may be dy.
  template <class Ctx, class P, class T, class X, class D, class DX>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, Matrix<X> x,
                                Matrix<D> dy, Matrix<DX> dx,
                                const Saved<T, std::remove_const_t<X>, P>& saved,
                                Arena<T>& arena) const {
    backward(ctx, p, g, x, dy, dx, Modulation<T>{}, saved, arena);
  }

  /// Writes the gradients of scale and shift to `dmodulation`; empty: not wanted.
  template <class Ctx, class P, class T, class X, class D, class DX>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P*, Gradient<T> g, Matrix<X>, Matrix<D> dy,
                                Matrix<DX> dx, const Modulation<T>& dmodulation,
                                const Saved<T, std::remove_const_t<X>, P>& saved,
                                Arena<T>& arena) const {
    using XT = std::remove_const_t<X>;
    using DT = std::remove_const_t<D>;
    const auto& operands = saved.operands;
    if (!dmodulation.empty()) {
      ctx.each_tile(dy.rows / operands.modulation.tokens,
                    detail::ModulationGradient<T, XT, P, DT>{operands, dy, dmodulation}, arena);
    }
    if (affine_ && !g.ignored()) {
      const auto update = g.accumulate ? Update::accumulate : Update::overwrite;
      for (const bool of_weight : {true, false}) {
        const std::size_t offset = of_weight ? weight_ : bias_;
        ctx.column_sum(dy.rows, dy.cols,
                       detail::AffineGradient<T, XT, P, DT>{operands, dy, of_weight},
                       g.values + offset, update);
        g.done(offset, static_cast<std::size_t>(channels_));
      }
    }
    if (dx.empty()) return;
    ctx.each_row(dy.rows, detail::LayerNormBackwardRow<T, XT, P, DT, DX>{{operands}, dy, dx});
  }

  /// dy may be dx.
  template <class Ctx, class P, class DX, class D, class T, class X>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P* p, Matrix<DX> dx, Matrix<D> dy,
                               const Saved<T, X, P>& saved, Arena<T>& arena) const {
    tangent(ctx, p, dx, Modulation<const T>{}, dy, saved, arena);
  }

  /// With rates of scale and shift; empty: they do not vary.
  template <class Ctx, class P, class DX, class D, class T, class X>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P*, Matrix<DX> dx,
                               const Modulation<const T>& rates, Matrix<D> dy,
                               const Saved<T, X, P>& saved, Arena<T>&) const {
    ctx.each_row(dx.rows, detail::LayerNormTangentRow<T, X, P, std::remove_const_t<DX>, D>{
                              {saved.operands}, dx, rates, dy});
  }

 private:
  int channels_ = 0;
  double eps_ = 1e-6;
  bool affine_ = false;
  std::size_t weight_ = 0, bias_ = 0;
};

}  // namespace vrfm
