// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// UnetNetworks: the networks of a flow on colour images (Guo and Schwing 2025, CIFAR-10). The velocity
// network's parameters have torchcfm's names, without a prefix; the posterior's begin with
// "posterior.".
#pragma once

#include <vrfm/models/flow.hpp>
#include <vrfm/models/unet/posterior.hpp>
#include <vrfm/models/unet/velocity.hpp>

namespace vrfm {

struct UnetFlowOptions {
  UnetOptions velocity = {};
  int posterior_base = 16;  ///< channels of the posterior's first level
  EncoderInput encoder_input = EncoderInput::x1;
};

struct UnetNetworks {
  using Options = UnetFlowOptions;
  static constexpr bool host_only = true;

  Unet velocity;
  UnetPosterior posterior;  ///< empty if velocity.latent() == 0

  UnetNetworks() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  UnetNetworks(ParameterList& list, const Options& options) : velocity(list, "", options.velocity) {
    if (options.velocity.latent == 0) return;
    DownPathOptions path = options.velocity.path;
    path.base = options.posterior_base;
    posterior = UnetPosterior(
        list, "posterior",
        {.path = path, .latent = options.velocity.latent, .input = options.encoder_input});
  }
};

}  // namespace vrfm
