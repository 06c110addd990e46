// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// long_run: steps with something done in between, that end when they are asked to. The host looks at
// the results after every step, or, where a step takes less than some milliseconds, after several.
#pragma once

#include <vector>

#include <vrfm/training/trainer.hpp>

namespace vrfm {

/// Done after the steps whose number is a multiple of `every`; 0: never.
struct PeriodicAction {
  std::int64_t every = 0;
  std::function<void()> act;
};

/// Trains until `last_step` steps are done, or until `stop()` says so, which is asked before the first step,
/// too. The host looks after every `report_every` steps, after each step that an action follows, and at the
/// end: then come on_report (see Trainer::run; of the steps since the last look), the actions that are due,
/// in order, and stop().
/// Returns whether all steps are done. The bits are those of Trainer::run, whatever `report_every` is.
/// Throws as it does.
template <class TrainerType>
bool long_run(TrainerType& trainer, std::int64_t last_step,
              const std::function<void(const TrainingReport&)>& on_report,
              const std::vector<PeriodicAction>& actions, const std::function<bool()>& stop,
              std::int64_t report_every = 1) {
  expect(report_every >= 1, "report_every must be at least 1, got ", report_every);
  for (const auto& action : actions) {
    expect(action.every >= 0, "an action's period must be >= 0 steps, got ", action.every);
  }
  Kokkos::Timer total;
  while (trainer.step() < last_step) {
    // One rank's signal stops all: each asks, and all hear the same.
    if (trainer.communicator().any(stop && stop())) return false;
    const std::int64_t step = trainer.step();
    std::int64_t next = math::minimum(last_step, step + report_every);
    for (const auto& action : actions) {
      if (action.every > 0) next = math::minimum(next, (step / action.every + 1) * action.every);
    }
    trainer.run(next, report_every, [&](TrainingReport report) {
      report.last_step = last_step;
      report.seconds = total.seconds();
      if (on_report) on_report(report);
    });
    for (const auto& action : actions) {
      if (action.every > 0 && trainer.step() % action.every == 0) action.act();
    }
  }
  return true;
}

}  // namespace vrfm
