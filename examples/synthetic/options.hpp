// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command line of vrfm_synthetic: every hyper-parameter of the synthetic experiments of Guo and
// Schwing 2025, the paper's values as defaults. What is not given may differ from method to method (usual_settings).
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <examples/synthetic/results.hpp>
#include <examples/synthetic/settings.hpp>

namespace synthetic {

struct Options : TrainingSettings {
  std::string experiment;
  std::vector<std::string> models = {"rfm", "vrfm"};
  std::vector<std::string> encoder_inputs = {};
  std::vector<std::uint32_t> seeds = {1, 2, 3};
  std::int64_t iterations = 20'000;

  std::string solver = "auto";
  std::vector<int> steps = {1, 2, 4, 5, 8, 10, 16, 20};
  double tolerance = 1e-5;
  int samples = 10'000;
  double bandwidth = 0.1;

  std::string output;
  std::int64_t checkpoint_every = 0;
  bool resume = false, overwrite = false;
  std::string load;
  std::vector<std::string> beside = {};

  std::set<std::string> given;  ///< settings of the training that the command line names

  int dimension() const { return experiment == "1d" ? 1 : 2; }
  bool adaptive() const { return solver == "dopri5"; }

  /// The solver of a method's samples.
  std::string solver_of(const Method& method) const {
    return solver != "auto" ? solver : method.map() ? "flow-map" : "euler";
  }

  /// What is trained and for how long.
  template <class S, class Visit>
  static void each_of_runs(S& s, const Visit& visit) {
    std::vector<std::string> names{"all", "both"};
    for (const Method& method : methods) names.push_back(method.name);
    visit("model", s.models,
          SettingRule{"one or more of " + method_names() + "; or all, or both: the first two",
                      CLI::IsMember(names)});
    visit("encoder-input", s.encoder_inputs,
          SettingRule{"what the posterior sees: x0, x1, x_t, t joined by +; several: an ablation, "
                      "whose first one teaches reflow [x0+x1+x_t; of maps x1]",
                      CLI::Validator(std::string()), true});
    visit("seeds", s.seeds, SettingRule{"one training a seed", seed_option()});
    visit("iterations", s.iterations, SettingRule{"training steps", steps_option()});
  }

