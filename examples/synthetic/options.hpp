// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command line of vrfm_synthetic: every hyper-parameter of the synthetic experiments of Guo and
// Schwing 2025, the paper's values as defaults.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <vrfm/models/flow.hpp>
#include <vrfm/training/checkpoint.hpp>

#include <examples/common/options.hpp>
#include <examples/common/setting.hpp>
#include <examples/synthetic/results.hpp>

namespace synthetic {

struct Options {
  std::string experiment;
  std::string model = "both";
  std::vector<std::string> encoder_inputs = {"x0+x1+x_t"};
  std::vector<std::uint32_t> seeds = {1, 2, 3};

  std::int64_t iterations = 20'000;
  int batch = 1'000;
  double learning_rate = 1e-3;
  std::int64_t warmup = 0;
  bool cosine = false;
  double weight_decay = 0.01;
  double clip_norm = 0;
  double ema_decay = 0;

  int latent = 0;   // set from the experiment unless given
  double beta = 0;  // likewise
  std::string reduction = "sum";
  std::string time_sampler = "uniform";

  int features = 64;
  int width = 64;
  int encoder_depth = 2;
  int latent_width = 128;
  int latent_depth = 3;
  int decoder_depth = 4;
  double input_scale = 1;
  double max_period = 1e4;

  double source_deviation = 0;  // set from the experiment unless given
  double target_deviation = 0;  // likewise

  std::vector<int> steps = {2, 4, 5, 8, 10, 16, 20};
  std::string solver = "euler";
  double tolerance = 1e-5;
  int samples = 10'000;
  double bandwidth = 0.1;

  std::string output;
  std::int64_t checkpoint_every = 0;
  bool resume = false;
  std::string load;
  std::string execution = "auto";

  int dimension() const { return experiment == "1d" ? 1 : 2; }
  bool adaptive() const { return solver == "dopri5"; }
  vrfm::Execution execution_mode() const {
    if (execution == "auto") return vrfm::Execution::automatic;
    return execution == "tiles" ? vrfm::Execution::tiles : vrfm::Execution::batch;
  }

  /// What must be equal for weights and checkpoints to fit: the settings that training depends on,
  /// except how long it lasts.
  vrfm::Settings training_settings(const Variant& variant, std::uint32_t seed) const;

