// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command line of vrfm_synthetic: every hyper-parameter of the synthetic experiments of Guo and
// Schwing 2025, the paper's values as defaults.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <vrfm/core/activation.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/models/blocks/mlp.hpp>

#include <examples/common/settings.hpp>
#include <examples/synthetic/results.hpp>

namespace synthetic {

/// A network has so many dense layers.
inline CLI::Validator layers_option() { return range_option(1, vrfm::Mlp<vrfm::Silu>::max_depth); }

/// What one training depends on, beside the data, the model, the seed and how long it lasts.
struct TrainingSettings : StepSettings {
  int latent = 0;               // set from the experiment unless given
  double beta = 0;              // likewise
  double source_deviation = 0;  // likewise
  double target_deviation = 0;  // likewise

  bool cosine = false;
  std::string reduction = "sum";
  std::string time_sampler = "uniform";
  std::string execution = "auto";

  int features = 64;
  int width = 64;
  int encoder_depth = 2;
  int latent_width = 128;
  int latent_depth = 3;
  int decoder_depth = 4;
  double input_scale = 1;
  double max_period = 1e4;

  template <class S, class Visit>
  static void each(S& s, const Visit& visit) {
    each_of_problem(s, visit);
    each_of_training(s, visit);
    each_of_networks(s, visit);
  }

  template <class S, class Visit>
  static void each_of_problem(S& s, const Visit& visit) {
    visit("latent", s.latent,
          SettingRule{"dimension of z [1d: 4, 2d: 8]", count_option(), /*latent=*/true});
    visit("beta", s.beta,
          SettingRule{"weight of the KL divergence [1d: 1, 2d: 0.1]", not_negative_option(), true});
    visit("source-deviation", s.source_deviation,
          SettingRule{"of p0's components [1d: 1, 2d: 0.1 / 3]", positive_option()});
    visit("target-deviation", s.target_deviation,
          SettingRule{"of p1's components [1d: sqrt(0.02), 2d: 0.1]", positive_option()});
  }

  template <class S, class Visit>
  static void each_of_training(S& s, const Visit& visit) {
    const auto one_of = [](std::vector<std::string> names) { return CLI::IsMember(names); };
    each_of_step(s, "samples", visit);
    visit("cosine", s.cosine,
          SettingRule{"decay the rate to zero along a cosine; needs --warmup below --iterations"});
    visit("reduction", s.reduction,
          SettingRule{"how both loss terms add up over their dimensions", one_of({"sum", "mean"})});
    visit("time-sampler", s.time_sampler,
          SettingRule{"distribution of the training time", one_of({"uniform", "logit-normal"})});
    visit("execution", s.execution,
          SettingRule{"one kernel over tiles, or launches over the batch; auto: by the networks' "
                      "size",
                      one_of({"auto", "tiles", "batch"})});
  }

  template <class S, class Visit>
  static void each_of_networks(S& s, const Visit& visit) {
    visit("features", s.features,
          SettingRule{"sinusoidal features of a coordinate", even_count_option()});
    visit("input-scale", s.input_scale,
          SettingRule{"multiplies coordinates before their encoding", positive_option()});
    visit("max-period", s.max_period,
          SettingRule{"longest period of the encoding, over 2 pi",
                      number_option("a number of at least 1", "at least 1",
                                    [](double x) { return x >= 1; })});
    visit("width", s.width, SettingRule{"width of encoders and decoder", count_option()});
    visit("encoder-depth", s.encoder_depth,
          SettingRule{"dense layers of an encoder", layers_option()});
    visit("decoder-depth", s.decoder_depth,
          SettingRule{"dense layers of the decoder", layers_option()});
    visit("latent-width", s.latent_width,
          SettingRule{"width of z's encoder and the posterior's head", count_option(), true});
    visit("latent-depth", s.latent_depth,
          SettingRule{"dense layers of these", layers_option(), true});
  }

  vrfm::Launch launch() const {
    if (execution == "auto") return {};
    return {.execution = execution == "tiles" ? vrfm::Execution::tiles : vrfm::Execution::batch};
  }
};

struct Options : TrainingSettings {
  std::string experiment;
  std::string model = "both";
  std::vector<std::string> encoder_inputs = {"x0+x1+x_t"};
  std::vector<std::uint32_t> seeds = {1, 2, 3};
  std::int64_t iterations = 20'000;

  std::string solver = "euler";
  std::vector<int> steps = {2, 4, 5, 8, 10, 16, 20};
  double tolerance = 1e-5;
  int samples = 10'000;
  double bandwidth = 0.1;

  std::string output;
  std::int64_t checkpoint_every = 0;
  bool resume = false, overwrite = false;
  std::string load;

  int dimension() const { return experiment == "1d" ? 1 : 2; }
  bool adaptive() const { return solver == "dopri5"; }

  /// What is trained and for how long.
  template <class S, class Visit>
  static void each_of_runs(S& s, const Visit& visit) {
    visit("model", s.model,
          SettingRule{"rfm, vrfm or both",
                      CLI::IsMember(std::vector<std::string>{"rfm", "vrfm", "both"})});
    visit("encoder-input", s.encoder_inputs,
          SettingRule{"what the posterior sees: x0, x1, x_t, t joined by +; several: an ablation",
                      CLI::Validator(std::string()), true});
    visit("seeds", s.seeds, SettingRule{"one training a seed", seed_option()});
    visit("iterations", s.iterations, SettingRule{"training steps", steps_option()});
  }

