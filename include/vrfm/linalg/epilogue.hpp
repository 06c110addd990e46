// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The epilogues of products that have names: what layers do with each element of C = op(A) op(B) once it is
// summed, while it is near. An engine whose library has one built in says so by an overload that takes it
// (engines/engine.hpp); elsewhere, like any other function object, it is called for each element.
#pragma once

#include <vrfm/core/activation.hpp>
#include <vrfm/core/bfloat16.hpp>
#include <vrfm/core/matrix.hpp>

namespace vrfm {

/// c += bias
template <class T, class P = T>
struct AddBias {
  Matrix<T> c;
  const P* bias;  ///< of the columns
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { c(i, j) = c(i, j) + bias[j]; }
};

/// c = act(c + bias)
template <class Act, class T, class P = T>
struct BiasThen {
  Matrix<T> c;
  const P* bias;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    c(i, j) = value_of<Act>(c(i, j) + bias[j]);
  }
};

/// What is kept of an activation for its derivative: the slope. For GELU's tanh form it is what vendors'
/// epilogues keep: the sum that the activation is applied to.
template <class Act>
inline constexpr bool keeps_sum = std::is_same_v<Act, GeluTanh>;

/// The same, and what is kept.
template <class Act, class T, class P = T>
struct BiasThenKept {
  Matrix<T> c;
  const P* bias;
  Matrix<T> kept;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const auto sum = c(i, j) + bias[j];
    const auto result = Act::evaluate(sum);
    c(i, j) = result.value;
    kept(i, j) = keeps_sum<Act> ? sum : result.slope;
  }
};

/// out = act'(...) d from what was kept; as an epilogue out and d are C, else they may be others.
template <class Act, class T>
struct TimesSlope {
  Matrix<T> kept;
  ConstMatrix<T> d;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const sum_type<T> k = kept(i, j);
    if constexpr (keeps_sum<Act>) {
      out(i, j) = Act::evaluate(k).slope * d(i, j);
    } else {
      out(i, j) = k * d(i, j);
    }
  }
};

/// c += bias, and y = x + gate c, the gate that of the row's sample.
template <class T, class H, class P>
struct GatedResidual {
  Matrix<H> c;
  const P* bias;
  Matrix<const T> gate, x;
  Matrix<T> y;
  int tokens;  ///< rows of a sample
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    c(i, j) = c(i, j) + bias[j];
    y(i, j) = x(i, j) + gate(i / tokens, j) * c(i, j);
  }
};

}  // namespace vrfm
