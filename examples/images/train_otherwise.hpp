// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Trainings on images for few evaluations, by MeanFlow, SoFlow and Consistency-FM, and on pairs of optimal
// transport. A set's program instantiates it in a source file of its own.
#pragma once

#include <algorithm>

#include <vrfm/couplings/optimal_transport.hpp>
#include <vrfm/objectives/consistency_loss.hpp>
#include <vrfm/objectives/mean_flow.hpp>
#include <vrfm/objectives/so_flow.hpp>

#include <examples/images/train.hpp>

namespace images {

/// Calls use(objective), or use of its form with z and a term of the KL divergence.
template <class O, class Use>
void with_latent_if_any(const TrainingSettings& s, const O& objective, const Use& use) {
  if (s.latent == 0) return use(objective);
  use(vrfm::Variational<O>{.objective = objective, .beta = s.beta, .kl = vrfm::Reduction::mean});
}

/// Calls use(objective) with the objective of few evaluations that the settings name, for a training of so many steps.
template <class Use>
void with_few_step_objective(const TrainingSettings& s, std::int64_t iterations, const Use& use) {
  constexpr auto mean = vrfm::Reduction::mean;
  using Path = vrfm::LinearSchedule;
  const auto as_map = [&](auto objective) {
    objective.times = {.equal = s.equal_times, .times = times_of(s)};
    objective.weight = {.power = s.adaptive_power};
    objective.velocity = mean;
    with_latent_if_any(s, objective, use);
  };
  if (s.objective == "meanflow") {
    as_map(vrfm::BasicMeanFlow<true, Path, ChosenTimes>{});
  } else if (s.objective == "soflow") {
    vrfm::BasicSoFlow<Path, ChosenTimes> objective;
    objective.rho = vrfm::StepFunction::exponential(1, s.last_rho, iterations);
    as_map(objective);
  } else {
    using Times = vrfm::TimesWithin<ChosenTimes>;
    const std::int64_t change = s.second_stage > 0 ? s.second_stage : iterations / 2;
    with_latent_if_any(
        s,
        vrfm::BasicConsistencyLoss<Path, Times>{.boundary = consistency_boundary(change),
                                                .segments = s.segments,
                                                .velocity = mean,
                                                .times = consistency_times(times_of(s))},
        use);
  }
}

template <class Set>
void Training<Set>::train_otherwise() {
  if (settings_.objective != "velocity") {
    return with_few_step_objective(settings_, options_.iterations, [this](const auto& objective) {
      with_precision(settings_, flow_, [&](const auto& flow) { train(flow, objective, pairs()); });
    });
  }
  const auto transported = vrfm::optimal_transport<float>(
      flow_.exec(), pairs(),
      {.batch = settings_.batch, .block = std::min(settings_.transport_block, settings_.batch)});
  with_velocity_objective(settings_, times_of(settings_), [&](const auto& objective) {
    with_precision(settings_, flow_,
                   [&](const auto& flow) { train(flow, objective, transported); });
  });
}

}  // namespace images
