// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019) as one pass over flat arrays,
// with PyTorch's formulas and defaults:
//   m += (1 - b1)(g - m),  v = b2 v + (1 - b2) g^2,
//   p -= rate / (1 - b1^n) * m / (sqrt(v) / sqrt(1 - b2^n) + epsilon).
// Weight decay: AdamW shrinks p by 1 - rate * decay first, Adam adds decay * p to g.
#pragma once

#include <vrfm/linalg/flat.hpp>
#include <vrfm/training/learning_rate.hpp>

namespace vrfm {

struct AdamW {
  LearningRate learning_rate = {};
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  static constexpr bool decoupled = true;
};

struct Adam {
  LearningRate learning_rate = {};
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  static constexpr bool decoupled = false;
};

template <class O>
concept AdamOptimizer = std::same_as<O, AdamW> || std::same_as<O, Adam>;

/// Throws std::invalid_argument naming the first impossible hyper-parameter.
template <AdamOptimizer O>
void check(const O& o) {
  o.learning_rate.check();
  expect(o.beta1 >= 0 && o.beta1 < 1, "beta1 must be in [0, 1), got ", o.beta1);
  expect(o.beta2 >= 0 && o.beta2 < 1, "beta2 must be in [0, 1), got ", o.beta2);
  expect(o.epsilon > 0, "epsilon must be positive, got ", o.epsilon);
  expect(o.weight_decay >= 0, "weight decay must be >= 0, got ", o.weight_decay);
}

namespace detail {

/// The update of one parameter. `gradient_scale` is read from memory: clipping decides it there;
/// a zero `go` leaves everything as it was.
template <class T, bool decoupled>
struct AdamElement {
  T* p;
  const T* g;
  T* m;
  T* v;
  const double* gradient_scale;
  const int* bad_step;
  T rate, beta1, beta2, epsilon, decay, step_size, root_correction;

  KOKKOS_INLINE_FUNCTION void operator()(std::int64_t i) const {
    if (*bad_step != 0) return;
    T value = p[i];
    T gradient = g[i] * static_cast<T>(*gradient_scale);
    if constexpr (decoupled) {
      value *= T(1) - rate * decay;
    } else {
      gradient += decay * value;
    }
    m[i] += (T(1) - beta1) * (gradient - m[i]);
    v[i] = beta2 * v[i] + (T(1) - beta2) * gradient * gradient;
    p[i] = value - step_size * m[i] / (math::sqrt(v[i]) / root_correction + epsilon);
  }
};

}  // namespace detail

}  // namespace vrfm
