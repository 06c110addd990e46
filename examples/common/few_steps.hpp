// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the trainings of the programs share: times that are chosen when they run, and the stages of Consistency-FM.
#pragma once

#include <cstdint>

#include <vrfm/core/step_function.hpp>
#include <vrfm/paths/time_sampler.hpp>

namespace common {

/// Uniform, or logit-normal if there is a deviation: one objective serves both.
struct ChosenTimes {
  double mean = 0, deviation = 0;

  template <class T>
  KOKKOS_INLINE_FUNCTION T draw(const vrfm::RandomStream& stream, std::uint64_t sample,
                                std::uint32_t step) const {
    return deviation > 0 ? vrfm::LogitNormalTime{mean, deviation}.draw<T>(stream, sample, step)
                         : vrfm::UniformTime{}.draw<T>(stream, sample, step);
  }
};

/// b of Consistency-FM's two stages, the second from step `change` on, and t away from 0 (Yang et al. 2024).
inline vrfm::StepFunction consistency_boundary(std::int64_t change) {
  return vrfm::StepFunction::change(0, 0.9, change);
}
inline vrfm::TimesWithin<ChosenTimes> consistency_times(const ChosenTimes& times) {
  return {.first = 1e-3, .last = 1, .times = times};
}

}  // namespace common
