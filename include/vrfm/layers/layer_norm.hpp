// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LayerNorm: y = n, or w n + b, with n = (x - mean) / sqrt(variance + eps), mean and biased variance over a
// row (Ba, Kiros and Hinton 2016; PyTorch's nn.LayerNorm). With modulation, y (1 + scale) + shift, where each
// sample has its own scale and shift of each column (Peebles and Xie 2023, "Scalable diffusion models with
// transformers"). Besides x, backward needs only the rows' moments; it computes the rest anew.
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

/// What the layer's kernels read.
template <class T>
struct LayerNormOperands {
  ConstMatrix<T> x;
  Modulation<const T> modulation;
  const T *weight, *bias;  // null: there are none
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
  KOKKOS_INLINE_FUNCTION void scale_row(int i, T* row) const {
    if (!modulation.empty()) {
      const T* const scale = modulation.scale.row(i / modulation.tokens);
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < x.cols; ++j) row[j] *= T(1) + scale[j];
    }
    if (weight != nullptr) {
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < x.cols; ++j) row[j] *= weight[j];
    }
  }
};

template <class T>
struct RowValue {
  const T* row;
  KOKKOS_INLINE_FUNCTION T operator()(int j) const { return row[j]; }
};

template <class T>
struct SquaredDistance {
  const T* row;
  T center;
  KOKKOS_INLINE_FUNCTION T operator()(int j) const {
    const T d = row[j] - center;
    return d * d;
  }
};

/// d n of one row, n computed anew.
template <class T>
struct TimesNormed {
  const T *d, *x;
  T mean, inverse;
  KOKKOS_INLINE_FUNCTION T operator()(int j) const { return d[j] * ((x[j] - mean) * inverse); }
};

/// Row: moments and y.
template <class T>
struct LayerNormRow {
  LayerNormOperands<T> operands;
  Matrix<T> y;
  T eps;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const auto& o = operands;
    const int cols = o.x.cols;
    const T* const x = o.x.row(i);
    T* const out = y.row(i);
    const T mean = row_sum<T>(cols, RowValue<T>{x}) / static_cast<T>(cols);
    const T variance = row_sum<T>(cols, SquaredDistance<T>{x, mean}) / static_cast<T>(cols);
    const T inverse = T(1) / math::sqrt(variance + eps);
    o.moments(i, 0) = mean;
    o.moments(i, 1) = inverse;
    VRFM_INDEPENDENT_ITERATIONS
    for (int j = 0; j < cols; ++j) out[j] = (x[j] - mean) * inverse;
    if (o.weight != nullptr) {
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < cols; ++j) out[j] = out[j] * o.weight[j] + o.bias[j];
    }
    if (!o.modulation.empty()) {
      const T* const scale = o.modulation.scale.row(i / o.modulation.tokens);
      const T* const shift = o.modulation.shift.row(i / o.modulation.tokens);
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < cols; ++j) out[j] = out[j] * (T(1) + scale[j]) + shift[j];
    }
  }
};

/// Row: (1 / deviation) (d - mean of d - n mean of d n), the derivative of n, which is its own transpose, of
/// what `out` holds.
template <class T>
struct NormDerivative {
  LayerNormOperands<T> operands;
  KOKKOS_INLINE_FUNCTION void operator()(int i, T* out) const {
    const auto& o = operands;
    const int cols = o.x.cols;
    const T* const x = o.x.row(i);
    const T mean = o.moments(i, 0), inverse = o.moments(i, 1), share = T(1) / static_cast<T>(cols);
    const T sum = share * row_sum<T>(cols, RowValue<T>{out});
    const T product = share * row_sum<T>(cols, TimesNormed<T>{out, x, mean, inverse});
    VRFM_INDEPENDENT_ITERATIONS
    for (int j = 0; j < cols; ++j) {
      out[j] = inverse * (out[j] - sum - (x[j] - mean) * inverse * product);
    }
  }
};

/// Row: dx from dy, which may be dx.
template <class T>
struct LayerNormBackwardRow {
  NormDerivative<T> derivative;
  ConstMatrix<T> dy;
  Matrix<T> dx;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    T* const out = dx.row(i);
    for (int j = 0; j < dy.cols; ++j) out[j] = dy(i, j);
    derivative.operands.scale_row(i, out);
    derivative(i, out);
  }
};

