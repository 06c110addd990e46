// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Adaptive steps (Hairer, Norsett, Wanner, "Solving Ordinary Differential Equations I", II.4).
// With e the estimated error of a step, its norm is
//   err = rms over columns of e / (absolute + relative max(|x|, |x_new|)),
// the step is accepted if err <= 1, and the next is h * clamp(safety err^-alpha err_before^beta),
// alpha = 1/order - 3/4 beta: a PI controller (beta = 0: I).
#pragma once

#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/integrators/status.hpp>

namespace vrfm {

/// Whose error decides about a sample's step: its own, or that of the whole batch. In the latter
/// case its result depends on its neighbours (for comparison with codes that do so).
enum class ErrorNorm { sample, batch };

template <class Table>
struct AdaptiveRungeKutta {
  using Tableau = Table;

  double absolute = 1e-5;
  double relative = 1e-5;
  int max_steps = 10000;  ///< of each sample, rejected ones included; at most 2^24 in float
  ErrorNorm norm = ErrorNorm::sample;
  double first_step = 0;  ///< length of the first step; 0: chosen from the field
  double safety = 0.9;
  double beta = 0.04;
  double min_factor = 0.2;
  double max_factor = 10;

  /// Throws std::invalid_argument naming the first impossible setting.
  void check(const TimeGrid&) const {
    expect(absolute >= 0 && relative >= 0 && absolute + relative > 0,
           "an adaptive solver needs tolerances >= 0, not both 0, got absolute ", absolute,
           " and relative ", relative);
    expect(max_steps >= 1, "an adaptive solver needs max_steps >= 1, got ", max_steps);
    expect(first_step >= 0, "an adaptive solver needs first_step >= 0, got ", first_step);
    expect(safety > 0 && safety <= 1, "an adaptive solver needs 0 < safety <= 1, got ", safety);
    expect(beta >= 0 && beta <= 0.1, "an adaptive solver needs 0 <= beta <= 0.1, got ", beta);
    expect(min_factor > 0 && min_factor < 1 && max_factor > 1,
           "an adaptive solver needs 0 < min_factor < 1 < max_factor, got ", min_factor, " and ",
           max_factor);
  }
};

using DormandPrince = AdaptiveRungeKutta<DormandPrinceTableau>;

namespace detail {

template <class T>
struct Tolerance {
  T absolute, relative;
  /// e / (absolute + relative max(|x|, |y|)). Nothing is zero in any unit: a coordinate that stays 0
  /// has no error, though its relative tolerance is 0.
  KOKKOS_INLINE_FUNCTION T scaled(T e, T x, T y) const {
    const T unit = absolute + relative * math::maximum(math::fabs(x), math::fabs(y));
    return e == T(0) ? e : e / unit;
  }
};

/// Element: out = y / scale of x
template <class T>
struct Scaled {
  Tolerance<T> tolerance;
  ConstMatrix<T> x, y;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    out(i, j) = tolerance.scaled(y(i, j), x(i, j), x(i, j));
  }
};

/// Element: the scaled error of a step.
template <class Tableau, class T>
struct ScaledError {
  Tolerance<T> tolerance;
  Stages<T, Tableau::stages> stages;
  ConstMatrix<T> h, x, x_new;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const T e = h(i, 0) * stages.template sum<ErrorWeights<Tableau>>(i, j);
    // The last difference is zero, but NaN where x_new overflowed and would pass as a large scale.
    out(i, j) = tolerance.scaled(e, x(i, j), x_new(i, j)) + (x_new(i, j) - x_new(i, j));
  }
};

/// Row: out = mean over columns of y^2
template <class T>
struct MeanSquare {
  ConstMatrix<T> y;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    T sum = T(0);
    for (int j = 0; j < y.cols; ++j) sum += y(i, j) * y(i, j);
    out(i, 0) = sum / static_cast<T>(y.cols);
  }
};

/// Row: every row gets the mean over rows.
template <class T>
struct SpreadMean {
  const T* total;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    out(i, 0) = *total / static_cast<T>(out.rows);
  }
};

/// out(i) = mean square of row i of y, or of all of y in every row.
template <class Ctx, class T>
KOKKOS_FUNCTION void mean_squares(const Ctx& ctx, ErrorNorm norm, Matrix<const T> y, Matrix<T> out,
                                  Matrix<T> total) {
  ctx.each_row(y.rows, MeanSquare<T>{y, out});
  if (norm == ErrorNorm::batch) {
    ctx.column_sum(out, total.data, Update::overwrite);
    ctx.each_row(y.rows, SpreadMean<T>{total.data, out});
  }
}

/// Row: the length of the trial step of first_step, from the mean squares of x and v.
template <class T>
struct TrialStep {
  T span;
  ConstMatrix<T> x2, v2;
  Matrix<T> h;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T d0 = math::sqrt(x2(i, 0)), d1 = math::sqrt(v2(i, 0));
    T trial = d0 < T(1e-5) || d1 < T(1e-5) ? T(1e-6) : T(0.01) * d0 / d1;
    if (!(trial > T(0)) || !math::is_finite(trial)) trial = T(1e-6);
    h(i, 0) = span < T(0) ? math::maximum(span, -trial) : math::minimum(span, trial);
  }
};

/// Row: the first step, from the trial step and the mean squares of v and of its change over it.
template <class T>
struct FirstStep {
  T span;
  T exponent;
  ConstMatrix<T> v2, change2;
  Matrix<T> h;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T trial = math::fabs(h(i, 0));
    const T d1 = math::sqrt(v2(i, 0)), d2 = math::sqrt(change2(i, 0)) / trial;
    const T largest = math::maximum(d1, d2);
    const T guess = largest <= T(1e-15) ? math::maximum(T(1e-6), trial * T(1e-3))
                                        : math::pow(T(0.01) / largest, exponent);
    const T shorter = math::minimum(T(100) * trial, guess);
    const T length = shorter > T(0) ? shorter : trial;
    h(i, 0) = span < T(0) ? math::maximum(span, -length) : math::minimum(span, length);
  }
};

/// Element: out = y - x
template <class T>
struct Difference {
  ConstMatrix<T> x, y;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { out(i, j) = y(i, j) - x(i, j); }
};

}  // namespace detail

}  // namespace vrfm
