// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What GroupNorm (vrfm/layers/group_norm.hpp) does with one sample. Moments are added up block by
// block as Chan, Golub and LeVeque do (1983, "Algorithms for computing the sample variance"), which
// is exact to some 100 roundings for any image and any mean. Of types, T is that of sums, P of parameters, X of
// x; Y, D and DX are those of y and of the gradients, or rates, of y and x.
#pragma once

#include <vrfm/core/activation.hpp>
#include <vrfm/layers/layer.hpp>
#include <vrfm/linalg/elementwise.hpp>

namespace vrfm::detail {

/// Pixels that are summed first: a block of them stays in the first cache.
inline constexpr int norm_block = 32;

/// An element's squared deviation from the mean of its column in a block; `sums` are the block's.
template <class T, class X>
struct SquaredDeviation {
  Matrix<const X> x;
  const T* sums;
  T inverse_rows;
  KOKKOS_INLINE_FUNCTION T operator()(int i, int j) const {
    const T d = x(i, j) - sums[j] * inverse_rows;
    return d * d;
  }
};

/// Combines the column moments of `before` rows (row 0: means, row 1: summed squared deviations)
/// with those of a block of `rows` rows (row 0: sums, row 1 likewise).
template <class T>
struct MergeMoments {
  ConstMatrix<T> block;
  Matrix<T> moments;
  int rows, before;
  KOKKOS_INLINE_FUNCTION void operator()(int, int j) const {
    const T n = static_cast<T>(rows), share = n / static_cast<T>(before + rows);
    const T mean = before == 0 ? T(0) : moments(0, j);
    const T delta = block(0, j) / n - mean;
    const T square = before == 0 ? T(0) : moments(1, j);
    moments(0, j) = mean + delta * share;
    moments(1, j) = square + block(1, j) + delta * delta * (static_cast<T>(before) * share);
  }
};

/// The moments of a group from those of its columns: mean, and 1 / sqrt(variance + eps).
template <class T>
struct GroupMoments {
  ConstMatrix<T> moments;
  T *mean, *scale;
  int width, pixels;
  T eps;
  KOKKOS_INLINE_FUNCTION void operator()(int g) const {
    const int first = g * width;
    const T start = moments(0, first);
    T sum = T(0), square = T(0);
    for (int j = first; j < first + width; ++j) sum += moments(0, j) - start;
    const T centre = start + sum / static_cast<T>(width);
    for (int j = first; j < first + width; ++j) {
      const T d = moments(0, j) - centre;
      square += moments(1, j) + static_cast<T>(pixels) * d * d;
    }
    mean[g] = centre;
    scale[g] = T(1) / math::sqrt(square / (static_cast<T>(pixels) * static_cast<T>(width)) + eps);
  }
};

/// One sample's channels: y = activation(row 1 (x - row 0) + row 2).
template <class T, class P>
struct ChannelFactors {
  const T *mean, *scale;
  const P *weight, *bias;
  const T* modulation;  ///< scale, then shift; nullptr: none
  Matrix<T> factors;
  int width;
  KOKKOS_INLINE_FUNCTION void operator()(int, int j) const {
    const T gain = modulation == nullptr ? T(1) : T(1) + modulation[j];
    factors(0, j) = mean[j / width];
    factors(1, j) = scale[j / width] * weight[j] * gain;
    factors(2, j) = bias[j] * gain + (modulation == nullptr ? T(0) : modulation[factors.cols + j]);
  }
};

/// Value and slope of the activation at one element.
template <class T, class X, class Act>
struct NormElement {
  Matrix<const X> x;
  ConstMatrix<T> factors;
  KOKKOS_INLINE_FUNCTION ValueAndSlope<T> operator()(int i, int j) const {
    return Act::evaluate(factors(1, j) * (x(i, j) - factors(0, j)) + factors(2, j));
  }
};

template <class T, class X, class Act, class Y>
struct NormValue {
  NormElement<T, X, Act> element;
  Matrix<Y> y;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { y(i, j) = element(i, j).value; }
};

/// d = dy activation', stored as it is added up.
template <class T, class X, class Act, class D, class DX>
struct NormSlope {
  NormElement<T, X, Act> element;
  Matrix<const D> dy;
  Matrix<DX> d;
  KOKKOS_INLINE_FUNCTION T operator()(int i, int j) const {
    return d(i, j) = dy(i, j) * element(i, j).slope;
  }
};

/// d (x - mean)
template <class T, class D, class X>
struct TimesDeviation {
  Matrix<const D> d;
  Matrix<const X> x;
  ConstMatrix<T> factors;
  KOKKOS_INLINE_FUNCTION T operator()(int i, int j) const {
    return d(i, j) * (x(i, j) - factors(0, j));
  }
};

/// A function of rows that begins at row `first`.
template <class F>
struct FromRow {
  F f;
  int first;
  KOKKOS_INLINE_FUNCTION auto operator()(int i, int j) const { return f(first + i, j); }
};

/// The transpose of the linear part: with the sums of d and d (x - mean) over the group, weighted
/// by row 1, dx = row 1 d + coefficient 1 (x - mean) + coefficient 0. The tangent uses it too, see
/// there.
template <class T>
struct GroupCoefficients {
  ConstMatrix<T> sums;  ///< 2 x channels
  const T* weights;     ///< of the channels; nullptr: 1
  const T* scale;
  Matrix<T> out;  ///< 2 x groups
  int width;
  T inverse_count;
  KOKKOS_INLINE_FUNCTION void operator()(int g) const {
    T first = T(0), second = T(0);
    for (int j = g * width; j < (g + 1) * width; ++j) {
      const T weight = weights == nullptr ? T(1) : weights[j];
      first += weight * sums(0, j);
      second += weight * sums(1, j);
    }
    out(0, g) = -first * inverse_count;
    out(1, g) = -second * inverse_count * scale[g] * scale[g];
  }
};

/// out(r, j) = in(r, j / width)
template <class T>
struct ExpandGroups {
  ConstMatrix<T> in;
  Matrix<T> out;
  int width;
  KOKKOS_INLINE_FUNCTION void operator()(int r, int j) const { out(r, j) = in(r, j / width); }
};

/// dx = row 1 d + coefficient 1 (x - mean) + coefficient 0, in place of d.
template <class T, class X, class DX>
struct NormBackward {
  Matrix<const X> x;
  ConstMatrix<T> factors, coefficients;
  Matrix<DX> d;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    d(i, j) = factors(1, j) * d(i, j) + coefficients(1, j) * (x(i, j) - factors(0, j)) +
              coefficients(0, j);
  }
};

