// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Velocity fields with known solutions, and the measuring of orders.
#pragma once

#include <cmath>
#include <vector>

#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>

#include <vrfm/core/random.hpp>
#include <vrfm/integrators/velocity.hpp>

namespace vrfm::test {

/// x0' = (1 + t) x0 (1 - x0), x1' = 3 cos(3 t) x1: nonlinear, and t enters.
/// With s = t + t^2 / 2: x0 = 1 / (1 + (1 / x0(0) - 1) e^-s), x1 = x1(0) e^sin(3 t).
struct Logistic {
  template <class T>
  KOKKOS_FUNCTION void operator()(T t, const T* x, T* v) const {
    v[0] = (T(1) + t) * x[0] * (T(1) - x[0]);
    v[1] = T(3) * math::cos(T(3) * t) * x[1];
  }

  /// The solution at `t` from `x` at time 0.
  static std::vector<double> exact(double t, const std::vector<double>& x) {
    return {1 / (1 + (1 / x[0] - 1) * std::exp(-t - t * t / 2)), x[1] * std::exp(std::sin(3 * t))};
  }
};

/// The velocity of x_t = (1 - t) x0 + t x1 for independent x0 ~ N(m0, s0^2 I), x1 ~ N(m1, s1^2 I)
/// in three dimensions: v = m1 - m0 + slope(t) (x - (1 - t) m0 - t m1). Its trajectories keep
/// (x - mean(t)) / deviation(t).
struct GaussianFlow {
  double m0 = 0.5, s0 = 1, m1 = 2, s1 = 0.3;
  static constexpr int dimension = 3;

  template <class T>
  KOKKOS_FUNCTION T slope(T t) const {
    const T a = (T(1) - t) * T(s0 * s0), b = t * T(s1 * s1);
    return (b - a) / ((T(1) - t) * a + t * b);
  }
  template <class T>
  KOKKOS_FUNCTION void operator()(T t, const T* x, T* v) const {
    const T mean = T(m0) + t * T(m1 - m0);
    for (int j = 0; j < dimension; ++j) v[j] = T(m1 - m0) + slope(t) * (x[j] - mean);
  }
  template <class T>
  KOKKOS_FUNCTION void tangent(T t, const T*, const T* dx, T* dv) const {
    for (int j = 0; j < dimension; ++j) dv[j] = slope(t) * dx[j];
  }

  double exact(double x0) const { return m1 + s1 / s0 * (x0 - m0); }
};

/// v = A x with a full matrix, in three dimensions: trace 0.3, and not symmetric.
struct LinearFlow {
  static constexpr int dimension = 3;

  KOKKOS_FUNCTION static double entry(int i, int j) {
    return i == j ? 0.1 : 0.2 * (i + 1) - 0.35 * j;
  }
  template <class T>
  KOKKOS_FUNCTION void operator()(T t, const T* x, T* v) const {
    tangent(t, x, x, v);
  }
  template <class T>
  KOKKOS_FUNCTION void tangent(T, const T*, const T* dx, T* dv) const {
    for (int i = 0; i < dimension; ++i) {
      dv[i] = T(0);
      for (int j = 0; j < dimension; ++j) dv[i] += T(entry(i, j)) * dx[j];
    }
  }
};

/// N(0, I) of `columns` columns.
struct NormalSource {
  int columns = 1;
  KOKKOS_FUNCTION int dimension() const { return columns; }
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            T* x) const {
    stream.normal(sample, step, 0, columns, x);
  }
  template <class T>
  KOKKOS_FUNCTION T log_density(const T* x) const {
    T squares = T(0);
    for (int j = 0; j < columns; ++j) squares += x[j] * x[j];
    return T(-0.5) * squares - T(0.91893853320467274178) * static_cast<T>(columns);
  }
};

/// log2 of how much the error shrinks when the steps are halved.
inline double order_of(double coarse_error, double fine_error) {
  return std::log2(coarse_error / fine_error);
}

}  // namespace vrfm::test
