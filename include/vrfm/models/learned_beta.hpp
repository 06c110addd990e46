// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LearnedBeta: networks with one parameter more, ln beta. An objective with a `rate` R, such as Elbo{.rate = 2}, trains
// it as the multiplier of the constraint E KL(q || p) = R, which it moves up where z tells more than R nats, and down
// where it tells less (dual ascent; Rezende and Viola 2018, "Taming VAEs"): how much z may tell is a number that means
// the same for all data, and the beta that brings it about does not. Parameter: beta.log.
//
//   Flow<float, Exec, LearnedBeta<MlpNetworks<>>>(exec, {.networks = {.dimension = 2, .latent = 2}}, seed)
#pragma once

#include <cmath>

#include <vrfm/models/flow.hpp>

namespace vrfm {

template <class Networks>
struct LearnedBeta : Networks {
  struct Options {
    typename Networks::Options networks = {};
    double beta = 1;  ///< at first
  };

  std::size_t log_beta = 0;  ///< offset of the parameter

  LearnedBeta() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  LearnedBeta(ParameterList& list, const Options& options) : Networks(list, options.networks) {
    expect(options.beta > 0 && math::is_finite(options.beta),
           "a learned beta needs a first one above 0, got ", options.beta);
    expect(this->posterior.latent() > 0, "a learned beta weighs what a posterior tells: expected ",
           "networks with one");
    log_beta = list.add("beta.log", {1}, Initializer::constant(std::log(options.beta)));
  }
};

namespace detail {

/// As the networks are Stored.
template <class Networks, class T>
struct StorageOf<LearnedBeta<Networks>, T> : StorageOf<Networks, T> {};

}  // namespace detail

template <class Networks>
inline constexpr bool learns_beta = requires(const Networks& networks) { networks.log_beta; };

}  // namespace vrfm
