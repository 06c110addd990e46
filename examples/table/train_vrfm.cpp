// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/table/train.hpp>

namespace table {

void train_vrfm(const TrainingData& data) {
  using RateFlow = vrfm::Flow<float, Exec, vrfm::LearnedBeta<Networks>>;
  // Near what a rate of some nats needs of standardised rows, which it finds within some hundred steps.
  constexpr double first_beta = 0.3;
  train_by(data,
           RateFlow(Exec(), {.networks = data.settings.flow(data.set.shape()), .beta = first_beta},
                    data.settings.seed),
           vrfm::Elbo{.rate = data.settings.rate});
}

}  // namespace table
