// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Averaged: an optimizer around an optimizer, which keeps an exponential moving average of the
// parameters: average += (1 - decay) (p - average). At a decay near 1 the increment is below half a unit
// in the last place of the average, and a plain sum would never move. So what each sum loses is saved
// and given to the next (Kahan 1965): y = gain (p - average) - c, t = average + y,
// c = (t - average) - y, average = t.
#pragma once

#include <vrfm/training/optimizer.hpp>

namespace vrfm {

/// The inner step, then the average's, whose entries are the last two of the state.
template <class T, class Step, int inner>
struct AveragedStep {
  Step step;
  T gain;      ///< 1 - decay
  bool first;  ///< the average starts as a copy of the parameter before its first update

  KOKKOS_INLINE_FUNCTION T operator()(T parameter, T gradient,
                                      OptimizerState<T, inner + 2>& state) const {
    OptimizerState<T, inner> own{};
    VRFM_UNROLL
    for (int k = 0; k < inner; ++k) own.value[k] = state.value[k];
    const T next = step(parameter, gradient, own);
    VRFM_UNROLL
    for (int k = 0; k < inner; ++k) state.value[k] = own.value[k];

    const T average = first ? parameter : state.value[inner];
    const T lost = first ? T(0) : state.value[inner + 1];
    const T increment = gain * (next - average) - lost;
    const T sum = average + increment;
    state.value[inner] = sum;
    state.value[inner + 1] = (sum - average) - increment;
    return next;
  }
};

/// The names of an average's arrays in checkpoints.
inline constexpr const char* average_name = "ema";
inline constexpr const char* average_compensation_name = "ema_compensation";

namespace detail {

template <class O>
constexpr auto with_average() {
  std::array<const char*, O::state.size() + 2> names{};
  std::size_t n = 0;
  for (const char* name : O::state) names[n++] = name;
  names[n++] = "ema";
  names[n] = "ema_compensation";
  return names;
}

}  // namespace detail

/// `optimizer`, with a moving average of what it does to the parameters.
template <class O>
struct Averaged {
  O optimizer = {};
  double decay = 0.9999;

  static constexpr auto state = detail::with_average<O>();

  /// Throws std::invalid_argument naming the first impossible hyper-parameter.
  void check() const {
    optimizer.check();
    expect(decay >= 0 && decay < 1, "ema_decay must be in [0, 1), got ", decay);
  }

  template <class T>
    requires Optimizer<O, T>
  KOKKOS_FUNCTION AveragedStep<T, OptimizerStep<O, T>, state_count<O>> at(std::int64_t step) const {
    return {optimizer.template at<T>(step), static_cast<T>(1 - decay), step == 0};
  }
};

template <class O>
Averaged(O) -> Averaged<O>;
template <class O>
Averaged(O, double) -> Averaged<O>;

}  // namespace vrfm
