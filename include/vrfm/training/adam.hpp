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

/// What a step's update of all parameters has in common. Differences such as 1 - beta2 come as numbers
/// of their own: taken in float they would lose up to four digits.
template <class T>
struct AdamNumbers {
  T decay;  ///< decoupled: what is left of p, 1 - rate * weight_decay; else weight_decay
  T keep1;  ///< 1 - beta1
  T beta2, keep2;
  T epsilon, step_size, root_correction;
  T gradient_scale;
  bool skip;  ///< a step went bad: leave everything as it was

  /// Those of `step` (from 0) under the optimiser `o`.
  template <class O>
  KOKKOS_INLINE_FUNCTION static AdamNumbers at(std::int64_t step, const O& o, double gradient_scale,
                                               bool skip) {
    const auto n = static_cast<double>(step + 1);
    const double rate = o.learning_rate.at(step);
    return {static_cast<T>(O::decoupled ? 1 - rate * o.weight_decay : o.weight_decay),
            static_cast<T>(1 - o.beta1),
            static_cast<T>(o.beta2),
            static_cast<T>(1 - o.beta2),
            static_cast<T>(o.epsilon),
            static_cast<T>(rate / (1 - math::pow(o.beta1, n))),
            static_cast<T>(math::sqrt(1 - math::pow(o.beta2, n))),
            static_cast<T>(gradient_scale),
            skip};
  }
};

/// The update of one parameter.
template <class T, bool decoupled>
struct AdamElement {
  T* p;
  const T* g;
  T* m;
  T* v;
  AdamNumbers<T> numbers;

  KOKKOS_INLINE_FUNCTION void operator()(std::int64_t i) const {
    if (numbers.skip) return;
    T value = p[i];
    T gradient = g[i] * numbers.gradient_scale;
    if constexpr (decoupled) {
      value *= numbers.decay;
    } else {
      gradient += numbers.decay * value;
    }
    m[i] += numbers.keep1 * (gradient - m[i]);
    v[i] = numbers.beta2 * v[i] + numbers.keep2 * gradient * gradient;
    p[i] = value - numbers.step_size * m[i] /
                       (math::sqrt(v[i]) / numbers.root_correction + numbers.epsilon);
  }
};

/// The update of all parameters; its numbers are read from memory, where the step's kernel wrote them.
template <class T, bool decoupled>
struct AdamUpdate {
  T* p;
  const T* g;
  T* m;
  T* v;
  const AdamNumbers<T>* numbers;

  KOKKOS_INLINE_FUNCTION AdamElement<T, decoupled> begin() const { return {p, g, m, v, *numbers}; }
};

}  // namespace detail

}  // namespace vrfm
