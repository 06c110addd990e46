// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Training with a learned coupling, q(x0 | x1).
#include <vrfm/objectives/variational_coupling.hpp>
#include <vrfm/objectives/velocity_loss.hpp>

#include <examples/synthetic/training_methods.hpp>
#include <examples/synthetic/training_run.hpp>

namespace synthetic {

std::optional<FlowType> train_coupling(const TrainingJob& job) {
  const Options& o = job.options;
  const TrainingSettings s = settings_of(o, job.variant);
  using Loss = vrfm::BasicVelocityLoss<vrfm::LinearSchedule, ChosenTimes>;
  const vrfm::VariationalCoupling<Loss> objective{
      .objective = {.velocity = reduction_of(s), .times = times_of(s)},
      .lambda = s.coupling_weight,
      .kl = reduction_of(s)};
  return train_by(job, CouplingFlow(job.exec, flow_options(o, job.variant), job.seed), objective,
                  vrfm::independent(source_of(job.exec, o, job.variant), target_of(job.exec, o)));
}

}  // namespace synthetic
