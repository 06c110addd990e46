// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// UnetNetworks: the networks of a flow on colour images (Guo and Schwing 2025, CIFAR-10), or on signals or
// volumes, by the extents of path.grid. The velocity
// network's parameters have torchcfm's names, without a prefix; the posterior's begin with
// "posterior.", a learned prior's with "prior.".
#pragma once

#include <vrfm/models/blocks/image_prior.hpp>
#include <vrfm/models/blocks/latent_networks.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/models/unet/posterior.hpp>
#include <vrfm/models/unet/velocity.hpp>

namespace vrfm {

struct UnetFlowOptions {
  UnetOptions velocity =
      {};  ///< its latent variable, label, vector and field are the posterior's, too
  int posterior_base = 16;  ///< channels of the posterior's first level, and of the prior's
  EncoderInput encoder_input = EncoderInput::x1;
  PriorKind prior = PriorKind::standard;
};

struct UnetNetworks : LatentNetworks<UnetPosterior, ImagePrior<UnetPosterior>> {
  using Options = UnetFlowOptions;
  static constexpr bool host_only = true;

  UnetVelocity velocity;

  UnetNetworks() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  UnetNetworks(ParameterList& list, const Options& options) : velocity(list, "", options.velocity) {
    const UnetOptions& o = options.velocity;
    UnetPosteriorOptions encoder{.path = o.path,
                                 .latent = o.latent,
                                 .input = options.encoder_input,
                                 .classes = o.classes,
                                 .condition_columns = o.condition_columns,
                                 .field_channels = o.field_channels};
    encoder.path.base = options.posterior_base;
    encoder.path.groups = 0;  // few channels, and a last norm of one pixel
    add_latent(list, encoder, options.prior);
  }
};

}  // namespace vrfm
