// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Stochastic gradient descent with momentum (Polyak 1964) and Nesterov's variant of it (Sutskever et
// al. 2013), with PyTorch's formula for a dampening of 0:
//   g += decay * p,  m = momentum * m + g,  p -= rate * (g + momentum * m if nesterov, else m).
#pragma once

#include <vrfm/training/optimizer.hpp>

namespace vrfm {

/// One step of Sgd. The momentum is zero before step 0, so the first step sets it to g.
template <class T>
struct SgdStep {
  T rate, momentum, weight_decay;
  bool nesterov;

  KOKKOS_INLINE_FUNCTION T operator()(T parameter, T gradient, OptimizerState<T, 1>& state) const {
    T& m = state.value[0];
    gradient += weight_decay * parameter;
    m = momentum * m + gradient;
    return parameter - rate * (nesterov ? gradient + momentum * m : m);
  }
};

/// With a momentum of 0: plain gradient descent.
struct Sgd {
  StepFunction learning_rate = 1e-3;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;  ///< a term of the gradient

  static constexpr std::array<const char*, 1> state{"sgd.momentum"};

  /// Throws std::invalid_argument naming the first impossible hyper-parameter.
  void check() const {
    detail::check_learning_rate(learning_rate);
    expect(momentum >= 0 && momentum < 1, "momentum must be in [0, 1), got ", momentum);
    expect(!nesterov || momentum > 0, "Nesterov's step needs a momentum above 0, got ", momentum);
    detail::check_hyper_parameter("weight decay", weight_decay, 0);
  }

  template <class T>
  KOKKOS_FUNCTION SgdStep<T> at(std::int64_t step) const {
    return {static_cast<T>(learning_rate.at(step)), static_cast<T>(momentum),
            static_cast<T>(weight_decay), nesterov};
  }
};

}  // namespace vrfm
