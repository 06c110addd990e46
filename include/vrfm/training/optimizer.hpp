// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The Optimizer concept, and the pass over flat arrays that applies one. An optimizer is a value:
//
//   state           names of the arrays that it keeps beside the parameters, as checkpoints name them, an
//                   std::array of const char*; may be empty. All arrays are zero before step 0
//   check()         throws std::invalid_argument naming the first impossible hyper-parameter
//   at<T>(step)     what the update of all parameters has in common at `step` (from 0): a value, computed
//                   once a step inside a kernel, such as the rate or the correction of a bias
//   at<T>(step)(parameter, gradient, state)
//                   returns the new parameter, and updates the state of that element
//
// Each element's update depends on nothing but that element. Gradients come clipped. Numbers that vary
// over a training are StepFunctions. Optimizers may wrap optimizers; see average.hpp.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include <vrfm/core/step_function.hpp>

namespace vrfm {

/// One element's entries of the `n` arrays of an optimizer, in the order of their names.
template <class T, int n>
struct OptimizerState {
  T value[n > 0 ? std::size_t(n) : 1];
};

/// How many arrays an optimizer keeps beside the parameters.
template <class O>
inline constexpr int state_count = static_cast<int>(O::state.size());

/// Which of the arrays has this name; -1 if none has.
template <class O>
constexpr int state_index(std::string_view name) {
  for (int i = state_count<O> - 1; i >= 0; --i)
    if (O::state[static_cast<std::size_t>(i)] == name) return i;
  return -1;
}

/// What O computes once a step.
template <class O, class T>
using OptimizerStep = decltype(std::declval<const O&>().template at<T>(std::int64_t()));

namespace detail {

template <class O>
concept HasStateNames = requires {
  O::state.size();
  { O::state.data() } -> std::same_as<const char* const*>;
};

/// Whether the names can be told apart, in a checkpoint's list of them too.
template <class O>
constexpr bool distinct_names() {
  for (int i = 0; i < state_count<O>; ++i) {
    const std::string_view name = O::state[static_cast<std::size_t>(i)];
    if (name.empty() || name.find(',') != name.npos || state_index<O>(name) != i) return false;
  }
  return true;
}

template <class O>
concept HasDistinctNames = HasStateNames<O> && distinct_names<O>();

template <class O>
concept HasCheck = requires(const O& o) { o.check(); };

template <class O, class T>
concept HasStep = requires { typename OptimizerStep<O, T>; } &&
                  std::is_trivially_copyable_v<OptimizerStep<O, T>> &&
                  std::is_default_constructible_v<OptimizerStep<O, T>>;

template <class O, class T>
concept UpdatesElement =
    HasStateNames<O> && HasStep<O, T> &&
    requires(const OptimizerStep<O, T>& step, OptimizerState<T, state_count<O>>& state) {
      { step(T(), T(), state) } -> std::same_as<T>;
    };

/// Throws std::invalid_argument unless `value` is at least `least` and a number that float holds.
inline void check_hyper_parameter(const char* name, double value, double least) {
  expect(value >= least && value <= double{(std::numeric_limits<float>::max)()}, name,
         " must be a number that float holds, >= ", least, ", got ", value);
}

/// Throws std::invalid_argument unless `rate` is positive and possible.
inline void check_learning_rate(const StepFunction& rate) {
  expect(rate.value() > 0, "learning rate must be positive, got ", rate.value());
  check_hyper_parameter("learning rate", rate.value(), 0);
  rate.check("the learning rate");
}

}  // namespace detail

template <class O, class T>
concept Optimizer = std::is_trivially_copyable_v<O> && detail::HasDistinctNames<O> &&
                    detail::HasCheck<O> && detail::UpdatesElement<O, T>;

/// Says in one sentence what an optimizer lacks.
template <class O, class T>
struct RequireOptimizer {
  static_assert(std::is_trivially_copyable_v<O>,
                "vrfm: an optimizer needs to be trivially copyable, as it travels into kernels");
  static_assert(detail::HasStateNames<O>,
                "vrfm: an optimizer needs `static constexpr std::array<const char*, n> state`, the "
                "names of the arrays that it keeps beside the parameters");
  static_assert(
      !detail::HasStateNames<O> || detail::HasDistinctNames<O>,
      "vrfm: an optimizer needs names of its state that differ from each other, without commas");
  static_assert(detail::HasCheck<O>,
                "vrfm: an optimizer needs check() const, which throws if a value is impossible");
  static_assert(
      detail::HasStep<O, T>,
      "vrfm: an optimizer needs at<T>(std::int64_t step) const, which returns a trivially "
      "copyable value with a default constructor");
  static_assert(
      !detail::HasStateNames<O> || !detail::HasStep<O, T> || detail::UpdatesElement<O, T>,
      "vrfm: an optimizer needs at<T>(step)(T parameter, T gradient, OptimizerState<T, n>&) "
      "const, which returns the new parameter as a T");
  static constexpr bool ok = Optimizer<O, T>;
};

}  // namespace vrfm
