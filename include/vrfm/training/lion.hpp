// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lion (Chen et al. 2023, Symbolic discovery of optimization algorithms, algorithm 2): every parameter
// moves by the same distance, up or down as an average of its gradients says:
//   u = sign(b1 m + (1 - b1) g),  p -= rate (u + decay * p),  m = b2 m + (1 - b2) g.
#pragma once

#include <vrfm/training/optimizer.hpp>

namespace vrfm {

/// One step of Lion. Differences such as 1 - beta2 come as members of their own: taken in float they
/// would lose digits.
template <class T>
struct LionStep {
  T rate;
  T decay;  ///< what is left of p: 1 - rate * weight_decay
  T beta1, keep1;
  T beta2, keep2;

  KOKKOS_INLINE_FUNCTION T operator()(T parameter, T gradient, OptimizerState<T, 1>& state) const {
    T& m = state.value[0];
    const T direction = beta1 * m + keep1 * gradient;
    m = beta2 * m + keep2 * gradient;
    const T sign = static_cast<T>(direction > T(0)) - static_cast<T>(direction < T(0));
    return parameter * decay - rate * sign;
  }
};

/// The paper advises a rate three to ten times below AdamW's, and a decay above it by as much.
struct Lion {
  StepFunction learning_rate = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0;  ///< decoupled

  static constexpr std::array<const char*, 1> state{"lion.momentum"};

  /// Throws std::invalid_argument naming the first impossible hyper-parameter.
  void check() const {
    detail::check_learning_rate(learning_rate);
    expect(beta1 >= 0 && beta1 < 1, "beta1 must be in [0, 1), got ", beta1);
    expect(beta2 >= 0 && beta2 < 1, "beta2 must be in [0, 1), got ", beta2);
    detail::check_hyper_parameter("weight decay", weight_decay, 0);
  }

  template <class T>
  KOKKOS_FUNCTION LionStep<T> at(std::int64_t step) const {
    const double rate = learning_rate.at(step);
    return {static_cast<T>(rate),  static_cast<T>(1 - rate * weight_decay),
            static_cast<T>(beta1), static_cast<T>(1 - beta1),
            static_cast<T>(beta2), static_cast<T>(1 - beta2)};
  }
};

}  // namespace vrfm
