// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Training on Schroedinger bridges: Brownian bridges between pairs of an entropic transport.
#include <vrfm/couplings/sinkhorn_transport.hpp>
#include <vrfm/objectives/velocity_loss.hpp>

#include <examples/synthetic/training_methods.hpp>
#include <examples/synthetic/training_run.hpp>

namespace synthetic {

std::optional<FlowType> train_bridge(const TrainingJob& job) {
  const TrainingSettings s = settings_of(job.options, job.variant);
  using Path = vrfm::StochasticPath<vrfm::BridgeNoise>;
  using Times = vrfm::TimesWithin<ChosenTimes, true>;
  const int block = std::min(s.transport_block, s.batch);
  const auto pairs = vrfm::sinkhorn_transport<float>(
      job.exec, independent_pairs(job),
      {.batch = s.batch,
       .block = block,
       .sinkhorn = {.regularisation = 2 * s.bridge_deviation * s.bridge_deviation}});
  return train_by(
      job,
      vrfm::BasicVelocityLoss<Path, Times>{.velocity = reduction_of(s),
                                           .path = {.noise = {.sigma = s.bridge_deviation}},
                                           .times = {.times = times_of(s)}},
      pairs);
}

}  // namespace synthetic