  template <class S, class Visit>
  static void each_of_sampling(S& s, const Visit& visit) {
    visit("solver", s.solver,
          SettingRule{"solver of the flow's equation; dopri5 chooses its own steps",
                      CLI::IsMember(
                          std::vector<std::string>{"euler", "midpoint", "heun", "rk4", "dopri5"})});
    visit("steps", s.steps, SettingRule{"numbers of steps to sample with", count_option()});
    visit("tolerance", s.tolerance,
          SettingRule{"relative and absolute error of a step of dopri5", positive_option()});
    visit("samples", s.samples,
          SettingRule{"samples of every metric", range_option(100, 10'000'000)});
    visit("bandwidth", s.bandwidth,
          SettingRule{"bandwidth of the Parzen window", positive_option()});
  }

  template <class S, class Visit>
  static void each(S& s, const Visit& visit) {
    each_of_runs(s, visit);
    TrainingSettings::each(s, visit);
    each_of_sampling(s, visit);
  }
};

/// What must be equal for weights and checkpoints of one training to fit: all that it depends on,
/// except how long it lasts. The names in files have underscores.
inline vrfm::Settings training_settings(const Options& o, const Variant& variant,
                                        std::uint32_t seed) {
  const bool variational = variant.model == "vrfm";
  TrainingSettings settings = o;
  if (!variational) settings.latent = 0;
  vrfm::Settings stored;
  for (const auto& [name, value] : texts(settings)) {
    std::string in_files = name;
    std::replace(in_files.begin(), in_files.end(), '-', '_');
    stored[in_files] = value;
  }
  stored["experiment"] = o.experiment;
  stored["model"] = variant.model;
  stored["seed"] = to_text(seed);
  // A cosine ends with the training.
  stored["cosine"] = o.cosine ? to_text(o.iterations) : "off";
  if (variational) stored["encoder_input"] = variant.encoder_input;
  return stored;
}

/// Sets what depends on the experiment.
inline void use_experiment(TrainingSettings& s, const std::string& experiment) {
  const bool one = experiment == "1d";
  s.latent = one ? 4 : 8;
  s.beta = one ? 1.0 : 0.1;
  s.source_deviation = one ? 1.0 : 0.1 / 3;
  s.target_deviation = one ? std::sqrt(0.02) : 0.1;
}

/// All settings that have an effect, as the report shows them.
inline std::vector<Setting> report_rows(const Options& o) {
  std::vector<Setting> rows{{"experiment", o.experiment}};
  Options defaults;
  use_experiment(defaults, o.experiment);
  const vrfm::Settings usual = texts(defaults);
  for (auto& row : rows_of(o)) {
    if (row.name == (o.adaptive() ? "steps" : "tolerance")) continue;
    if (row.name == "iterations" && !o.load.empty()) continue;
    row.usual = usual.at(row.name) == row.value;
    rows.push_back(std::move(row));
  }
  return rows;
}

/// Describes the options to `app`; `o` is filled when it parses.
inline void describe(CLI::App& app, Options& o) {
  app.description(
      "Trains variational rectified flow matching (vrfm) and its baseline (rfm) on the synthetic "
      "1D or 2D data, samples them, and writes metrics.json, weights, samples, figures and "
      "report.html.");
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
  app.footer(common::shared_footer);
}

/// Fills in what depends on the experiment; refuses options that would have no effect.
/// Throws std::invalid_argument.
inline void complete(const CLI::App& app, Options& o) {
  const auto given = [&](const char* name) { return app.get_option(name)->count() > 0; };
  TrainingSettings usual;
  use_experiment(usual, o.experiment);
  if (!given("--latent")) o.latent = usual.latent;
  if (!given("--beta")) o.beta = usual.beta;
  if (!given("--source-deviation")) o.source_deviation = usual.source_deviation;
  if (!given("--target-deviation")) o.target_deviation = usual.target_deviation;
  if (!given("--output")) o.output = "vrfm_" + o.experiment;

  vrfm::expect(!o.cosine || o.warmup < o.iterations, "--warmup: must be less than --iterations ",
               o.iterations, " with --cosine, got ", o.warmup);
  refuse_unused(app, "--steps", !o.adaptive(), "with --solver dopri5, which chooses its own steps");
  refuse_unused(app, "--tolerance", o.adaptive(), "without --solver dopri5");
  for (const char* name : {"--checkpoint-every", "--iterations"}) {
    refuse_unused(app, name, o.load.empty(), "with --load, which trains nothing");
  }
  if (o.model == "rfm") {
    Options::each(o, [&](const char* name, const auto&, const SettingRule& rule) {
      refuse_unused(app, flag(name), !rule.latent, "with --model rfm");
    });
    o.latent = 0;
  }
  const auto distinct = [](auto values) {
    std::sort(values.begin(), values.end());
    return std::adjacent_find(values.begin(), values.end()) == values.end();
  };
  vrfm::expect(distinct(o.seeds), "--seeds names a seed twice");
  vrfm::expect(distinct(o.steps), "--steps names a number twice");
  vrfm::expect(distinct(o.encoder_inputs), "--encoder-input names a set twice");
  for (const auto& input : o.encoder_inputs) parse_encoder_input(input);
}

}  // namespace synthetic