/// A sample's sums of d and d (x - mean) become its gradients of weight and bias and, if wanted, of
/// scale and shift.
template <class T, class P>
struct NormParameterGradients {
  ConstMatrix<T> sums;
  const T* scale;
  const P *weight, *bias;
  const T* modulation;
  T *dweight, *dbias;
  T* dmodulation;
  int width;
  KOKKOS_INLINE_FUNCTION void operator()(int, int j) const {
    const T gain = modulation == nullptr ? T(1) : T(1) + modulation[j];
    const T shift = sums(0, j), normalised = sums(1, j) * scale[j / width];
    dweight[j] = gain * normalised;
    dbias[j] = gain * shift;
    if (dmodulation != nullptr) {
      dmodulation[j] = weight[j] * normalised + bias[j] * shift;
      dmodulation[sums.cols + j] = shift;
    }
  }
};

/// What the three directions share: the layer's operands, and what is computed from one sample.
template <class T, class X, class P>
struct NormOperands {
  Matrix<const X> x;
  ConstMatrix<T> modulation;
  Matrix<T> statistics;  ///< samples x (means of the groups, 1 / sqrt(variance + eps))
  const P *weight, *bias;
  int pixels, groups;

  KOKKOS_INLINE_FUNCTION int width() const { return x.cols / groups; }
  KOKKOS_INLINE_FUNCTION T* mean(int s) const { return statistics.row(s); }
  KOKKOS_INLINE_FUNCTION T* scale(int s) const { return statistics.row(s) + groups; }
  KOKKOS_INLINE_FUNCTION const T* modulation_of(int s) const {
    return modulation.empty() ? nullptr : modulation.row(s);
  }
  template <class M>
  KOKKOS_INLINE_FUNCTION M sample(const M& m, int s) const {
    return m.row_range(s * pixels, pixels);
  }

