// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// long_run: steps with something done in between, that end when they are asked to. The host looks
// at every step, which suits steps of a millisecond and more.
#pragma once

#include <vector>

#include <vrfm/training/trainer.hpp>

namespace vrfm {

/// Done after the steps whose number is a multiple of `every`; 0: never.
struct PeriodicAction {
  std::int64_t every = 0;
  std::function<void()> act;
};

/// Trains until `last_step` steps are done, or until `stop()` after a step says so. After each step
/// come on_step (see Trainer::run; of one step) and then the actions that are due, in order. Returns
/// whether all steps are done. The bits are those of Trainer::run. Throws as it does.
template <class TrainerType>
bool long_run(TrainerType& trainer, std::int64_t last_step,
              const std::function<void(const TrainingReport&)>& on_step,
              const std::vector<PeriodicAction>& actions, const std::function<bool()>& stop) {
  for (const auto& action : actions) {
    expect(action.every >= 0, "an action's period must be >= 0 steps, got ", action.every);
  }
  while (trainer.step() < last_step) {
    trainer.run(trainer.step() + 1, 1, [&](TrainingReport report) {
      report.last_step = last_step;
      if (on_step) on_step(report);
    });
    for (const auto& action : actions) {
      if (action.every > 0 && trainer.step() % action.every == 0) action.act();
    }
    if (trainer.step() == last_step) break;
    // One rank's signal stops all: each asks, and all hear the same.
    if (trainer.communicator().any(stop && stop())) return false;
  }
  return true;
}

}  // namespace vrfm
