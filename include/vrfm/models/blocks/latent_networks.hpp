// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LatentNetworks: what a flow with a latent variable z has besides its velocity: a posterior network
// q(z | ...) and the prior p(z), N(0, I) or a network p(z | x0, c) of the posterior's kind. Names:
// posterior.* and prior.*.
#pragma once

#include <vrfm/layers/parameters.hpp>
#include <vrfm/models/latent_model.hpp>

namespace vrfm {

template <class Posterior>
struct LatentNetworks {
  Posterior posterior;             ///< empty without a latent variable
  GaussianPrior<Posterior> prior;  ///< N(0, I) unless learned

 protected:
  /// Behind the velocity's parameters, whose order the files of earlier versions have. Nothing if
  /// options.latent is 0. Throws std::invalid_argument naming the first impossible option.
  template <class Options>
  void add_latent(ParameterList& list, Options options, bool learned_prior) {
    prior = GaussianPrior<Posterior>(options.latent);
    expect(options.latent > 0 || !learned_prior, "a learned prior needs latent >= 1, got ",
           options.latent);
    if (options.latent == 0) return;
    posterior = Posterior(list, "posterior", options);
    if (!learned_prior) return;
    options.input = EncoderInput::x0;
    prior = GaussianPrior<Posterior>(Posterior(list, "prior", options));
  }
};

}  // namespace vrfm
