// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The paper's synthetic flows as benchmarks and peers need them.
#pragma once

#include <vrfm/vrfm.hpp>

namespace vrfm::bench {

template <class T, ExecutionSpace Space>
GaussianMixture<T, Space> source(int dimension) {
  return dimension == 1 ? standard_normal<T>(Space{}, 1)
                        : mixture_on_circle<T>(Space{}, 6, 1.0 / 3, 0.1 / 3);
}

template <class T, ExecutionSpace Space>
GaussianMixture<T, Space> target(int dimension) {
  return dimension == 1 ? mixture_1d<T>(Space{}, {-1, 1}, 0.1414)
                        : mixture_on_circle<T>(Space{}, 6, 1.0, 0.1);
}

/// The paper's weight of the KL divergence.
inline double beta(int dimension) { return dimension == 1 ? 1.0 : 0.1; }

/// Calls f(trainer) with the trainer of the baseline (latent = 0) or of the variational flow.
template <class FlowType, class F>
void with_trainer(const FlowType& flow, const TrainerOptions& options, const F& f) {
  using T = typename FlowType::value_type;
  using Space = typename FlowType::execution_space;
  const auto coupling =
      independent(source<T, Space>(flow.dimension()), target<T, Space>(flow.dimension()));
  if (flow.latent() == 0) {
    f(Trainer(flow, VelocityLoss{}, AdamW{}, coupling, options));
  } else {
    f(Trainer(flow, Elbo{.beta = beta(flow.dimension())}, AdamW{}, coupling, options));
  }
}

/// Entries of the weight matrices whose name begins with `prefix`: each costs one multiplication and
/// one addition a sample in a forward pass.
inline double weights(const ParameterList& list, const std::string& prefix) {
  double count = 0;
  for (const auto& slot : list.entries()) {
    if (slot.name.starts_with(prefix) && slot.shape.size() == 2) {
      count += static_cast<double>(slot.count);
    }
  }
  return count;
}

/// Operations of the matrix products of a training step, a sample: forward, and backward for the
/// parameters and the input; the encodings of coordinates need no gradient of their input.
inline double training_operations(const ParameterList& list) {
  double operations = 6 * weights(list, "");
  for (const char* name :
       {"velocity.time_encoder.0", "velocity.data_encoder.0", "posterior.x0_encoder.0",
        "posterior.x1_encoder.0", "posterior.xt_encoder.0", "posterior.t_encoder.0"}) {
    operations -= 2 * weights(list, name);
  }
  return operations;
}

}  // namespace vrfm::bench
