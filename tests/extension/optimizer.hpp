// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An optimizer of one's own: RMSprop (Hinton 2012), s = d s + (1 - d) g^2, p -= rate g / (sqrt(s) + e).
#pragma once

#include <vrfm/training/optimizer.hpp>

namespace extension {

template <class T>
struct RmsPropStep {
  T rate, decay, epsilon;

  KOKKOS_INLINE_FUNCTION T operator()(T p, T gradient, vrfm::OptimizerState<T, 1>& state) const {
    T& square = state.value[0];
    square = decay * square + (T(1) - decay) * gradient * gradient;
    return p - rate * gradient / (vrfm::math::sqrt(square) + epsilon);
  }
};

struct RmsProp {
  static constexpr std::array<const char*, 1> state = {"rmsprop.square"};

  vrfm::StepFunction learning_rate = 1e-2;
  double decay = 0.99;

  void check() const {
    learning_rate.check("RmsProp's rate");
    vrfm::expect(decay > 0 && decay < 1, "RmsProp needs a decay in (0, 1), got ", decay);
  }

  template <class T>
  KOKKOS_FUNCTION RmsPropStep<T> at(std::int64_t step) const {
    return {static_cast<T>(learning_rate.at(step)), static_cast<T>(decay), static_cast<T>(1e-8)};
  }
};

}  // namespace extension
