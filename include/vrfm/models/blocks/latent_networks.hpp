// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LatentNetworks: what a flow with a latent variable z has besides its velocity: a posterior network
// q(z | ...) and the prior, N(0, I) or a network p(z | c) or p(z | x0, c). Names: posterior.* and prior.*. Where the
// posterior sees nothing (EncoderInput::none) there is none: the coupling gives z in training (data/stored_pairs.hpp).
#pragma once

#include <vrfm/layers/parameters.hpp>
#include <vrfm/models/latent_model.hpp>

namespace vrfm {

/// What z is drawn from where a trajectory begins: N(0, I), or a learned Gaussian that is given c, or x0 and c.
/// A posterior that sees a condition's label tells z apart by it; only a prior given c draws them alike.
enum class PriorKind { standard, given_condition, given_source };

template <class Posterior, class PriorNetwork = Posterior>
struct LatentNetworks {
  Posterior posterior;  ///< latent() is 0 where there is none
  GaussianPrior<PriorNetwork> prior;

 protected:
  /// Behind the velocity's parameters, whose order the files of earlier versions have. Nothing if
  /// options.latent is 0. Throws std::invalid_argument naming the first impossible option.
  template <class Options>
  void add_latent(ParameterList& list, Options options, PriorKind kind) {
    prior = GaussianPrior<PriorNetwork>(options.latent);
    expect(options.latent > 0 || kind == PriorKind::standard,
           "a learned prior needs latent >= 1, got ", options.latent);
    const bool given = options.input == EncoderInput::none;
    expect(!given || kind == PriorKind::standard,
           "a learned prior is trained by a posterior: expected an encoder_input that is not none");
    if (options.latent == 0 || given) return;
    list.disregard("beta.log");  // of a training by LearnedBeta
    posterior = Posterior(list, "posterior", options);
    if (kind == PriorKind::standard) return;
    if (kind == PriorKind::given_condition) {
      expect(sees_condition(options),
             "a prior given the condition needs networks that take a label or a vector");
      options.input = EncoderInput::none;
    } else {
      options.input = EncoderInput::x0;
    }
    prior = GaussianPrior<PriorNetwork>(PriorNetwork(list, "prior", options));
  }

 private:
  template <class Options>
  static bool sees_condition(const Options& options) {
    if constexpr (requires { options.classes; }) {
      return options.classes > 0 || options.condition_columns > 0;
    } else {
      return false;
    }
  }
};

}  // namespace vrfm
