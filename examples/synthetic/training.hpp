// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Flows of vrfm_synthetic: trained (train_*.cpp), or loaded from the weights of an earlier run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <tuple>

#include <examples/common/run.hpp>
#include <examples/synthetic/problem.hpp>

namespace synthetic {

// The training's final losses are means over its last steps.
inline constexpr std::size_t final_window = 100;

inline std::filesystem::path checkpoint_of(const Options& o, const Variant& variant,
                                           std::uint32_t seed) {
  return Folder{o.output}.file("checkpoints", variant, seed, ".safetensors");
}

inline std::filesystem::path weights_to_load(const Options& o, const Variant& variant,
                                             std::uint32_t seed) {
  return Folder{o.load}.file("weights", variant, seed, ".safetensors");
}

/// Adds what a training's losses tell, unless they are not known: that of the velocity where there is one, else
/// the first.
inline void add_training(const Training& training, const LossLog& losses, Results& results) {
  results.train.push_back(training);
  if (losses.steps() == 0) return;
  const auto& [variant, seed] = std::tie(training.variant, training.seed);
  const std::string first = losses.main_name();
  results.train.back().final_velocity_loss = losses.final_mean(final_window, first);
  const std::string kl = losses.has("source_kl") ? "source_kl" : "kl";
  results.train.back().final_kl = losses.final_mean(final_window, kl);
  const Curve velocity = losses.curve(first);
  results.loss_curves.push_back({variant, seed, velocity.x, velocity.y,
                                 losses.has(kl) ? losses.curve(kl).y : std::vector<double>()});
}

/// What one training needs.
struct TrainingJob {
  const Exec& exec;
  const Options& options;
  Variant variant;
  std::uint32_t seed;
  const vrfm::StopSignal& stop;
  const std::function<void()>& before_writing;
  Results& results;
};

/// Trains, and adds what the losses tell to the results. Nothing if it was stopped; a checkpoint is
/// then written.
std::optional<FlowType> train(const TrainingJob& job);

/// The losses that the training of --load left, of the steps that its weights have; none if it left
/// others or none.
inline LossLog losses_of_loaded(const Options& o, const Variant& variant, std::uint32_t seed,
                                std::int64_t steps) {
  const auto file =
      LossLog::existing(Folder{o.load}.file("checkpoints", variant, seed, "-losses.npz"));
  if (!file) return {};
  try {
    const auto log = LossLog::read(*file);
    if (log.steps() == static_cast<std::size_t>(steps)) return log;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "warning: %s\n", error.what());
  }
  return {};
}

/// A flow with the weights of --load, and what is known of their training. Throws std::runtime_error if
/// they were trained otherwise.
inline FlowType load(const Exec& exec, const Options& o, const Variant& variant, std::uint32_t seed,
                     Results& results) {
  const auto path = weights_to_load(o, variant, seed);
  const auto stored = vrfm::SafetensorsFile::read(path).metadata();
  Options trained = o;
  trained.iterations = unknown_iterations;
  if (const auto steps = stored.find(trained_steps); steps != stored.end()) {
    from_text(steps->second, trained.iterations);
  }
  auto expected = training_settings(trained, variant, seed);
  // Weights of earlier versions tell how long only where a cosine ended with them.
  if (trained.iterations == unknown_iterations && settings_of(o, variant).cosine) {
    if (const auto end = stored.find("cosine"); end != stored.end() && end->second != "off") {
      expected["cosine"] = end->second;
      from_text(end->second, trained.iterations);
    }
  }
  for (const auto& [key, value] : expected) {
    const auto found = stored.find(key);
    if (found == stored.end() || found->second != value) {
      throw std::runtime_error(path.string() + ": setting '" + key + "' is '" + value +
                               "' but the weights were trained with '" +
                               (found == stored.end() ? "" : found->second) + "'");
    }
  }
  const FlowType flow = make_flow(exec, o, variant, seed);
  vrfm::load_weights(path, flow);
  add_training({.variant = variant, .seed = seed, .iterations = trained.iterations},
               losses_of_loaded(o, variant, seed, trained.iterations), results);
  return flow;
}

}  // namespace synthetic
