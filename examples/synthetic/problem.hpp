// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The synthetic problem: source and target, the flow of one variant, and where a run keeps its files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <vrfm/data/mixture.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/models/mlp/source_posterior.hpp>

#include <examples/synthetic/options.hpp>

namespace synthetic {

using Exec = Kokkos::DefaultExecutionSpace;
using Mixture = vrfm::GaussianMixture<float, Exec>;
using FlowType = vrfm::Flow<float, Exec>;

/// p0 of the data. A learned coupling begins at N(0, I) instead.
inline Mixture source_of(const Exec& exec, const Options& o) {
  return o.dimension() == 1 ? vrfm::mixture_1d<float>(exec, {0.0}, o.source_deviation)
                            : vrfm::mixture_on_circle<float>(exec, 6, 1.0 / 3, o.source_deviation);
}

inline Mixture source_of(const Exec& exec, const Options& o, const Variant& variant) {
  return method_named(variant.model).pairs == Pairs::learned
             ? vrfm::standard_normal<float>(exec, o.dimension())
             : source_of(exec, o);
}

inline Mixture target_of(const Exec& exec, const Options& o) {
  return o.dimension() == 1 ? vrfm::mixture_1d<float>(exec, {-1.0, 1.0}, o.target_deviation)
                            : vrfm::mixture_on_circle<float>(exec, 6, 1.0, o.target_deviation);
}

/// What is trained, each with every seed.
inline std::vector<Variant> variants_of(const Options& o) {
  std::vector<Variant> list;
  for (const std::string& model : o.models) {
    for (const auto& input : inputs_of(o, method_named(model))) list.push_back({model, input});
  }
  return list;
}

inline std::string name_of(const Variant& variant, std::uint32_t seed) {
  const std::string input = variant.encoder_input.empty() ? "" : "(" + variant.encoder_input + ")";
  return variant.model + input + " seed " + std::to_string(seed);
}

using CouplingFlow = vrfm::Flow<float, Exec, vrfm::MlpCouplingNetworks<>>;

inline vrfm::FlowOptions flow_options(const Options& o, const Variant& variant) {
  const Method& method = method_named(variant.model);
  const TrainingSettings s = settings_of(o, method);
  vrfm::FlowOptions flow;
  flow.dimension = o.dimension();
  flow.latent = s.latent;
  if (method.latent) {
    flow.encoder_input =
        method.posterior() ? parse_encoder_input(variant.encoder_input) : vrfm::EncoderInput::none;
  }
  if (method.learned_prior) flow.prior = vrfm::PriorKind::given_source;
  flow.second_time = method.map();
  flow.encoder = {.features = s.features,
                  .width = s.width,
                  .depth = s.encoder_depth,
                  .scale = s.input_scale,
                  .max_period = s.max_period};
  flow.latent_width = s.latent_width;
  flow.latent_depth = s.latent_depth;
  flow.decoder_width = s.width;
  flow.decoder_depth = s.decoder_depth;
  return flow;
}

/// Untrained; that of a learned coupling has the parameters of its source posterior, too.
inline FlowType make_flow(const Exec& exec, const Options& o, const Variant& variant,
                          std::uint32_t seed) {
  const auto options = flow_options(o, variant);
  if (method_named(variant.model).pairs != Pairs::learned) return FlowType(exec, options, seed);
  return FlowType(CouplingFlow(exec, options, seed));
}

/// Where a run keeps its files.
struct Folder {
  std::filesystem::path root;

  std::filesystem::path file(const char* kind, const Variant& variant, std::uint32_t seed,
                             const std::string& suffix) const {
    const std::string input = variant.encoder_input.empty() ? "" : "-" + variant.encoder_input;
    return root / kind / (variant.model + input + "-seed" + std::to_string(seed) + suffix);
  }
};

}  // namespace synthetic
