// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Trainings of rectified flows, with z and without, on independent pairs and on those of optimal transport.
#include <vrfm/couplings/optimal_transport.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>

#include <examples/synthetic/training_methods.hpp>
#include <examples/synthetic/training_run.hpp>

namespace synthetic {

namespace {

template <class Pairing>
std::optional<FlowType> train_on(const TrainingJob& job, const Pairing& pairs) {
  const TrainingSettings s = settings_of(job.options, job.variant);
  const vrfm::Reduction reduction = reduction_of(s);
  if (s.latent == 0) {
    return train_by(job,
                    vrfm::BasicVelocityLoss<vrfm::LinearSchedule, ChosenTimes>{
                        .velocity = reduction, .times = times_of(s)},
                    pairs);
  }
  return train_by(job,
                  vrfm::BasicElbo<vrfm::LinearSchedule, ChosenTimes>{
                      .beta = s.beta, .velocity = reduction, .kl = reduction, .times = times_of(s)},
                  pairs);
}

}  // namespace

std::optional<FlowType> train_flow(const TrainingJob& job) {
  return train_on(job, independent_pairs(job));
}

std::optional<FlowType> train_flow_by_transport(const TrainingJob& job) {
  const TrainingSettings s = settings_of(job.options, job.variant);
  const int block = std::min(s.transport_block, s.batch);
  return train_on(job, vrfm::optimal_transport<float>(job.exec, independent_pairs(job),
                                                      {.batch = s.batch, .block = block}));
}

}  // namespace synthetic
