// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What two source files of one program do, of which one has oneDNN's engine.
#pragma once

#include <vector>

#include <tests/training/tiny_unet.hpp>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/trainer.hpp>

namespace mixed {

/// The weights of a U-Net after two steps.
template <class FlowType>
std::vector<float> train() {
  const typename FlowType::execution_space exec;
  const FlowType flow(exec, vrfm::test::tiny_unet(), 1);
  const auto noise = vrfm::standard_normal<float>(exec, flow.dimension());
  vrfm::Trainer trainer(flow, vrfm::Elbo{}, vrfm::AdamW{}, vrfm::independent(noise, noise),
                        {.batch = 4, .launch = {vrfm::Execution::batch, 2}});
  trainer.run(2);
  const auto host = vrfm::to_host(exec, flow.values());
  exec.fence();
  return {host.data(), host.data() + host.size()};
}

std::vector<float> with_onednn();

}  // namespace mixed