  template <class Ctx>
  KOKKOS_FUNCTION void measure(const Ctx& ctx, int s, T eps, Arena<T>& arena) const {
    const Matrix<T> block = arena.take(2, x.cols), moments = arena.take(2, x.cols);
    for (int first = 0; first < pixels; first += norm_block) {
      const int rows = math::minimum(norm_block, pixels - first);
      const Matrix<const X> part = sample(x, s).row_range(first, rows);
      ctx.column_sum(part, block.row(0), Update::overwrite);
      const SquaredDeviation<T, X> square{part, block.row(0), T(1) / static_cast<T>(rows)};
      ctx.column_sum(rows, x.cols, square, block.row(1), Update::overwrite);
      ctx.map(1, x.cols, MergeMoments<T>{block, moments, rows, first});
    }
    ctx.each_row(groups, GroupMoments<T>{moments, mean(s), scale(s), width(), pixels, eps});
  }

  template <class Ctx>
  KOKKOS_FUNCTION Matrix<T> factors(const Ctx& ctx, int s, Arena<T>& arena) const {
    const Matrix<T> out = arena.take(3, x.cols);
    ctx.map(1, x.cols,
            ChannelFactors<T, P>{mean(s), scale(s), weight, bias, modulation_of(s), out, width()});
    return out;
  }

  /// Rows 0 and 1: a sample's column sums of f and h; f runs before h on each block of pixels.
  template <class Ctx, class F, class H>
  KOKKOS_FUNCTION Matrix<T> sums(const Ctx& ctx, const F& f, const H& h, Arena<T>& arena) const {
    const Matrix<T> total = arena.take(2, x.cols), block = arena.take(2, x.cols);
    ctx.map(2, x.cols, Fill<T>{total, T(0)});
    for (int first = 0; first < pixels; first += norm_block) {
      const int rows = math::minimum(norm_block, pixels - first);
      ctx.column_sum(rows, x.cols, FromRow<F>{f, first}, block.row(0), Update::overwrite);
      ctx.column_sum(rows, x.cols, FromRow<H>{h, first}, block.row(1), Update::overwrite);
      ctx.map(2, x.cols, AddScaled<T>{T(1), block, total});
    }
    return total;
  }

  template <class Ctx>
  KOKKOS_FUNCTION Matrix<T> coefficients(const Ctx& ctx, int s, ConstMatrix<T> sums,
                                         const T* weights, Arena<T>& arena) const {
    const Matrix<T> group = arena.take(2, groups), out = arena.take(2, x.cols);
    const T inverse_count = T(1) / (static_cast<T>(pixels) * static_cast<T>(width()));
    ctx.each_row(groups,
                 GroupCoefficients<T>{sums, weights, scale(s), group, width(), inverse_count});
    ctx.map(2, x.cols, ExpandGroups<T>{group, out, width()});
    return out;
  }
};

template <class T, class X, class P, class Act, class Y>
struct NormForwardTile {
  NormOperands<T, X, P> operands;
  Matrix<Y> y;
  T eps;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int s, Arena<T>& arena) const {
    const auto& o = operands;
    o.measure(ctx, s, eps, arena);
    const Matrix<T> factors = o.factors(ctx, s, arena);
    ctx.map(o.pixels, o.x.cols,
            NormValue<T, X, Act, Y>{{o.sample(o.x, s), factors}, o.sample(y, s)});
  }
};

template <class T, class X, class P, class Act, class D, class DX>
struct NormBackwardTile {
  NormOperands<T, X, P> operands;
  Matrix<const D> dy;
  Matrix<DX> dx;
  Matrix<T> dweight, dbias, dmodulation;  ///< one row a sample
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int s, Arena<T>& arena) const {
    const auto& o = operands;
    const int channels = o.x.cols;
    const Matrix<const X> x = o.sample(o.x, s);
    const Matrix<const T> factors = o.factors(ctx, s, arena);
    const Matrix<DX> d =
        dx.empty() ? arena.template take_as<DX>(o.pixels, channels) : o.sample(dx, s);
    const NormSlope<T, X, Act, D, DX> slope{{x, factors}, o.sample(dy, s), d};
    const Matrix<T> sums = o.sums(ctx, slope, TimesDeviation<T, DX, X>{d, x, factors}, arena);
    ctx.map(1, channels,
            NormParameterGradients<T, P>{
                sums, o.scale(s), o.weight, o.bias, o.modulation_of(s), dweight.row(s),
                dbias.row(s), dmodulation.empty() ? nullptr : dmodulation.row(s), o.width()});
    if (dx.empty()) return;
    const Matrix<T> coefficients = o.coefficients(ctx, s, sums, factors.row(1), arena);
    ctx.map(o.pixels, channels, NormBackward<T, X, DX>{x, factors, coefficients, d});
  }
};

}  // namespace vrfm::detail
