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
template <class T>
struct TangentCoefficients {
  ConstMatrix<T> factors;
  const T *scale, *weight, *bias;
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
template <class T, class Act>
struct NormTangent {
  NormElement<T, Act> element;
  ConstMatrix<T> coefficients, dx;
  Matrix<T> dy;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const T deviation = element.x(i, j) - element.factors(0, j);
    dy(i, j) = element(i, j).slope * (element.factors(1, j) * dx(i, j) +
                                      coefficients(1, j) * deviation + coefficients(0, j));
  }
};

template <class T, class Act>
struct NormTangentTile {
  NormOperands<T> operands;
  ConstMatrix<T> dx, dmodulation;  ///< the latter may be empty
  Matrix<T> dy;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int s, Arena<T>& arena) const {
    const auto& o = operands;
    const Matrix<const T> x = o.sample(o.x, s), d = o.sample(dx, s);
    const Matrix<T> factors = o.factors(ctx, s, arena);
    const Matrix<T> sums = o.sums(ctx, Element<T>{d}, TimesDeviation<T>{d, x, factors}, arena);
    const Matrix<T> coefficients = o.coefficients(ctx, s, sums, nullptr, arena);
    ctx.map(1, o.x.cols,
            TangentCoefficients<T>{factors, o.scale(s), o.weight, o.bias,
                                   dmodulation.empty() ? nullptr : dmodulation.row(s), coefficients,
                                   o.width()});
    ctx.map(o.pixels, o.x.cols,
            NormTangent<T, Act>{{x, factors}, coefficients, d, o.sample(dy, s)});
  }
};

}  // namespace vrfm::detail