  /// All settings, in the report's order.
  std::vector<Setting> all() const;
};

inline vrfm::Settings Options::training_settings(const Variant& variant, std::uint32_t seed) const {
  vrfm::Settings s;
  s["experiment"] = experiment;
  s["model"] = variant.model;
  s["seed"] = std::to_string(seed);
  s["batch"] = std::to_string(batch);
  s["learning_rate"] = exact_text(learning_rate);
  s["warmup"] = std::to_string(warmup);
  s["cosine"] = cosine ? std::to_string(iterations) : "off";
  s["weight_decay"] = exact_text(weight_decay);
  s["clip_norm"] = exact_text(clip_norm);
  s["ema_decay"] = exact_text(ema_decay);
  s["reduction"] = reduction;
  s["time_sampler"] = time_sampler;
  s["features"] = std::to_string(features);
  s["width"] = std::to_string(width);
  s["encoder_depth"] = std::to_string(encoder_depth);
  s["decoder_depth"] = std::to_string(decoder_depth);
  s["input_scale"] = exact_text(input_scale);
  s["max_period"] = exact_text(max_period);
  s["source_deviation"] = exact_text(source_deviation);
  s["target_deviation"] = exact_text(target_deviation);
  s["execution"] = execution;
  if (variant.model == "vrfm") {
    s["encoder_input"] = variant.encoder_input;
    s["latent"] = std::to_string(latent);
    s["beta"] = exact_text(beta);
    s["latent_width"] = std::to_string(latent_width);
    s["latent_depth"] = std::to_string(latent_depth);
  }
  return s;
}

inline std::vector<Setting> Options::all() const {
  const auto joined = [](const auto& values) {
    std::string text;
    for (const auto& value : values) {
      std::ostringstream stream;
      stream << value;
      text += (text.empty() ? "" : ", ") + stream.str();
    }
    return text;
  };
  std::vector<Setting> rows{{"experiment", experiment},
                            {"model", model},
                            {"encoder input", joined(encoder_inputs)},
                            {"seeds", joined(seeds)},
                            {"iterations", std::to_string(iterations)},
                            {"batch", std::to_string(batch)},
                            {"learning rate", exact_text(learning_rate)},
                            {"warm-up steps", std::to_string(warmup)},
                            {"decay", cosine ? "cosine" : "constant"},
                            {"weight decay", exact_text(weight_decay)},
                            {"clip norm", clip_norm > 0 ? exact_text(clip_norm) : "off"},
                            {"EMA decay", ema_decay > 0 ? exact_text(ema_decay) : "off"},
                            {"latent dimension", std::to_string(latent)},
                            {"beta", exact_text(beta)},
                            {"loss reduction", reduction},
                            {"time sampler", time_sampler},
                            {"sinusoidal features", std::to_string(features)},
                            {"input scale", exact_text(input_scale)},
                            {"longest period", exact_text(max_period)},
                            {"width", std::to_string(width)},
                            {"encoder depth", std::to_string(encoder_depth)},
                            {"latent width", std::to_string(latent_width)},
                            {"latent depth", std::to_string(latent_depth)},
                            {"decoder depth", std::to_string(decoder_depth)},
                            {"source deviation", exact_text(source_deviation)},
                            {"target deviation", exact_text(target_deviation)},
                            {"solver", solver}};
  if (adaptive()) {
    rows.push_back({"tolerance", exact_text(tolerance)});
  } else {
    rows.push_back({"steps", joined(steps)});
  }
  rows.push_back({"samples", std::to_string(samples)});
  rows.push_back({"Parzen bandwidth", exact_text(bandwidth)});
  rows.push_back({"execution", execution});
  return rows;
}

/// Describes the options to `app`; `options` is filled when it parses.
inline void describe(CLI::App& app, Options& options) {
  app.description(
      "Trains variational rectified flow matching (vrfm) and its baseline (rfm) on the synthetic "
      "1D or 2D data, samples them, and writes metrics.json, weights, samples, figures and "
      "report.html.");
  app.option_defaults()->always_capture_default();
  auto& o = options;
  const auto count = count_option(), count_or_none = count_or_none_option();
  const auto positive = positive_option(), not_negative = not_negative_option();

  app.add_option("experiment", o.experiment, "1d: two modes; 2d: six modes on a circle")
      ->required()
      ->check(CLI::IsMember({"1d", "2d"}))
      ->default_str("");
  app.add_option("-o,--output", o.output, "folder of all results [vrfm_<experiment>]")
      ->default_str("");

  const std::string what = "What is trained";
  app.add_option("--model", o.model, "rfm, vrfm or both")
      ->check(CLI::IsMember({"rfm", "vrfm", "both"}))
      ->group(what);
  app.add_option("--encoder-input", o.encoder_inputs,
                 "what the posterior sees: x0, x1, x_t, t joined by +; several: an ablation")
      ->delimiter(',')
      ->group(what);
  app.add_option("--seeds", o.seeds, "one training a seed")->delimiter(',')->group(what);
  app.add_option("--latent", o.latent, "dimension of z [1d: 4, 2d: 8]")
      ->default_str("")
      ->check(count)
      ->group(what);
  app.add_option("--beta", o.beta, "weight of the KL divergence [1d: 1, 2d: 0.1]")
      ->default_str("")
      ->check(not_negative)
      ->group(what);
  app.add_option("--source-deviation", o.source_deviation,
                 "of p0's components [1d: 1, 2d: 0.1 / 3]")
      ->default_str("")
      ->check(positive)
      ->group(what);
  app.add_option("--target-deviation", o.target_deviation,
                 "of p1's components [1d: sqrt(0.02), 2d: 0.1]")
      ->default_str("")
      ->check(positive)
      ->group(what);

  const std::string training = "Training";
  app.add_option("--iterations", o.iterations, "training steps")->check(count)->group(training);
  app.add_option("--batch", o.batch, "samples a step")->check(count)->group(training);
  app.add_option("--learning-rate", o.learning_rate, "AdamW's rate")
      ->check(positive)
      ->group(training);
  app.add_option("--warmup", o.warmup, "steps of linear warm-up")
      ->check(count_or_none)
      ->group(training);
  app.add_flag("--cosine", o.cosine, "decay the rate to zero along a cosine")->group(training);
  app.add_option("--weight-decay", o.weight_decay, "AdamW's decay")
      ->check(not_negative)
      ->group(training);
  app.add_option("--clip-norm", o.clip_norm, "largest gradient norm; 0: off")
      ->check(not_negative)
      ->group(training);
  app.add_option("--ema-decay", o.ema_decay, "sample from an average of the weights; 0: off")
      ->check(fraction_option())
      ->group(training);
  app.add_option("--reduction", o.reduction, "how both loss terms add up over their dimensions")
      ->check(CLI::IsMember({"sum", "mean"}))
      ->group(training);
  app.add_option("--time-sampler", o.time_sampler, "distribution of the training time")
      ->check(CLI::IsMember({"uniform", "logit-normal"}))
      ->group(training);
  app.add_option("--execution", o.execution,
                 "one kernel over tiles, or launches over the batch; auto: by the networks' size")
      ->check(CLI::IsMember({"auto", "tiles", "batch"}))
      ->group(training);

  const std::string networks = "Networks";
  app.add_option("--features", o.features, "sinusoidal features of a coordinate")
      ->check(
          number_option("an even number of at least 2", [](double x) { return is_count(x / 2); }))
      ->group(networks);
  app.add_option("--input-scale", o.input_scale, "multiplies coordinates before their encoding")
      ->check(positive)
      ->group(networks);
  app.add_option("--max-period", o.max_period, "longest period of the encoding, over 2 pi")
      ->check(number_option("at least 1", [](double x) { return x >= 1; }))
      ->group(networks);
  app.add_option("--width", o.width, "width of encoders and decoder")
      ->check(count)
      ->group(networks);
  app.add_option("--encoder-depth", o.encoder_depth, "dense layers of an encoder")
      ->check(count)
      ->group(networks);
  app.add_option("--decoder-depth", o.decoder_depth, "dense layers of the decoder")
      ->check(count)
      ->group(networks);
  app.add_option("--latent-width", o.latent_width, "width of z's encoder and the posterior's head")
      ->check(count)
      ->group(networks);
  app.add_option("--latent-depth", o.latent_depth, "dense layers of these")
      ->check(count)
      ->group(networks);

  const std::string sampling = "Sampling";
  auto* solver = app.add_option("--solver", o.solver,
                                "solver of the flow's equation; dopri5 chooses its own steps")
                     ->check(CLI::IsMember({"euler", "midpoint", "heun", "rk4", "dopri5"}))
                     ->group(sampling);
  app.add_option("--steps", o.steps, "numbers of steps to sample with")
      ->delimiter(',')
      ->check(count)
      ->group(sampling);
  app.add_option("--tolerance", o.tolerance, "relative and absolute error of a step of dopri5")
      ->needs(solver)
      ->check(positive)
      ->group(sampling);
  app.add_option("--samples", o.samples, "samples of every metric")
      ->check(number_option("from 100 to 10,000,000",
                            [](double x) { return is_count(x) && x >= 100 && x <= 1e7; }))
      ->group(sampling);
  app.add_option("--bandwidth", o.bandwidth, "bandwidth of the Parzen window")
      ->check(positive)
      ->group(sampling);

  const std::string runs = "Long runs";
  app.add_option("--checkpoint-every", o.checkpoint_every, "steps between checkpoints; 0: none")
      ->check(count_or_none)
      ->group(runs);
  auto* resume = app.add_flag("--resume", o.resume, "continue from the output folder's checkpoints")
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
  const bool one = o.experiment == "1d";
  const auto given = [&](const char* name) { return app.get_option(name)->count() > 0; };
  if (!given("--latent")) o.latent = one ? 4 : 8;
  if (!given("--beta")) o.beta = one ? 1.0 : 0.1;
  if (!given("--source-deviation")) o.source_deviation = one ? 1.0 : 0.1 / 3;
  if (!given("--target-deviation")) o.target_deviation = one ? std::sqrt(0.02) : 0.1;
  if (!given("--output")) o.output = "vrfm_" + o.experiment;

  const auto unused = [&](const char* name, bool used, const char* reason) {
    vrfm::expect(used || !given(name), "option ", name, " has no effect ", reason);
  };
  unused("--steps", !o.adaptive(), "with --solver dopri5, which chooses its own steps");
  unused("--tolerance", o.adaptive(), "without --solver dopri5");
  for (const char* name :
       {"--latent", "--beta", "--encoder-input", "--latent-width", "--latent-depth"}) {
    unused(name, o.model != "rfm", "with --model rfm");
  }
  unused("--checkpoint-every", o.load.empty(), "with --load");
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
