// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The trainings of vrfm_synthetic's methods, each in a source file of its kind, since they are what takes long to
// compile. All are called through train().
#pragma once

#include <examples/synthetic/training.hpp>

namespace synthetic {

std::optional<FlowType> train_flow(const TrainingJob& job);
std::optional<FlowType> train_flow_by_transport(const TrainingJob& job);
std::optional<FlowType> train_bridge(const TrainingJob& job);
std::optional<FlowType> train_reflow(const TrainingJob& job);
std::optional<FlowType> train_coupling(const TrainingJob& job);
std::optional<FlowType> train_consistency(const TrainingJob& job);
std::optional<FlowType> train_mean_flow(const TrainingJob& job);
std::optional<FlowType> train_so_flow(const TrainingJob& job);

}  // namespace synthetic
