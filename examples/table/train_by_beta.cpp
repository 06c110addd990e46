// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/table/train.hpp>

namespace table {

void train_vrfm_by_beta(const TrainingData& data) {
  train_by(data, FlowType(Exec(), data.settings.flow(data.set.shape()), data.settings.seed),
           vrfm::Elbo{.beta = data.settings.beta});
}

}  // namespace table