  template <class S, class Visit>
  static void each_of_sampling(S& s, const Visit& visit) {
    visit("solver", s.solver,
          SettingRule{"how samples are drawn; auto: flow-map of maps, euler of flows; dopri5 "
                      "chooses its own steps",
                      CLI::IsMember(std::vector<std::string>{"auto", "euler", "midpoint", "heun",
                                                             "rk4", "dopri5", "flow-map"})});
    visit("steps", s.steps, SettingRule{"numbers of steps to sample with", count_option()});
    visit("tolerance", s.tolerance,
          SettingRule{"relative and absolute error of a step of dopri5", positive_option()});
    visit("samples", s.samples,
          SettingRule{"samples of every metric", range_option(100, 10'000'000)});
    visit("bandwidth", s.bandwidth,
          SettingRule{"bandwidth of the Parzen window", positive_option()});
  }
};

/// The settings of one of the run's methods.
inline TrainingSettings settings_of(const Options& o, const Method& method) {
  TrainingSettings s = usual_settings(o.experiment, method);
  vrfm::Settings given;
  TrainingSettings::each(o, [&](const char* name, const auto& value, const SettingRule&) {
    if (o.given.count(name) != 0) given[name] = to_text(value);
  });
  if (!method.latent) given.erase("latent");
  assign(s, given);
  return s;
}

inline TrainingSettings settings_of(const Options& o, const Variant& variant) {
  return settings_of(o, method_named(variant.model));
}

/// The posterior inputs of a method; none if it has no z.
inline std::vector<std::string> inputs_of(const Options& o, const Method& method) {
  if (!method.posterior()) return {""};
  if (!o.encoder_inputs.empty()) return o.encoder_inputs;
  return {method.map() ? "x1" : "x0+x1+x_t"};
}

/// What must be equal for weights and checkpoints of one training to fit: all that it depends on,
/// except how long it lasts. The names in files have underscores.
inline vrfm::Settings training_settings(const Options& o, const Variant& variant,
                                        std::uint32_t seed) {
  const TrainingSettings settings = settings_of(o, variant);
  vrfm::Settings stored;
  for (const auto& [name, value] : texts(settings)) {
    std::string in_files = name;
    std::replace(in_files.begin(), in_files.end(), '-', '_');
    stored[in_files] = value;
  }
  stored["experiment"] = o.experiment;
  stored["model"] = variant.model;
  stored["seed"] = to_text(seed);
  // A cosine ends with the training, and so do SoFlow's rho, the stages of Consistency-FM and reflow's teacher.
  stored["cosine"] = settings.cosine ? to_text(o.iterations) : "off";
  const Method& method = method_named(variant.model);
  if (method.loss == Loss::so_flow || method.loss == Loss::consistency || method.teacher()) {
    stored["iterations"] = to_text(o.iterations);
  }
  if (method.teacher() != nullptr && method.latent) {
    stored["teacher_encoder_input"] = inputs_of(o, method_named(method.teacher())).front();
  }
  if (!variant.encoder_input.empty()) stored["encoder_input"] = variant.encoder_input;
  return stored;
}

/// Describes the options to `app`; `o` is filled when it parses.
inline void describe(CLI::App& app, Options& o) {
  app.description(
      "Trains variational rectified flow matching (vrfm), its baseline (rfm) and related methods "
      "on the synthetic 1D or 2D data, samples them, and writes metrics.json, a table, weights, "
      "samples, figures and report.html.");
  app.option_defaults()->always_capture_default();
  app.add_option("experiment", o.experiment, "1d: two modes; 2d: six modes on a circle")
      ->required()
      ->check(CLI::IsMember({"1d", "2d"}))
      ->default_str("");
  app.add_option("-o,--output", o.output, "folder of all results [vrfm_<experiment>]")
      ->default_str("");
  const AddSettings what{&app, "What is trained"};
  Options::each_of_runs(o, what);
  Options::each_of_problem(o, what);
  for (const char* name : {"--latent", "--beta", "--source-deviation", "--target-deviation"}) {
    app.get_option(name)->default_str("");
  }
  Options::each_of_training(o, AddSettings{&app, "Training"});
  Options::each_of_methods(o, AddSettings{&app, "Single methods"});
  Options::each_of_networks(o, AddSettings{&app, "Networks"});
  Options::each_of_sampling(o, AddSettings{&app, "Sampling"});

  const std::string runs = "Long runs";
  app.add_option("--checkpoint-every", o.checkpoint_every,
                 "steps between checkpoints; 0: at the end and when a signal comes only")
      ->check(steps_or_none_option())
      ->group(runs);
  auto* resume = app.add_flag("--resume", o.resume,
                              "continue from the output folder's checkpoints, if there are any")
                     ->group(runs);
  app.add_flag("--overwrite", o.overwrite, "replace the results that the output folder holds")
      ->excludes(resume)
      ->group(runs);
  app.add_option("--load", o.load, "sample from the weights of this output folder; train nothing")
      ->excludes(resume)
      ->default_str("")
      ->group(runs);
  app.add_option("--beside", o.beside,
                 "metrics.json of other runs on the same data, whose methods and seeds the table, "
                 "the figures and the report show, too")
      ->delimiter(',')
      ->check(CLI::ExistingFile)
      ->default_str("")
      ->group(runs);
  app.footer(common::shared_footer);
}

/// Refuses settings of a training that none of the run's methods has. Throws std::invalid_argument.
inline void refuse_unused_settings(const CLI::App& app, const Options& o) {
  std::set<std::string> used;
  std::string models;
  for (const std::string& model : o.models) {
    const TrainingSettings settings = settings_of(o, method_named(model));
    for (const Setting& row : rows_of(settings)) used.insert(row.name);
    if (method_named(model).posterior()) used.insert("encoder-input");
    models += (models.empty() ? "" : ",") + model;
  }
  const auto check = [&](const char* name, const auto&, const SettingRule& rule) {
    const bool of_all = !rule.latent && !rule.unused;
    refuse_unused(app, flag(name), of_all || used.count(name) != 0, "with --model " + models);
  };
  Options::each_of_runs(o, check);
  TrainingSettings::each(o, check);
}

/// Fills in what depends on the experiment; refuses options that would have no effect.
/// Throws std::invalid_argument.
inline void complete(const CLI::App& app, Options& o) {
  o.models = expand_methods(o.models);
  TrainingSettings::each(o, [&](const char* name, const auto&, const SettingRule&) {
    if (app.get_option(flag(name))->count() > 0) o.given.insert(name);
  });
  // Source and target are those of all methods.
  const TrainingSettings any = settings_of(o, methods.front());
  o.source_deviation = any.source_deviation;
  o.target_deviation = any.target_deviation;
  if (app.get_option("--output")->count() == 0) o.output = "vrfm_" + o.experiment;
  refuse_unused(app, "--steps", !o.adaptive(), "with --solver dopri5, which chooses its own steps");
  refuse_unused(app, "--tolerance", o.adaptive(), "without --solver dopri5");
  for (const char* name : {"--checkpoint-every", "--iterations"}) {
    refuse_unused(app, name, o.load.empty(), "with --load, which trains nothing");
  }
  refuse_unused_settings(app, o);
  for (const auto& input : o.encoder_inputs) parse_encoder_input(input);
  for (const std::string& model : o.models) {
    const Method& method = method_named(model);
    const TrainingSettings s = settings_of(o, method);
    vrfm::expect(!s.cosine || s.warmup < o.iterations, "--warmup: must be less than --iterations ",
                 o.iterations, " with --cosine, got ", s.warmup);
    vrfm::expect(o.solver != "flow-map" || method.map(), "--solver flow-map: ", model,
                 " is no map; the maps are those of MeanFlow and SoFlow");
    if (!method.posterior()) continue;
    for (const std::string& input : inputs_of(o, method)) {
      const bool moves = method.map() && contains(parse_encoder_input(input),
                                                  vrfm::EncoderInput::x_t | vrfm::EncoderInput::t);
      vrfm::expect(!moves, "--encoder-input ", input, ": ", model,
                   " holds z along a map: expected x0, x1 or both");
    }
  }
  vrfm::expect(distinct(o.seeds), "--seeds names a seed twice");
  vrfm::expect(distinct(o.steps), "--steps names a number twice");
  vrfm::expect(distinct(o.encoder_inputs), "--encoder-input names a set twice");
}

}  // namespace synthetic
