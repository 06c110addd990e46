// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/table/train.hpp>

namespace table {

void train_rfm(const TrainingData& data) {
  train_by(data, FlowType(Exec(), data.settings.flow(data.set.shape()), data.settings.seed),
           vrfm::VelocityLoss{});
}

}  // namespace table
