// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SumOf: two objectives as one, so that a further term joins another loss without a copy of it. Both
// draw at the same addresses: they see the same times and, if they draw one, the same z.
#pragma once

#include <vrfm/objectives/objective.hpp>

namespace vrfm {

template <class First, class Second>
struct SumOf {
  First first;
  Second second;

  static constexpr auto terms = [] {
    std::array<const char*, First::terms.size() + Second::terms.size()> all{};
    std::size_t n = 0;
    for (const char* term : First::terms) all[n++] = term;
    for (const char* term : Second::terms) all[n++] = term;
    return all;
  }();
  static constexpr bool uses_teacher = vrfm::uses_teacher<First> || vrfm::uses_teacher<Second>;
  static constexpr bool needs_condition =
      vrfm::needs_condition<First> || vrfm::needs_condition<Second>;
  static constexpr bool trains_source = vrfm::trains_source<First> || vrfm::trains_source<Second>;

  template <class Networks>
  void check(const Networks& networks) const {
    first.check(networks);
    second.check(networks);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const LossProblem<Networks, T>& problem,
                                  Arena<T>& arena) const {
    LossProblem<Networks, T> part = problem;
    part.losses = problem.losses.col_range(0, term_count<First>);
    first(ctx, part, arena);
    part.losses = problem.losses.col_range(term_count<First>, term_count<Second>);
    part.gradient.accumulate = true;
    second(ctx, part, arena);
  }
};

/// first + second.
template <class First, class Second>
SumOf<First, Second> sum_of(const First& first, const Second& second) {
  return {first, second};
}

}  // namespace vrfm
