// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Activations: stateless types with a `name` as PyTorch has it and one function that gives value
// and derivative together, since the two share their expensive part. An activation whose value
// alone has a cheaper formula adds `value`. A user's own activation is any type that meets the
// concept. Activations with transcendental functions take them from a type: Gelu is
// BasicGelu<FastMath>, and BasicGelu<ExactMath> uses the standard library's.
#pragma once

#include <vrfm/core/fast_math.hpp>

namespace vrfm {

/// An activation's value and derivative at one point.
template <class T>
struct ValueAndSlope {
  T value;
  T slope;
};

template <class A>
concept Activation = requires(float x, double y) {
  { A::evaluate(x) } -> std::same_as<ValueAndSlope<float>>;
  { A::evaluate(y) } -> std::same_as<ValueAndSlope<double>>;
  A::name;
};

/// The value alone.
template <Activation A, class T>
KOKKOS_INLINE_FUNCTION T value_of(T x) {
  if constexpr (requires { A::value(x); }) {
    return A::value(x);
  } else {
    return A::evaluate(x).value;
  }
}

/// x
struct Identity {
  static constexpr const char* name = "identity";
  template <class T>
  KOKKOS_INLINE_FUNCTION static ValueAndSlope<T> evaluate(T x) {
    return {x, T(1)};
  }
};

/// max(x, 0); slope 0 at 0, as PyTorch's.
struct Relu {
  static constexpr const char* name = "relu";
  template <class T>
  KOKKOS_INLINE_FUNCTION static ValueAndSlope<T> evaluate(T x) {
    return {x > T(0) ? x : (x <= T(0) ? T(0) : x), x > T(0) ? T(1) : T(0)};
  }
};

/// x / (1 + exp(-x)) (Elfwing et al. 2018, "Sigmoid-weighted linear units").
template <class MathType = FastMath>
struct BasicSilu {
  using Math = MathType;
  static constexpr const char* name = "silu";
  template <class T>
  KOKKOS_INLINE_FUNCTION static ValueAndSlope<T> evaluate(T x) {
    const T s = Math::sigmoid(x);
    return {x * s, s + x * s * (T(1) - s)};
  }
};
using Silu = BasicSilu<>;

/// x Phi(x), Phi the standard normal distribution function (Hendrycks and Gimpel 2016).
template <class MathType = FastMath>
struct BasicGelu {
  using Math = MathType;
  static constexpr const char* name = "gelu";
  template <class T>
  KOKKOS_INLINE_FUNCTION static ValueAndSlope<T> evaluate(T x) {
    const auto normal = Math::normal(x);
    return {x * normal.cdf, normal.cdf + x * normal.pdf};
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static T value(T x) {
    return Math::gelu(x);
  }
};
using Gelu = BasicGelu<>;

/// The tanh form of Gelu: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
template <class MathType = FastMath>
struct BasicGeluTanh {
  using Math = MathType;
  static constexpr const char* name = "gelu_tanh";
  template <class T>
  KOKKOS_INLINE_FUNCTION static ValueAndSlope<T> evaluate(T x) {
    const T c = T(0.79788456080286535588);
    // (1 + tanh u) / 2 = sigmoid(2u), without the cancellation of the left side for u << 0.
    const T s = Math::sigmoid(T(2) * c * (x + T(0.044715) * x * x * x));
    return {x * s, s + T(2) * x * s * (T(1) - s) * c * (T(1) + T(3 * 0.044715) * x * x)};
  }
};
using GeluTanh = BasicGeluTanh<>;

/// lambda x for x > 0, lambda alpha (exp(x) - 1) otherwise (Klambauer et al. 2017).
template <class MathType = FastMath>
struct BasicSelu {
  using Math = MathType;
  static constexpr const char* name = "selu";
  template <class T>
  KOKKOS_INLINE_FUNCTION static ValueAndSlope<T> evaluate(T x) {
    const T lambda = T(1.0507009873554804934193349852946);
    const T alpha = T(1.6732632423543772848170429916717);
    const T e = lambda * alpha * Math::exp(math::minimum(x, T(0)));
    return {x > T(0) ? lambda * x : e - lambda * alpha, x > T(0) ? lambda : e};
  }
};
using Selu = BasicSelu<>;

/// tanh(x)
template <class MathType = FastMath>
struct BasicTanh {
  using Math = MathType;
  static constexpr const char* name = "tanh";
  template <class T>
  KOKKOS_INLINE_FUNCTION static ValueAndSlope<T> evaluate(T x) {
    const T y = Math::tanh(x);
    return {y, T(1) - y * y};
  }
};
using Tanh = BasicTanh<>;

/// The functions that an activation computes with; FastMath if it names none.
template <Activation A>
struct MathOf {
  using type = FastMath;
};
template <Activation A>
  requires requires { typename A::Math; }
struct MathOf<A> {
  using type = typename A::Math;
};

}  // namespace vrfm
