// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command lines of the three commands: the settings of a training, and how it is run, sampled
// and evaluated.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <examples/images/settings.hpp>

namespace images {

/// How images are drawn from a flow.
struct SamplingOptions {
  std::string solver = "auto";
  int steps = 0;  ///< 0: as many as are usual
  double tolerance = 1e-5;
  int batch = 64;
  // Of flows with classes:
  std::vector<int> classes = {};  ///< one after the other; empty: all
  double guidance = 1;
  double guidance_from = 0, guidance_to = 1;
  int guidance_channels = 0;  ///< the first so many; 0: all
};

struct TrainOptions {
  std::string data, output;
  std::int64_t iterations = 0;
  bool iterations_given = false;  ///< else they are the recipe's
  bool resume = false, overwrite = false, shard_optimizer = false;
  bool recompute = false;  ///< of transformers
  std::int64_t checkpoint_every = 1'000;
  std::int64_t compare_every = 0;
  int keep = 3;
  std::int64_t sample_every = 10'000;
  int count = 64;
  SamplingOptions sampling;
};

struct SampleOptions {
  std::string load, output;
  bool overwrite = false;
  std::vector<int> image;
  int count = 100;
  std::uint32_t seed = 7;
  SamplingOptions sampling;
  int manifold = 20;
  int shared = 4;
  std::string decoder = {};  ///< of latents
};

struct EvaluateOptions {
  std::vector<std::string> load;
  std::string data, output;
  bool overwrite = false;
  int count = 1'000;
  int times = 10;
  int batch = 64;
  std::uint32_t seed = 7;
  // Of flows with classes:
  int samples = 500;
  int neighbours = 5;
  double latent_factor = 1;  ///< for weights that carry no settings
  SamplingOptions sampling = {};
};

struct SweepOptions {
  std::vector<std::string> load;
  std::string data, output, split = "train";
  std::string inception,
      classifier;  ///< weights of the network whose features are compared: one of them
  std::vector<std::string> solvers = {"auto", "dopri5"};
  std::vector<int> steps = {2, 5, 10, 50, 100, 1000};
  int count = 10'000;
  std::uint32_t seed = 7;
  bool overwrite = false;
  SamplingOptions sampling = {};
};

/// The same with what is usual, for a flow that is a map or is none. Throws std::invalid_argument if it cannot be.
inline SamplingOptions resolved(SamplingOptions o, bool map) {
  vrfm::expect(o.solver != "flow-map" || map,
               "--solver flow-map: this flow is no map; those "
               "trained by meanflow and soflow are");
  if (o.solver == "auto") o.solver = map ? "flow-map" : "euler";
  if (o.steps == 0) o.steps = o.solver == "flow-map" ? 2 : 20;
  return o;
}

/// A subcommand whose --help shows what is the case if nothing is said.
inline CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& words) {
  CLI::App* command = app.add_subcommand(name, words);
  command->option_defaults()->always_capture_default();
  command->footer(common::shared_footer);
  return command;
}

inline void add_folder(CLI::App* command, const std::string& name, std::string& value,
                       const std::string& words) {
  command->add_option(name, value, words)->required()->default_str("");
}

inline CLI::Option* add_overwrite(CLI::App* command, bool& value) {
  return command->add_flag("--overwrite", value,
                           "replace the results that the output folder holds");
}

inline void add_sampling(CLI::App* command, SamplingOptions& o) {
  const std::string group = "Sampling";
  command
      ->add_option(
          "--solver,--sampler", o.solver,
          "euler; heun, of two evaluations a step; dopri5, which chooses its own steps; sde, whose "
          "last step has no noise; flow-map, a map's own steps; auto: flow-map of maps, else euler")
      ->check(CLI::IsMember({"auto", "euler", "heun", "dopri5", "sde", "flow-map"}))
      ->group(group);
  command
      ->add_option("--steps", o.steps,
                   "steps of a solver that does not choose them" +
                       std::string(o.steps == 0 ? " [20, of flow-map 2]" : ""))
      ->check(count_option())
      ->default_str(o.steps == 0 ? "" : std::to_string(o.steps))
      ->group(group);
  command->add_option("--tolerance", o.tolerance, "relative and absolute error of a step of dopri5")
      ->check(positive_option())
      ->group(group);
  command->add_option("--sample-batch", o.batch, "images at a time, which bounds the memory")
      ->check(count_option())
      ->group(group);
}

/// What flows with classes take besides.
inline void add_guidance(CLI::App* command, SamplingOptions& o) {
  const std::string group = "Sampling";
  command
      ->add_option("--classes", o.classes,
                   "labels of the images, one after the other, round and round; all if not given")
      ->delimiter(',')
      ->default_str("")
      ->group(group);
  command
      ->add_option("--guidance", o.guidance,
                   "v_null + g (v_class - v_null); 1: of the class alone, 0: without")
      ->check(finite_option())
      ->group(group);
  command->add_option("--guidance-from", o.guidance_from, "first t that is guided")
      ->check(CLI::Range(0.0, 1.0))
      ->group(group);
  command->add_option("--guidance-to", o.guidance_to, "last t that is guided")
      ->check(CLI::Range(0.0, 1.0))
      ->group(group);
  command
      ->add_option("--guidance-channels", o.guidance_channels,
                   "guide the first so many channels alone, as SiT the first 3 of 4; 0: all")
      ->check(count_or_none_option())
      ->group(group);
}

