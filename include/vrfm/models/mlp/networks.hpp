// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MlpNetworks: the networks of a flow on data of few dimensions, as one value that kernels carry. Names:
// velocity.*, posterior.* and prior.*.
#pragma once

#include <vrfm/models/blocks/latent_networks.hpp>
#include <vrfm/models/mlp/posterior.hpp>
#include <vrfm/models/mlp/velocity.hpp>

namespace vrfm {

struct FlowOptions {
  int dimension = 1;
  int latent = 0;  ///< columns of z; 0: rectified flow
  /// Of the posterior; none: there is no posterior, the coupling gives z, and samples draw it from N(0, I).
  EncoderInput encoder_input = EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t;
  PriorKind prior = PriorKind::standard;
  int classes = 0;            ///< of the condition's label; 0: none
  int condition_columns = 0;  ///< of the condition's vector; 0: none
  bool second_time = false;   ///< a flow map u(x, t, s)
  EncoderOptions encoder = {};
  int latent_width = 128;  ///< hidden width of z's encoder and of the posterior's head
  int latent_depth = 3;
  int decoder_width = 64;
  int decoder_depth = 4;
};

template <Activation Act = Gelu>
struct MlpNetworks : LatentNetworks<MlpPosterior<Act>> {
  using Options = FlowOptions;

  MlpVelocity<Act> velocity;

  MlpNetworks() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  MlpNetworks(ParameterList& list, const Options& o)
      : velocity(list, "velocity",
                 {.dimension = o.dimension,
                  .latent = o.latent,
                  .classes = o.classes,
                  .condition_columns = o.condition_columns,
                  .second_time = o.second_time,
                  .encoder = o.encoder,
                  .latent_width = o.latent_width,
                  .latent_depth = o.latent_depth,
                  .decoder_width = o.decoder_width,
                  .decoder_depth = o.decoder_depth}) {
    this->add_latent(list,
                     MlpPosteriorOptions{.dimension = o.dimension,
                                         .latent = o.latent,
                                         .classes = o.classes,
                                         .condition_columns = o.condition_columns,
                                         .input = o.encoder_input,
                                         .encoder = o.encoder,
                                         .head_width = o.latent_width,
                                         .head_depth = o.latent_depth},
                     o.prior);
  }
};

}  // namespace vrfm
