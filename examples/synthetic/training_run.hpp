// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One training of vrfm_synthetic by a given objective and coupling.
#pragma once

#include <optional>

#include <vrfm/couplings/independent.hpp>

#include <examples/common/few_steps.hpp>
#include <examples/common/run.hpp>
#include <examples/synthetic/training.hpp>

namespace synthetic {

// Steps between two looks at the results: a look costs as much as some of these small steps.
inline constexpr std::int64_t steps_between_looks = 100;

inline ChosenTimes times_of(const TrainingSettings& s) {
  return {.deviation = s.time_sampler == "logit-normal" ? 1.0 : 0.0};
}

inline vrfm::Reduction reduction_of(const TrainingSettings& s) {
  return s.reduction == "mean" ? vrfm::Reduction::mean : vrfm::Reduction::sum;
}

inline auto independent_pairs(const TrainingJob& job) {
  return vrfm::independent(source_of(job.exec, job.options), target_of(job.exec, job.options));
}

/// What the files of a round that is not the last are called besides.
inline std::string stage_of(int round, int rounds) {
  return round < rounds ? "-round" + std::to_string(round) : "";
}

/// Throws std::runtime_error if there is a checkpoint of another training.
inline void refuse_other_settings(const TrainingJob& job, const std::string& stage) {
  const auto file =
      Folder{job.options.output}.file("checkpoints", job.variant, job.seed, stage + ".safetensors");
  if (!std::filesystem::exists(file)) return;
  vrfm::check_checkpoint_settings(vrfm::SafetensorsFile::read(file),
                                  training_settings(job.options, job.variant, job.seed));
}

/// Trains `flow`, one of the job's variant. `stage`: of a training in several, what its files and its progress are
/// called besides; all but the last have one, and only the last is told in the results. Nothing if it was stopped.
template <class Flow, class Objective, class Pairing>
std::optional<FlowType> train_by(const TrainingJob& job, const Flow& flow,
                                 const Objective& objective, const Pairing& pairs,
                                 const std::string& stage = "") {
  const Options& o = job.options;
  const TrainingSettings settings = settings_of(o, job.variant);
  const Folder folder{o.output};
  const CheckpointFile checkpoint(
      folder.file("checkpoints", job.variant, job.seed, stage + ".safetensors"));
  const RunOptions options{
      .name = name_of(job.variant, job.seed) + stage,
      .iterations = o.iterations,
      .checkpoint_every = o.checkpoint_every,
      .report_every = steps_between_looks,
      .resume = o.resume,
      .settings = training_settings(o, job.variant, job.seed),
      .losses = folder.file("checkpoints", job.variant, job.seed, stage + "-losses.npz"),
      .weights = folder.file("weights", job.variant, job.seed, stage + ".safetensors"),
      .before_writing = job.before_writing};
  vrfm::Trainer trainer(flow, objective, settings.optimizer(settings.cosine ? o.iterations : 0),
                        pairs, settings.trainer_options(job.seed, settings.launch()),
                        common::communicator());
  TrainingRun run(flow, trainer, checkpoint, options, objective.terms);
  if (!run.train(job.stop)) return std::nullopt;
  if (!stage.empty()) return FlowType(run.trained());
  add_training({.variant = job.variant,
                .seed = job.seed,
                .iterations = trainer.step(),
                .seconds = run.seconds(),
                .samples_per_second = run.steps_per_second() * settings.batch},
               run.losses(), job.results);
  return FlowType(run.trained());
}

/// The same of a new flow.
template <class Objective, class Pairing>
std::optional<FlowType> train_by(const TrainingJob& job, const Objective& objective,
                                 const Pairing& pairs) {
  return train_by(job, make_flow(job.exec, job.options, job.variant, job.seed), objective, pairs);
}

}  // namespace synthetic
