// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the tests of training share: a tiny variational problem, arrays as numbers on the host, and
// the whole state of a trainer as one value that can be compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/trainer.hpp>

namespace vrfm::test {

template <class View>
std::vector<double> host_numbers(const View& view) {
  Kokkos::fence();
  const auto host = Kokkos::create_mirror_view(view);
  Kokkos::deep_copy(host, view);
  return {host.data(), host.data() + host.extent(0)};
}

/// A flow of two dimensions and two latent ones, narrow enough for thousands of steps a second.
inline FlowOptions tiny_flow(int latent = 2) {
  return {.dimension = 2,
          .latent = latent,
          .encoder = {.features = 4, .width = 4, .depth = 1},
          .latent_width = 4,
          .latent_depth = 2,
          .decoder_width = 8,
          .decoder_depth = 2};
}

/// A wider one, whose parameters are many blocks of flat_block.
inline FlowOptions wide_flow() {
  FlowOptions options = tiny_flow();
  options.decoder_width = 40;
  return options;
}

/// From a Gaussian to three points on a circle.
template <class T, class Exec>
auto tiny_coupling(const Exec& exec) {
  return independent(standard_normal<T>(exec, 2), mixture_on_circle<T>(exec, 3, 2.0, 0.1));
}

/// All that a recipe may have: weight decay, warm-up and cosine.
inline AdamW tiny_optimizer() {
  return {.learning_rate = StepFunction::cosine(1e-2, 3, 40, 0.1), .weight_decay = 0.1};
}

/// A batch that is no multiple of the tile, clipping that bites, and a moving average.
inline TrainerOptions tiny_options() {
  return {.batch = 450, .seed = 5, .clip_norm = 0.5, .ema_decay = 0.9};
}

/// The same options in another kind of launch.
inline TrainerOptions in_launch(TrainerOptions options, const Launch& launch) {
  options.launch = launch;
  return options;
}

template <class T, class Exec, class O = AdamW, class Comm = SelfCommunicator>
auto tiny_trainer(const Flow<T, Exec>& flow, const TrainerOptions& options = tiny_options(),
                  const O& optimizer = tiny_optimizer(), const Comm& communicator = {}) {
  return Trainer(flow, Elbo{.beta = 0.1}, optimizer, tiny_coupling<T>(flow.exec()), options,
                 communicator);
}

/// Everything that training changes. Of a trainer in shards, all ranks ask together.
struct State {
  std::int64_t step;
  std::vector<double> values;
  std::vector<std::vector<double>> arrays;

  bool operator==(const State&) const = default;
};

template <class TrainerType>
State state_of(const TrainerType& trainer) {
  State state{trainer.step(), host_numbers(trainer.values()), {}};
  for (const auto& array : trainer.state()) {
    state.arrays.push_back(host_numbers(trainer.whole(array.values)));
  }
  return state;
}

/// The array of the trainer's state called `name`.
template <class TrainerType>
std::vector<double> state_array(const TrainerType& trainer, const std::string& name) {
  for (const auto& array : trainer.state()) {
    if (array.name == name) return host_numbers(array.values);
  }
  return {};
}

}  // namespace vrfm::test
