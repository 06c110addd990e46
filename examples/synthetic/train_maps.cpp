// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Trainings for few evaluations: flow maps by MeanFlow and SoFlow, with z and without, and Consistency-FM.
#include <vrfm/objectives/consistency_loss.hpp>
#include <vrfm/objectives/mean_flow.hpp>
#include <vrfm/objectives/so_flow.hpp>

#include <examples/synthetic/training_methods.hpp>
#include <examples/synthetic/training_run.hpp>

namespace synthetic {

namespace {

template <class O>
std::optional<FlowType> train_map(const TrainingJob& job, O objective) {
  const TrainingSettings s = settings_of(job.options, job.variant);
  objective.times = {.equal = s.equal_times, .times = times_of(s)};
  objective.weight.power = s.adaptive_power;
  objective.weight.offset = 0.01;
  objective.velocity = reduction_of(s);
  const auto pairs = independent_pairs(job);
  return s.latent > 0 ? train_by(job,
                                 vrfm::Variational{
                                     .objective = objective, .beta = s.beta, .kl = reduction_of(s)},
                                 pairs)
                      : train_by(job, objective, pairs);
}

}  // namespace

std::optional<FlowType> train_mean_flow(const TrainingJob& job) {
  return train_map(job, vrfm::BasicMeanFlow<true, vrfm::LinearSchedule, ChosenTimes>{});
}

std::optional<FlowType> train_so_flow(const TrainingJob& job) {
  vrfm::BasicSoFlow<vrfm::LinearSchedule, ChosenTimes> objective;
  const double last = settings_of(job.options, job.variant).last_rho;
  objective.rho = vrfm::StepFunction::exponential(1, last, job.options.iterations);
  return train_map(job, objective);
}

std::optional<FlowType> train_consistency(const TrainingJob& job) {
  const TrainingSettings s = settings_of(job.options, job.variant);
  const auto change =
      static_cast<std::int64_t>(s.first_stage * static_cast<double>(job.options.iterations));
  using Times = vrfm::TimesWithin<ChosenTimes>;
  return train_by(job,
                  vrfm::BasicConsistencyLoss<vrfm::LinearSchedule, Times>{
                      .boundary = consistency_boundary(change),
                      .segments = s.segments,
                      .velocity = reduction_of(s),
                      .times = consistency_times(times_of(s))},
                  independent_pairs(job));
}

}  // namespace synthetic
