// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TransformerNetworks: SiT's velocity (Ma et al. 2024), and a posterior with part of its blocks (V-SiT: Guo and
// Schwing 2025 takes half of them).
#pragma once

#include <vrfm/models/blocks/image_prior.hpp>
#include <vrfm/models/blocks/latent_networks.hpp>
#include <vrfm/models/transformer/posterior.hpp>
#include <vrfm/models/transformer/velocity.hpp>

namespace vrfm {

struct TransformerFlowOptions {
  TransformerVelocityOptions velocity =
      {};  ///< its latent variable, label, vector and field are the posterior's, too
  int posterior_depth =
      0;  ///< blocks of the posterior and of a learned prior; 0: half the velocity's
  EncoderInput encoder_input = EncoderInput::x1;
  PriorKind prior = PriorKind::standard;
};

struct TransformerNetworks
    : LatentNetworks<TransformerPosterior, ImagePrior<TransformerPosterior>> {
  using Options = TransformerFlowOptions;
  static constexpr bool host_only = true;

  TransformerVelocity velocity;

  TransformerNetworks() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  TransformerNetworks(ParameterList& list, const Options& options)
      : velocity(list, "", options.velocity) {
    const TransformerVelocityOptions& o = options.velocity;
    expect(options.posterior_depth >= 0,
           "a transformer needs posterior_depth >= 0 (0: half the velocity's), got ",
           options.posterior_depth);
    TransformerPosteriorOptions encoder{.trunk = o.trunk,
                                        .latent = o.latent,
                                        .input = options.encoder_input,
                                        .classes = o.classes,
                                        .condition_columns = o.condition_columns,
                                        .field_channels = o.field_channels};
    encoder.trunk.depth =
        options.posterior_depth > 0 ? options.posterior_depth : math::maximum(1, o.trunk.depth / 2);
    add_latent(list, encoder, options.prior);
  }
};

}  // namespace vrfm
