// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How integrations end: the kernel writes a TrajectoryStatus for each trajectory, the host makes one
// Result of all.
#pragma once

#include <cstdint>
#include <stdexcept>

#include <vrfm/core/check.hpp>
#include <vrfm/core/compat.hpp>

namespace vrfm {

/// Why a trajectory ended, the gravest last.
enum class Reason : int {
  finished,        ///< reached the end of its time grid
  step_limit,      ///< an adaptive solver used up its steps
  step_too_small,  ///< the tolerance asks for steps that do not advance t
  not_finite       ///< x or v became infinite or NaN
};

inline const char* describe(Reason reason) {
  switch (reason) {
    case Reason::finished:
      return "finished";
    case Reason::step_limit:
      return "reached the limit of steps";
    case Reason::step_too_small:
      return "needed steps too small to advance the time";
    case Reason::not_finite:
      return "became infinite or NaN";
  }
  return "unknown";
}

/// One trajectory. A failed one keeps the last x that was accepted.
struct TrajectoryStatus {
  int steps = 0;        ///< tried, rejected ones included
  int evaluations = 0;  ///< of the velocity
  int saved = 0;        ///< points of the time grid that were reached
  Reason reason = Reason::finished;
};

/// All trajectories of one call.
struct Result {
  Reason reason = Reason::finished;  ///< the gravest
  std::uint64_t samples = 0;
  std::uint64_t failed = 0;        ///< samples that did not finish
  std::uint64_t first_failed = 0;  ///< id of the first sample that failed
  int max_steps = 0;
  int max_evaluations = 0;
  double mean_steps = 0;
  double mean_evaluations = 0;

  bool finished() const { return reason == Reason::finished; }

  /// Throws std::runtime_error that says which sample failed and how, unless all finished.
  void expect_finished() const {
    if (finished()) return;
    throw std::runtime_error(text(
        "vrfm: ", failed, " of ", samples, " trajectories did not finish; the gravest reason: one ",
        describe(reason), "; the first is that of sample ", first_failed));
  }
};

}  // namespace vrfm
