// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Distances between a velocity and its target, d = sum_j d(v_j - u_j), and weights over t of the
// velocity's loss. Both are small values that an objective carries; a user's own has the same members.
#pragma once

#include <concepts>

#include <vrfm/core/check.hpp>
#include <vrfm/core/compat.hpp>

namespace vrfm {

/// d(e) and its derivative at one error.
template <class T>
struct ErrorAndSlope {
  T value;
  T slope;
};

template <class D>
concept Distance = requires(const D& distance, float e) {
  { distance.evaluate(e) } -> std::same_as<ErrorAndSlope<float>>;
};

/// e^2: the mean of the targets is learned.
struct SquaredDistance {
  template <class T>
  KOKKOS_INLINE_FUNCTION ErrorAndSlope<T> evaluate(T e) const {
    return {e * e, T(2) * e};
  }
};

/// Calls part.check() of a path, distance, weight or time sampler that has one; it throws
/// std::invalid_argument.
template <class Part>
void check_part(const Part& part) {
  if constexpr (requires { part.check(); }) part.check();
}

/// |e|: the median. The slope at 0 is 0; a NaN stays one.
struct AbsoluteDistance {
  template <class T>
  KOKKOS_INLINE_FUNCTION ErrorAndSlope<T> evaluate(T e) const {
    return {math::fabs(e), e > T(0) ? T(1) : (e < T(0) ? T(-1) : e)};
  }
};

/// e^2 / 2 for |e| <= delta, delta (|e| - delta / 2) beyond (Huber 1964; PyTorch's nn.HuberLoss).
struct HuberDistance {
  double delta = 1;

  void check() const { expect(delta > 0, "HuberDistance needs delta > 0, got ", delta); }

  template <class T>
  KOKKOS_INLINE_FUNCTION ErrorAndSlope<T> evaluate(T e) const {
    const T d = static_cast<T>(delta), size = math::fabs(e);
    if (size > d) return {d * (size - d / T(2)), e > T(0) ? d : -d};
    return {e * e / T(2), e};
  }
};

/// A factor of the velocity's loss at time t.
template <class W>
concept TimeWeight = requires(const W& weight, float t) {
  { weight(t) } -> std::same_as<float>;
};

/// The same weight at all times.
struct UnitWeight {
  template <class T>
  KOKKOS_INLINE_FUNCTION T operator()(T) const {
    return T(1);
  }
};

}  // namespace vrfm