inline void check_sampling(const CLI::App& command, const SamplingOptions& o) {
  vrfm::expect(o.solver != "sde" || o.steps != 1, "option --steps: sde takes at least 2, got ",
               o.steps);
  const bool adaptive = o.solver == "dopri5";
  refuse_unused(command, "--steps", !adaptive, "with --solver dopri5, which chooses its own steps");
  refuse_unused(command, "--tolerance", adaptive, "without --solver dopri5");
  if (command.get_option_no_throw("--guidance") == nullptr) return;
  for (const char* name : {"--guidance-from", "--guidance-to", "--guidance-channels"}) {
    refuse_unused(command, name, o.guidance != 1, "without --guidance");
  }
  refuse_unused(
      command, "--classes",
      o.guidance != 0 || o.guidance_from > 0 || o.guidance_to < 1 || o.guidance_channels > 0,
      "with --guidance 0, which asks for no class");
}

/// The settings of a training on the command line, or those of its networks alone: a recipe, and what
/// was changed of it.
template <class Set>
class SettingOptions {
 public:
  using Settings = typename Set::Settings;
  enum class Which { all, of_networks };

  SettingOptions(CLI::App* command, Which which, const std::string& group)
      : command_(command), which_(which) {
    const auto recipes = Set::recipes();
    recipe_ = recipes.front();
    given_ = Set::recipe(recipe_);
    command
        ->add_option("--recipe", recipe_,
                     std::string(which == Which::all ? "settings" : "networks") +
                         " by name; below are those of " + recipe_)
        ->check(CLI::IsMember(recipes))
        ->default_str(which == Which::all ? recipe_ : "")
        ->group(group);
    each(given_, AddSettings{command, group});
    std::set<std::string>
        names;  // an option of the command may be called as a setting that it has not
    each(given_, [&](const char* name, const auto&, const SettingRule&) { names.insert(name); });
    std::string words = "Recipes differ from " + recipe_ + " in:";
    const auto usual = texts(given_);
    for (const auto& other : recipes) {
      if (other == recipe_) continue;
      std::string differences;
      const auto values = texts(Set::recipe(other));
      for (const auto& [name, value] : values) {
        if (names.contains(name) && (!usual.contains(name) || usual.at(name) != value)) {
          differences += value == "false" ? " --no-" + name : " --" + name + " " + value;
        }
      }
      if (which == Which::all && Set::iterations(other) != Set::iterations(recipe_)) {
        differences += " --iterations " + std::to_string(Set::iterations(other));
      }
      if (!values.contains("latent")) differences += " (no latent variable)";
      words += "\n  " + other + ":" + (differences.empty() ? " nothing" : differences);
    }
    command->footer(words + "\n\n" + command->get_footer());
  }

  /// Whether a recipe was given. Throws std::invalid_argument for other settings without one.
  bool recipe_given() const {
    const bool recipe = command_->get_option("--recipe")->count() > 0;
    each(given_, [&](const char* name, const auto&, const SettingRule&) {
      refuse_unused(*command_, flag(name), recipe, "without --recipe");
    });
    return recipe;
  }

  /// The recipe, or without one the settings of an earlier start, with what was given. Throws
  /// std::invalid_argument for options without effect.
  Settings settings(const std::optional<vrfm::Settings>& earlier = {}) const {
    Settings settings = Set::recipe(recipe_);
    if (earlier && command_->get_option("--recipe")->count() == 0) {
      settings = Set::recipe(earlier->at("recipe"));
      restore(settings, *earlier);
    }
    vrfm::Settings changed;
    each(given_, [&](const char* name, const auto& value, const SettingRule& rule) {
      refuse_unused(*command_, flag(name), !rule.latent || settings.latent > 0,
                    "with --recipe " + settings.recipe + ", which has no latent variable");
      if (command_->get_option(flag(name))->count() > 0) {
        changed[name] = to_text(value);
      }
    });
    assign(settings, changed);
    each(settings, [&](const char* name, const auto&, const SettingRule& rule) {
      refuse_unused(*command_, flag(name), !rule.unused,
                    "with --objective " + settings.objective + " and --pairs " + settings.pairs);
    });
    if constexpr (requires { Set::assume(settings); }) {
      if (which_ == Which::of_networks) Set::assume(settings);
    }
    if (settings.latent > 0) parse_encoder_input(settings.encoder_input);
    return settings;
  }

 private:
  template <class S, class Visit>
  void each(S& settings, const Visit& visit) const {
    which_ == Which::all ? Settings::each(settings, visit)
                         : Settings::each_network(settings, visit);
  }

  CLI::App* command_;
  Which which_;
  std::string recipe_;
  Settings given_;
};

}  // namespace images
