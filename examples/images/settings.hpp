// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The settings of a training on images; those of each set's networks are in a struct derived from
// these, whose each() visits all settings and whose each_network() those that the networks' parameters
// depend on.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <vrfm/models/blocks/latent_networks.hpp>

#include <examples/common/report/format.hpp>
#include <examples/common/settings.hpp>

namespace images {

using namespace common;

struct TrainingSettings : StepSettings {
  std::string recipe;
  std::uint32_t seed = 1;
  int micro_batch = 0;
  bool mirror = false;
  std::string matmul_precision = "float32";
  double beta = 0;

  int latent = 0;
  std::string encoder_input;
  std::string prior = "standard";
};

inline const std::map<std::string, vrfm::PriorKind>& prior_kinds() {
  static const std::map<std::string, vrfm::PriorKind> kinds{
      {"standard", vrfm::PriorKind::standard},
      {"condition", vrfm::PriorKind::given_condition},
      {"source", vrfm::PriorKind::given_source}};
  return kinds;
}

/// visit(name, member, rule) for each setting of the training alone.
template <class S, class Visit>
void each_training_setting(S& s, const Visit& visit) {
  visit("seed", s.seed, SettingRule{"seed of weights, order of images and draws", seed_option()});
  S::each_of_step(s, "images", visit);
  visit("micro-batch", s.micro_batch,
        SettingRule{
            "images of a step at a time, which bounds the memory and is what ranks share out; "
            "0: all",
            count_or_none_option()});
  visit("mirror", s.mirror, SettingRule{"exchange left and right of half of the images"});
  visit("matmul-precision", s.matmul_precision,
        SettingRule{"what factors of matrix products are rounded to: float32, or on CUDA tf32 or "
                    "bfloat16; weights, moments and sums stay float32",
                    CLI::IsMember(std::vector<std::string>{"float32", "tf32", "bfloat16"})});
  visit("beta", s.beta, SettingRule{"weight of the KL divergence", not_negative_option(), true});
}

/// The same for each setting that all networks depend on.
template <class S, class Visit>
void each_network_setting(S& s, const Visit& visit) {
  visit("latent", s.latent, SettingRule{"dimension of z", count_option(), true});
  visit("encoder-input", s.encoder_input,
        SettingRule{std::string("what the posterior sees: ") + S::encoder_inputs,
                    CLI::Validator(std::string()), true});
  visit("prior", s.prior,
        SettingRule{"what z is drawn from: standard, N(0, I), or a learned Gaussian given the "
                    "condition, or given "
                    "the source x0 and the condition",
                    CLI::IsMember(std::vector<std::string>{"standard", "condition", "source"}),
                    true, "standard"});
}

/// Recipes for narrow networks that learn the stand-in sets in minutes.
inline bool is_small(const std::string& recipe) {
  return recipe.ends_with("-small") || recipe.ends_with("-tiny");
}

/// What the first, random weights still count for in the moving average; empty if that is little.
inline std::string start_of_average(const StepSettings& s, std::int64_t steps) {
  const double left = s.ema_decay > 0 ? 100 * std::pow(s.ema_decay, static_cast<double>(steps)) : 0;
  if (left < 1) return "";
  return "of which " + decimal(left, 0) +
         " % are still the untrained weights: train for more steps, or with a smaller --ema-decay";
}

/// The steps of these recipes.
inline void make_small(TrainingSettings& s, double learning_rate) {
  s.batch = 16;
  s.micro_batch = 4;
  s.learning_rate = learning_rate;
  s.warmup = 100;
  s.clip_norm = 1;
  s.ema_decay = 0.998;
  s.mirror = false;
}

/// What the posterior sees, which is not t alone.
inline vrfm::EncoderInput posterior_input(const TrainingSettings& s) {
  const auto input = parse_encoder_input(s.encoder_input);
  vrfm::expect(input != vrfm::EncoderInput::t,
               "--encoder-input: expected at least one of x0, x1, x_t, got ", s.encoder_input);
  return input;
}

/// All settings that have an effect, and the recipe's name.
template <class S>
vrfm::Settings texts_with_recipe(const S& settings) {
  vrfm::Settings values = texts(settings);
  values["recipe"] = settings.recipe;
  return values;
}

}  // namespace images
