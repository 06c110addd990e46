// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `train`: a run that may last days, be stopped at any time and be continued to the same
// bits, and at its end is told in report.html.
#pragma once

#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <vrfm/training/checkpoint_folder.hpp>

#include <examples/common/output_folder.hpp>
#include <examples/common/run.hpp>
#include <examples/images/flows.hpp>
#include <examples/images/run_report.hpp>

namespace images {

/// The settings of the run in a folder, from its newest checkpoint that can be read, if there is one.
inline std::optional<vrfm::Settings> settings_of_run(const std::filesystem::path& output) {
  for (const auto& file : vrfm::CheckpointFolder(output / "checkpoints").files()) {
    try {
      const auto settings = vrfm::checkpoint_settings(vrfm::SafetensorsFile::read(file));
      if (settings.contains("recipe")) return settings;
    } catch (const std::runtime_error&) {
      // The run says which one it skips.
    }
  }
  return std::nullopt;
}

/// The pairs, whose condition is dropped now and then where there is one, for guidance.
template <class Set, class Pairs>
auto with_dropout(const Pairs& pairs, const typename Set::Settings& settings) {
  if constexpr (Set::has_classes) {
    return vrfm::DroppedCondition(pairs, settings.class_dropout);
  } else {
    return pairs;
  }
}

template <class Set>
class Training {
 public:
  /// Throws what reading the data and building the networks throw, and std::runtime_error for a folder that
  /// another run writes to, or has written to.
  Training(const TrainOptions& options, const typename Set::Settings& settings,
           const std::string& command_line, const vrfm::StopSignal& stop)
      : options_(options),
        settings_(settings),
        stop_(stop),
        output_(options.output),
        checkpoints_(checked(output_, options)),
        data_(Set::read(options.data, vrfm::Split::train)),
        flow_(make_flow<Set>(settings, Set::shape_of(data_), true, settings.seed)),
        stored_(texts_with_recipe(settings)),
        report_(options, settings, command_line, stop) {
    stored_["set"] = Set::name;
    // What SoFlow's rho and the stages of Consistency-FM end with.
    if (settings.objective == "soflow" || settings.objective == "consistency") {
      stored_["iterations"] = std::to_string(options.iterations);
    }
    stored_["image"] = to_text(Set::shape_of(data_));
    stored_["data"] = Set::fingerprint(data_);
    if constexpr (Set::has_classes) {
      if (data_.scale()) {
        stored_[latent_scale_key] = to_text(settings.latent_factor * *data_.scale());
      }
      check_guidance(settings, options.sampling, "--output");
    }
    painter(flow_).check();
    for (const char* folder : {"checkpoints", "samples", "figures"}) output_.add(folder);
  }

  void run() {
    try {
      if constexpr (Set::few_steps) {
        if (settings_.objective != "velocity" || settings_.pairs != "independent") {
          return train_otherwise();
        }
      }
      with_velocity_objective(settings_, times_of(settings_), [this](const auto& objective) {
        with_precision(settings_, flow_,
                       [&](const auto& flow) { train(flow, objective, pairs()); });
      });
    } catch (const vrfm::RankError&) {
      throw;
    } catch (const std::exception& error) {
      // The library knows the images at a time by another name.
      const std::string what = error.what();
      if (what.find("launch.batch") == std::string::npos &&
          what.find("failed to allocate") == std::string::npos) {
        throw;
      }
      throw std::runtime_error(what.substr(0, what.find('\n')) + "; option --batch " +
                               std::to_string(settings_.batch) + " with --micro-batch " +
                               std::to_string(settings_.micro_batch) + " asks for it");
    }
  }

 private:
  auto pairs() const {
    return with_dropout<Set>(
        Set::pairs(flow_.exec(), data_, settings_, settings_.batch, settings_.mirror), settings_);
  }

  /// By objectives of few evaluations, or on pairs of optimal transport: in a source file of its own
  /// (train_otherwise.hpp), since there are many and they take long to compile.
  void train_otherwise();

