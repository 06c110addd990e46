// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualNetworks: the networks of a flow on small grey images (Guo and Schwing 2025, MNIST), or on signals
// or volumes. Names: velocity.*, posterior.* and prior.*.
#pragma once

#include <vrfm/models/blocks/latent_networks.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/models/residual/posterior.hpp>
#include <vrfm/models/residual/velocity.hpp>

namespace vrfm {

struct ResidualFlowOptions {
  /// {height, width} of images, {n} of signals, {depth, height, width} of volumes.
  PixelGrid grid = {28, 28};
  int channels = 1;
  int latent = 0;     ///< columns of z; 0: rectified flow
  int features = 64;  ///< of the velocity: channels of every stack, and of the encoders of t and z
  int blocks = 5;     ///< residual blocks of each of the velocity's stacks
  int posterior_features = 32;
  EncoderInput encoder_input = EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t;
  PriorKind prior = PriorKind::standard;
  bool second_time = false;  ///< a flow map u(x, t, s)
};

struct ResidualNetworks : LatentNetworks<ResidualPosterior> {
  using Options = ResidualFlowOptions;
  static constexpr bool host_only = true;

  ResidualVelocity velocity;

  ResidualNetworks() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  ResidualNetworks(ParameterList& list, const Options& options)
      : velocity(list, "velocity",
                 {.grid = options.grid,
                  .channels = options.channels,
                  .latent = options.latent,
                  .features = options.features,
                  .blocks = options.blocks,
                  .second_time = options.second_time}) {
    add_latent(list,
               ResidualPosteriorOptions{.grid = options.grid,
                                        .channels = options.channels,
                                        .latent = options.latent,
                                        .features = options.posterior_features,
                                        .input = options.encoder_input},
               options.prior);
  }
};

}  // namespace vrfm
