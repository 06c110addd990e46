// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Flows of vrfm_synthetic: trained, or loaded from the weights of an earlier run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>

#include <examples/common/run.hpp>
#include <examples/synthetic/problem.hpp>

namespace synthetic {

// The training's final losses are means over its last steps.
inline constexpr std::size_t final_window = 100;

// Steps between two looks at the results: a look costs as much as some of these small steps.
inline constexpr std::int64_t steps_between_looks = 100;

/// Calls use(objective) with the objective of a model at the times that the options name.
template <class Times, class Use>
void with_objective_at(const Options& o, const Variant& variant, const Use& use) {
  const auto reduction = o.reduction == "mean" ? vrfm::Reduction::mean : vrfm::Reduction::sum;
  if (variant.model == "vrfm") {
    use(vrfm::BasicElbo<vrfm::LinearSchedule, Times>{
        .beta = o.beta, .velocity = reduction, .kl = reduction});
  } else {
    use(vrfm::BasicVelocityLoss<vrfm::LinearSchedule, Times>{.velocity = reduction});
  }
}

template <class Use>
void with_objective(const Options& o, const Variant& variant, const Use& use) {
  if (o.time_sampler == "logit-normal") {
    with_objective_at<vrfm::LogitNormalTime>(o, variant, use);
  } else {
    with_objective_at<vrfm::UniformTime>(o, variant, use);
  }
}

inline std::filesystem::path checkpoint_of(const Options& o, const Variant& variant,
                                           std::uint32_t seed) {
  return Folder{o.output}.file("checkpoints", variant, seed, ".safetensors");
}

inline std::filesystem::path weights_to_load(const Options& o, const Variant& variant,
                                             std::uint32_t seed) {
  return Folder{o.load}.file("weights", variant, seed, ".safetensors");
}

/// Adds what a training's losses tell.
inline void add_training(const Variant& variant, std::uint32_t seed, const LossLog& losses,
                         double seconds, double samples_per_second, Results& results) {
  results.train.push_back({variant, seed, losses.final_mean(final_window, "velocity"),
                           losses.final_mean(final_window, "kl"), seconds, samples_per_second});
  const Curve velocity = losses.curve("velocity");
  results.loss_curves.push_back({variant, seed, velocity.x, velocity.y,
                                 losses.has("kl") ? losses.curve("kl").y : std::vector<double>()});
}

/// Trains, and adds what the losses tell to the results. Nothing if it was stopped; a checkpoint is
/// then written.
inline std::optional<FlowType> train(const Exec& exec, const Options& o, const Variant& variant,
                                     std::uint32_t seed, const vrfm::StopSignal& stop,
                                     Results& results) {
  const FlowType flow = make_flow(exec, o, variant, seed);
  const Folder folder{o.output};
  const auto pairs = vrfm::independent(source_of(exec, o), target_of(exec, o));
  const vrfm::AdamW optimizer = o.optimizer(o.cosine ? o.iterations : 0);
  const CheckpointFile checkpoint(checkpoint_of(o, variant, seed));
  const RunOptions options{.name = name_of(variant, seed),
                           .iterations = o.iterations,
                           .checkpoint_every = o.checkpoint_every,
                           .report_every = steps_between_looks,
                           .resume = o.resume,
                           .settings = training_settings(o, variant, seed),
                           .losses = folder.file("checkpoints", variant, seed, "-losses.npz"),
                           .weights = folder.file("weights", variant, seed, ".safetensors")};
  std::optional<FlowType> trained;
  with_objective(o, variant, [&](const auto& objective) {
    vrfm::Trainer trainer(flow, objective, optimizer, pairs, o.trainer_options(seed, o.launch()));
    TrainingRun run(flow, trainer, checkpoint, options, objective.terms);
    if (!run.train(stop)) return;
    add_training(variant, seed, run.losses(), run.seconds(), run.steps_per_second() * o.batch,
                 results);
    trained = run.trained();
  });
  return trained;
}

/// A flow with the weights of --load. Throws std::runtime_error if they were trained otherwise.
inline FlowType load(const Exec& exec, const Options& o, const Variant& variant,
                     std::uint32_t seed) {
  const auto path = weights_to_load(o, variant, seed);
  const auto stored = vrfm::SafetensorsFile::read(path).metadata();
  for (const auto& [key, value] : training_settings(o, variant, seed)) {
    const auto found = stored.find(key);
    if (found == stored.end() || found->second != value) {
      throw std::runtime_error(path.string() + ": setting '" + key + "' is '" + value +
                               "' but the weights were trained with '" +
                               (found == stored.end() ? "" : found->second) + "'");
    }
  }
  const FlowType flow = make_flow(exec, o, variant, seed);
  vrfm::load_weights(path, flow);
  return flow;
}

}  // namespace synthetic
