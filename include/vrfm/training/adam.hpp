// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), with PyTorch's formulas and
// defaults:
//   m += (1 - b1)(g - m),  v = b2 v + (1 - b2) g^2,
//   p -= rate / (1 - b1^n) * m / (sqrt(v) / sqrt(1 - b2^n) + epsilon),
// where n counts the steps from 1. Weight decay: AdamW shrinks p by 1 - rate * decay first, Adam adds
// decay * p to g.
#pragma once

#include <vrfm/training/optimizer.hpp>

namespace vrfm {

/// One step of Adam or, if `decoupled`, of AdamW. Differences such as 1 - beta2 come as members of their
/// own: taken in float they would lose up to four digits.
template <class T, bool decoupled>
struct AdamStep {
  T decay;  ///< decoupled: what is left of p, 1 - rate * weight_decay; else weight_decay
  T keep1;  ///< 1 - beta1
  T beta2, keep2;
  T epsilon, step_size, root_correction;

  KOKKOS_INLINE_FUNCTION T operator()(T parameter, T gradient, OptimizerState<T, 2>& state) const {
    if constexpr (decoupled) {
      parameter *= decay;
    } else {
      gradient += decay * parameter;
    }
    T& m = state.value[0];
    T& v = state.value[1];
    m += keep1 * (gradient - m);
    v = beta2 * v + keep2 * gradient * gradient;
    return parameter - step_size * m / (math::sqrt(v) / root_correction + epsilon);
  }
};

namespace detail {

inline constexpr std::array<const char*, 2> adam_state{"adam.first_moment", "adam.second_moment"};

template <class T, bool decoupled, class O>
KOKKOS_INLINE_FUNCTION AdamStep<T, decoupled> adam_step(const O& o, std::int64_t step) {
  const auto n = static_cast<double>(step + 1);
  const double rate = o.learning_rate.at(step);
  return {static_cast<T>(decoupled ? 1 - rate * o.weight_decay : o.weight_decay),
          static_cast<T>(1 - o.beta1),
          static_cast<T>(o.beta2),
          static_cast<T>(1 - o.beta2),
          static_cast<T>(o.epsilon),
          static_cast<T>(rate / (1 - math::pow(o.beta1, n))),
          static_cast<T>(math::sqrt(1 - math::pow(o.beta2, n)))};
}

template <class O>
void check_adam(const O& o) {
  check_learning_rate(o.learning_rate);
  expect(o.beta1 >= 0 && o.beta1 < 1, "beta1 must be in [0, 1), got ", o.beta1);
  expect(o.beta2 >= 0 && o.beta2 < 1, "beta2 must be in [0, 1), got ", o.beta2);
  // A parameter whose gradient was always 0 is divided by it.
  check_hyper_parameter("epsilon", o.epsilon, double{(std::numeric_limits<float>::min)()});
  check_hyper_parameter("weight decay", o.weight_decay, 0);
}

}  // namespace detail

/// Adam with decoupled weight decay.
struct AdamW {
  StepFunction learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;

  static constexpr auto state = detail::adam_state;

  /// Throws std::invalid_argument naming the first impossible hyper-parameter.
  void check() const { detail::check_adam(*this); }

  template <class T>
  KOKKOS_FUNCTION AdamStep<T, true> at(std::int64_t step) const {
    return detail::adam_step<T, true>(*this, step);
  }
};

/// Adam with weight decay as a term of the gradient.
struct Adam {
  StepFunction learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;

  static constexpr auto state = detail::adam_state;

  /// Throws std::invalid_argument naming the first impossible hyper-parameter.
  void check() const { detail::check_adam(*this); }

  template <class T>
  KOKKOS_FUNCTION AdamStep<T, false> at(std::int64_t step) const {
    return detail::adam_step<T, false>(*this, step);
  }
};

}  // namespace vrfm