/// Row: dy from dx, which may be dy; the modulation's rates may be empty.
template <class T>
struct LayerNormTangentRow {
  NormDerivative<T> derivative;
  ConstMatrix<T> dx;
  Modulation<const T> rates;
  Matrix<T> dy;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    T* const out = dy.row(i);
    for (int j = 0; j < dx.cols; ++j) out[j] = dx(i, j);
    derivative(i, out);
    derivative.operands.scale_row(i, out);
    if (rates.empty()) return;
    const int sample = i / rates.tokens;
    for (int j = 0; j < dy.cols; ++j) {
      out[j] += derivative.operands.affine(i, j) * rates.scale(sample, j) + rates.shift(sample, j);
    }
  }
};

/// Element of the gradient of a modulation's scale, per row.
template <class T>
struct ScaleGradient {
  LayerNormOperands<T> operands;
  ConstMatrix<T> dy;
  int first;
  KOKKOS_INLINE_FUNCTION T operator()(int i, int j) const {
    return dy(first + i, j) * operands.affine(first + i, j);
  }
};

/// Tile: one sample's gradients of scale and shift.
template <class T>
struct ModulationGradient {
  LayerNormOperands<T> operands;
  ConstMatrix<T> dy;
  Modulation<T> gradient;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    const int tokens = operands.modulation.tokens, first = k * tokens;
    ctx.column_sum(dy.row_range(first, tokens), gradient.shift.row(k), Update::overwrite);
    ctx.column_sum(tokens, dy.cols, ScaleGradient<T>{operands, dy, first}, gradient.scale.row(k),
                   Update::overwrite);
  }
};

/// Elements of the gradients of weight and bias, per row.
template <class T>
struct AffineGradient {
  LayerNormOperands<T> operands;
  ConstMatrix<T> dy;
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

  template <class T>
  struct Saved {
    detail::LayerNormOperands<T> operands;
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
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    forward(ctx, p, x, Modulation<const T>{}, y, saved, arena);
  }

  /// With modulation, which the caller keeps until the last backward or tangent.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x,
                               const Modulation<const T>& modulation, Matrix<T> y, Saved<T>* saved,
                               Arena<T>& arena) const {
    const auto mark = arena.used();
    const detail::LayerNormOperands<T> operands{x, modulation, affine_ ? p + weight_ : nullptr,
                                                affine_ ? p + bias_ : nullptr,
                                                arena.take(x.rows, 2)};
    ctx.each_row(x.rows, detail::LayerNormRow<T>{operands, y, static_cast<T>(eps_)});
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->operands = operands;
    }
  }

  /// dx may be dy.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> x,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    backward(ctx, p, g, x, dy, dx, Modulation<T>{}, saved, arena);
  }

  /// Writes the gradients of scale and shift to `dmodulation`; empty: not wanted.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T*, Gradient<T> g, ConstMatrix<T>,
                                ConstMatrix<T> dy, Matrix<T> dx, const Modulation<T>& dmodulation,
                                const Saved<T>& saved, Arena<T>& arena) const {
    const auto& operands = saved.operands;
    if (!dmodulation.empty()) {
      ctx.each_tile(dy.rows / operands.modulation.tokens,
                    detail::ModulationGradient<T>{operands, dy, dmodulation}, arena);
    }
    if (affine_ && !g.ignored()) {
      const auto update = g.accumulate ? Update::accumulate : Update::overwrite;
      for (const bool of_weight : {true, false}) {
        const std::size_t offset = of_weight ? weight_ : bias_;
        ctx.column_sum(dy.rows, dy.cols, detail::AffineGradient<T>{operands, dy, of_weight},
                       g.values + offset, update);
        g.done(offset, static_cast<std::size_t>(channels_));
      }
    }
    if (dx.empty()) return;
    ctx.each_row(dy.rows, detail::LayerNormBackwardRow<T>{{operands}, dy, dx});
  }

  /// dy may be dx.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>& saved, Arena<T>& arena) const {
    tangent(ctx, p, dx, Modulation<const T>{}, dy, saved, arena);
  }

  /// With rates of scale and shift; empty: they do not vary.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T*, ConstMatrix<T> dx,
                               const Modulation<const T>& rates, Matrix<T> dy,
                               const Saved<T>& saved, Arena<T>&) const {
    ctx.each_row(dx.rows, detail::LayerNormTangentRow<T>{{saved.operands}, dx, rates, dy});
  }

 private:
  int channels_ = 0;
  double eps_ = 1e-6;
  bool affine_ = false;
  std::size_t weight_ = 0, bias_ = 0;
};

}  // namespace vrfm
