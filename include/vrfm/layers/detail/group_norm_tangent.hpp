// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tangent of a group norm, one tile a sample: what a rate of x, and rates of scale and shift where
// there are any, do to y. The pieces that it shares with forward and backward are in group_norm_tiles.hpp.
#pragma once

#include <vrfm/layers/detail/group_norm_tiles.hpp>

namespace vrfm::detail {

/// One sample's channels. The coefficients of dx + coefficient 1 (x - mean) + coefficient 0, the
/// rate of x - mean in its group's units, become those of the rate of the activation's argument, to
/// which the rates of scale and shift add.
template <class T, class P>
struct TangentCoefficients {
  ConstMatrix<T> factors;
  const T* scale;
  const P *weight, *bias;
  const T* dmodulation;  ///< rates of scale, then of shift; nullptr: none
  Matrix<T> coefficients;
  int width;
  KOKKOS_INLINE_FUNCTION void operator()(int, int j) const {
    const T gain = dmodulation == nullptr ? T(0) : dmodulation[j];
    const T shift = dmodulation == nullptr ? T(0) : dmodulation[coefficients.cols + j];
    coefficients(1, j) = factors(1, j) * coefficients(1, j) + gain * scale[j / width] * weight[j];
    coefficients(0, j) = factors(1, j) * coefficients(0, j) + gain * bias[j] + shift;
  }
};

/// dy = activation' (row 1 dx + coefficient 1 (x - mean) + coefficient 0)
template <class T, class X, class Act, class DX, class D>
struct NormTangent {
  NormElement<T, X, Act> element;
  ConstMatrix<T> coefficients;
  Matrix<const DX> dx;
  Matrix<D> dy;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const T deviation = element.x(i, j) - element.factors(0, j);
    dy(i, j) = element(i, j).slope * (element.factors(1, j) * dx(i, j) +
                                      coefficients(1, j) * deviation + coefficients(0, j));
  }
};

template <class T, class X, class P, class Act, class DX, class D>
struct NormTangentTile {
  NormOperands<T, X, P> operands;
  Matrix<const DX> dx;
  ConstMatrix<T> dmodulation;  ///< may be empty
  Matrix<D> dy;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int s, Arena<T>& arena) const {
    const auto& o = operands;
    const Matrix<const X> x = o.sample(o.x, s);
    const Matrix<const DX> d = o.sample(dx, s);
    const Matrix<T> factors = o.factors(ctx, s, arena);
    const Matrix<T> sums =
        o.sums(ctx, Element<DX>{d}, TimesDeviation<T, DX, X>{d, x, factors}, arena);
    const Matrix<T> coefficients = o.coefficients(ctx, s, sums, nullptr, arena);
    ctx.map(1, o.x.cols,
            TangentCoefficients<T, P>{factors, o.scale(s), o.weight, o.bias,
                                      dmodulation.empty() ? nullptr : dmodulation.row(s),
                                      coefficients, o.width()});
    ctx.map(o.pixels, o.x.cols,
            NormTangent<T, X, Act, DX, D>{{x, factors}, coefficients, d, o.sample(dy, s)});
  }
};

}  // namespace vrfm::detail
