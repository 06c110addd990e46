// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pass over flat arrays that applies an optimizer: one launch for all parameters, whatever the
// optimizer keeps. What changes from step to step is read from the device's memory, where the kernel
// before wrote it, so the launch itself is always the same.
#pragma once

#include <vrfm/linalg/flat.hpp>
#include <vrfm/training/optimizer.hpp>

namespace vrfm::detail {

/// What the pass of a step is given, in the device's memory.
template <class T, class O>
struct StepInput {
  OptimizerStep<O, T> step;
  T gradient_scale;
  bool skip;  ///< a step went bad: leave everything as it was
};

/// The update of one parameter.
template <class T, class O>
struct OptimizerElement {
  static constexpr int n = state_count<O>;

  T* p;
  const T* g;
  T* state[n > 0 ? std::size_t(n) : 1];
  StepInput<T, O> input;

  KOKKOS_INLINE_FUNCTION void operator()(std::int64_t i) const {
    if (input.skip) return;
    OptimizerState<T, n> element{};
    VRFM_UNROLL
    for (int k = 0; k < n; ++k) element.value[k] = state[k][i];
    p[i] = input.step(p[i], g[i] * input.gradient_scale, element);
    VRFM_UNROLL
    for (int k = 0; k < n; ++k) state[k][i] = element.value[k];
  }
};

/// Functor for flat_map: the update of all parameters. It loads its input once a block.
template <class T, class O>
struct OptimizerPass {
  T* p;
  const T* g;
  T* state[state_count<O> > 0 ? state_count<O> : 1];  ///< in the order of O's names
  const StepInput<T, O>* input;

  KOKKOS_INLINE_FUNCTION OptimizerElement<T, O> begin() const {
    OptimizerElement<T, O> element{p, g, {}, *input};
    VRFM_UNROLL
    for (int k = 0; k < state_count<O>; ++k) element.state[k] = state[k];
    return element;
  }
};

}  // namespace vrfm::detail
