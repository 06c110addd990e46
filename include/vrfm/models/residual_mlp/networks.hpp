// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualMlpNetworks: the networks of a flow on rows of many columns, such as tables have, as one value that kernels
// carry. Names: velocity.*, posterior.* and prior.*.
#pragma once

#include <vrfm/models/blocks/latent_networks.hpp>
#include <vrfm/models/residual_mlp/posterior.hpp>
#include <vrfm/models/residual_mlp/velocity.hpp>

namespace vrfm {

struct ResidualMlpFlowOptions {
  int dimension = 1;
  int latent = 0;  ///< columns of z; 0: rectified flow
  /// Of the posterior; none: there is no posterior, the coupling gives z, and samples draw it from N(0, I).
  EncoderInput encoder_input = EncoderInput::x1;
  PriorKind prior = PriorKind::standard;
  int classes = 0;            ///< of the condition's label; 0: none
  int condition_columns = 0;  ///< of the condition's vector; 0: none
  bool second_time = false;   ///< a flow map u(x, t, s)
  ResidualMlpShape trunk = {};
  ResidualMlpShape posterior_trunk = {.width = 128, .blocks = 2};
  int features = 0;  ///< sinusoids of each column of x, beside it; 0: none
  EncoderOptions encoder = {};
};

template <Activation Act = Silu>
struct ResidualMlpNetworks : LatentNetworks<ResidualMlpPosterior<Act>> {
  using Options = ResidualMlpFlowOptions;

  ResidualMlpVelocity<Act> velocity;

  ResidualMlpNetworks() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  ResidualMlpNetworks(ParameterList& list, const Options& o)
      : velocity(list, "velocity",
                 {.dimension = o.dimension,
                  .latent = o.latent,
                  .classes = o.classes,
                  .condition_columns = o.condition_columns,
                  .second_time = o.second_time,
                  .trunk = o.trunk,
                  .features = o.features,
                  .encoder = o.encoder}) {
    this->add_latent(list,
                     ResidualMlpPosteriorOptions{.dimension = o.dimension,
                                                 .latent = o.latent,
                                                 .classes = o.classes,
                                                 .condition_columns = o.condition_columns,
                                                 .input = o.encoder_input,
                                                 .trunk = o.posterior_trunk,
                                                 .encoder = o.encoder},
                     o.prior);
  }
};

}  // namespace vrfm
