// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which training a method is.
#include <examples/synthetic/training_methods.hpp>

namespace synthetic {

std::optional<FlowType> train(const TrainingJob& job) {
  const Method& method = method_named(job.variant.model);
  switch (method.loss) {
    case Loss::consistency:
      return train_consistency(job);
    case Loss::mean_flow:
      return train_mean_flow(job);
    case Loss::so_flow:
      return train_so_flow(job);
    case Loss::velocity:
      break;
  }
  switch (method.pairs) {
    case Pairs::bridge:
      return train_bridge(job);
    case Pairs::transport:
      return train_flow_by_transport(job);
    case Pairs::reflow:
      return train_reflow(job);
    case Pairs::learned:
      return train_coupling(job);
    case Pairs::independent:
      break;
  }
  return train_flow(job);
}

}  // namespace synthetic
