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
#include <utility>
#include <vector>

#include <vrfm/models/blocks/latent_networks.hpp>
#include <vrfm/objectives/so_flow.hpp>

#include <examples/common/methods.hpp>
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

  std::string objective = "velocity";
  std::string pairs = "independent";
  double time_mean = 0;
  double time_deviation = 0;
  double equal_times = 0.5;
  double adaptive_power = 1;
  double last_rho = vrfm::SoFlow::last_rho;
  int segments = 2;
  std::int64_t second_stage = 0;
  int transport_block = 0;

  /// A flow map, which takes a step of any length in one evaluation.
  bool map() const { return objective == "meanflow" || objective == "soflow"; }
};

inline const std::map<std::string, vrfm::PriorKind>& prior_kinds() {
  static const std::map<std::string, vrfm::PriorKind> kinds{
      {"standard", vrfm::PriorKind::standard},
      {"condition", vrfm::PriorKind::given_condition},
      {"source", vrfm::PriorKind::given_source}};
  return kinds;
}

/// The same for those of single methods. What files of earlier versions do not name is as it was then.
template <class S, class Visit>
void each_method_setting(S& s, const Visit& visit) {
  const auto one_of = [](std::vector<std::string> names) { return CLI::IsMember(names); };
  const auto only = [](std::string help, CLI::Validator check, bool used,
                       std::string unwritten = "") {
    return SettingRule{.help = std::move(help),
                       .check = std::move(check),
                       .unwritten = std::move(unwritten),
                       .unused = !used};
  };
  visit("pairs", s.pairs,
        only("how x0 and x1 meet: independent, or paired by optimal transport inside the batch",
             one_of({"independent", "transport"}), true, "independent"));
  visit("transport-block", s.transport_block,
        only("images that are paired among themselves, 0: the batch", count_or_none_option(),
             s.pairs == "transport"));
  visit("time-mean", s.time_mean,
        only("mean of the logit of the training's times", finite_option(), s.time_deviation > 0));
  visit("time-deviation", s.time_deviation,
        only("deviation of this logit; 0: times are uniform", not_negative_option(), true, "0"));
  visit("equal-times", s.equal_times,
        only("maps: probability of s = t, where the mean velocity is the velocity", part_option(),
             s.map()));
  visit("adaptive-power", s.adaptive_power,
        only("maps: an image's loss d counts 1 / (d + 0.01)^power of itself, d the sum over pixels",
             not_negative_option(), s.map()));
  visit("last-rho", s.last_rho,
        only("soflow: how near the second point comes to the first by the last iteration",
             positive_part_option(), s.objective == "soflow"));
  visit("segments", s.segments,
        only("consistency: segments of time", range_option(1, 1000), s.objective == "consistency"));
  visit(
      "second-stage", s.second_stage,
      only("consistency: the step from which the flow's own answer is the target; 0: half of them",
           steps_or_none_option(), s.objective == "consistency"));
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
  if constexpr (S::few_steps) each_method_setting(s, visit);
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
  if constexpr (S::few_steps) {
    visit("objective", s.objective,
          SettingRule{.help = "what is learnt: velocity; consistency, which is constant along its "
                              "own paths; or by meanflow or soflow a map of few steps",
                      .check = CLI::IsMember(std::vector<std::string>{"velocity", "consistency",
                                                                      "meanflow", "soflow"}),
                      .unwritten = "velocity"});
  }
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

/// The method that a recipe is of.
inline const Method& method_of(const std::string& recipe) {
  if (const Method* const method = find_method(recipe.substr(0, recipe.rfind("-small")))) {
    return *method;
  }
  return method_named("vrfm");  // the paper's variants of CIFAR-10
}

/// The names of the recipes of all methods that images have, the first ones those of the paper's V-RFM.
inline std::vector<std::string> method_recipes(std::vector<std::string> names) {
  const auto add = [&](const std::string& suffix) {
    for (const Method& method : methods) {
      const std::string name = method.name + suffix;
      const bool paper = method.name == std::string("vrfm") && suffix.empty();
      const bool known = method.pairs == Pairs::independent || method.pairs == Pairs::transport;
      if (known && !method.learned_prior && !paper) names.push_back(name);
    }
  };
  add("");
  add("-small");
  return names;
}

/// Sets objective and pairs of the recipe's method, which it returns.
inline const Method& use_method(TrainingSettings& s) {
  const Method& method = method_of(s.recipe);
  const std::map<Loss, std::string> objectives{{Loss::velocity, "velocity"},
                                               {Loss::consistency, "consistency"},
                                               {Loss::mean_flow, "meanflow"},
                                               {Loss::so_flow, "soflow"}};
  s.objective = objectives.at(method.loss);
  if (method.pairs == Pairs::transport) s.pairs = "transport";
  return method;
}

/// Throws std::invalid_argument for an objective and pairs that do not go together.
inline void check_method(const TrainingSettings& s) {
  vrfm::expect(s.pairs == "independent" || s.objective == "velocity", "--pairs ", s.pairs,
               ": expected --objective velocity, got ", s.objective);
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
  s.adaptive_power = 0;
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