  template <class FlowType, class Objective, class Pairs>
  void train(const FlowType& flow, const Objective& objective, const Pairs& pairs) {
    auto trainer_options = settings_.trainer_options(
        settings_.seed, {.execution = vrfm::Execution::batch, .batch = settings_.micro_batch});
    // Alone there is nothing to share, nor need a program without MPI know how.
    trainer_options.shard_optimizer = options_.shard_optimizer && common::communicator().size() > 1;
    vrfm::Trainer trainer(flow, objective, settings_.optimizer(), pairs, trainer_options,
                          common::communicator());
    TrainingRun run(flow_, trainer, checkpoints_,
                    {.name = model_name(settings_),
                     .iterations = options_.iterations,
                     .end = options_.iterations_given ? "--iterations" : "the recipe's",
                     .advice = options_.iterations_given ? "" : "; --iterations says where it ends",
                     .checkpoint_every = options_.checkpoint_every,
                     .compare_every = options_.compare_every,
                     .resume = options_.resume,
                     .settings = stored_,
                     .losses = output_ / losses_file,
                     .weights = output_ / "weights.safetensors",
                     .average = output_ / "weights-ema.safetensors",
                     .before_writing = [this] { replace_earlier(); },
                     .alike = {{"--sample-every", std::to_string(options_.sample_every)},
                               {"--shard-optimizer", options_.shard_optimizer ? "on" : "off"}}},
                    Objective::terms);
    const auto paint = [&] {
      replace_earlier();
      // In float32, whatever the training's products are.
      report_.paint(picture_at(trainer.step()), painter(run.trained()));
    };
    // A run that ended while it drew this one has its checkpoint already.
    const bool due = options_.sample_every > 0 && trainer.step() > 0 &&
                     trainer.step() % options_.sample_every == 0;
    const auto picture = output_ / "samples" / (picture_at(trainer.step()) + ".png");
    if (due && common::communicator().any(common::is_root() && !std::filesystem::exists(picture))) {
      paint();
    }
    if (!run.train(stop_, {{options_.sample_every, paint}})) return;
    if (const auto start = start_of_average(settings_, trainer.step()); !start.empty()) {
      common::say("note: pictures are drawn from the moving average of the weights, %s",
                  start.c_str());
    }
    common::say("pictures and report");
    report_.write({.images = Set::count(data_),
                   .parameters = flow_.parameters().count(),
                   .steps = trainer.step(),
                   .seconds = run.seconds(),
                   .steps_per_second = run.steps_per_second(),
                   .stored = stored_},
                  run.losses(), painter(run.trained()));
  }

  Painter<FlowOf<Set>> painter(const FlowOf<Set>& flow) const {
    return {flow, Set::developer(Set::shape_of(data_)), options_.sampling};
  }

  /// The folder of checkpoints, if the options allow to write to the output.
  static vrfm::CheckpointFolder checked(const OutputFolder& output, const TrainOptions& options) {
    const vrfm::CheckpointFolder checkpoints(output / "checkpoints", options.keep);
    if (options.resume || options.overwrite) return checkpoints;
    const auto files = checkpoints.files();
    if (!files.empty()) {
      throw std::runtime_error("--output " + options.output + ": holds the checkpoint " +
                               files.front().string() +
                               "; --resume continues from it, --overwrite begins anew, or choose "
                               "another folder");
    }
    output.refuse_results(results, "--overwrite replaces them, or choose another folder");
    return checkpoints;
  }

  /// With --overwrite, removes an earlier run's files, when the first of this one is there to be written.
  void replace_earlier() {
    if (!std::exchange(options_.overwrite, false)) return;
    output_.remove_files("checkpoints", {".safetensors"});
    output_.remove_files("samples", {".png"});
    output_.remove_files("figures", {".png"});
    output_.remove(results);
    output_.remove({"weights-ema.safetensors", losses_file, "losses.npy"});
  }

  static std::string picture_at(std::int64_t step) {
    std::string digits = std::to_string(step);
    digits.insert(0, digits.size() < 9 ? 9 - digits.size() : 0, '0');
    return "step-" + digits;
  }

  inline static const std::vector<std::string> results{"report.html", "metrics.json",
                                                       "weights.safetensors"};

  TrainOptions options_;
  typename Set::Settings settings_;
  const vrfm::StopSignal& stop_;
  OutputFolder output_;
  vrfm::CheckpointFolder checkpoints_;
  typename Set::Data data_;
  FlowOf<Set> flow_;
  vrfm::Settings stored_;
  RunReport<Set> report_;
};

}  // namespace images
