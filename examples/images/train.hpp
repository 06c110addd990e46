// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `train`: a run that may last days, be stopped at any time and be continued to the same
// bits, and at its end is told in report.html.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/training/checkpoint_folder.hpp>

#include <examples/common/run.hpp>
#include <examples/images/flows.hpp>
#include <examples/images/run_report.hpp>

namespace images {

/// Which data a run was made with: their number and a hash (FNV-1a) of the pixels.
inline std::string fingerprint(const vrfm::Images& images) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::uint8_t pixel : images.pixels) hash = (hash ^ pixel) * 0x100000001b3u;
  char text[64];
  std::snprintf(text, sizeof text, "%zu images, %016llx", images.count,
                static_cast<unsigned long long>(hash));
  return text;
}

template <class Set>
class Training {
 public:
  /// Throws what reading the data and building the networks throw.
  Training(const TrainOptions& options, const typename Set::Settings& settings,
           const std::string& command_line)
      : options_(options),
        settings_(settings),
        output_(options.output),
        checkpoints_(output_ / "checkpoints", options.keep),
        images_(Set::read(options.data, vrfm::Split::train)),
        flow_(Exec(), Set::networks(settings, shape_of(images_), true), settings.seed),
        stored_(texts_with_recipe(settings)),
        report_(options, settings, command_line) {
    stored_["set"] = Set::name;
    stored_["image"] = to_text(shape_of(images_));
    stored_["data"] = fingerprint(images_);
    if (!options_.resume && !checkpoints_.files().empty()) {
      throw std::runtime_error("--output " + output_.string() + ": holds the checkpoint " +
                               checkpoints_.files().front().string() +
                               "; --resume continues from it, or choose another folder");
    }
    create_folder(output_ / "samples");
  }

  void run() {
    with_objective(settings_, vrfm::UniformTime{}, [this](const auto& objective) {
      with_matmul_precision(settings_, flow_, [&](const auto& flow) { train(flow, objective); });
    });
  }

 private:
  template <class FlowType, class Objective>
  void train(const FlowType& flow, const Objective& objective) {
    const vrfm::StopSignal stop;
    const Exec& exec = flow_.exec();
    const vrfm::ImageDraws<Exec> target(vrfm::ImageSet<Exec>(exec, images_), settings_.batch,
                                        settings_.mirror);
    const auto source = vrfm::standard_normal<float>(exec, flow_.dimension());
    vrfm::Trainer trainer(
        flow, objective, settings_.optimizer(), vrfm::independent(source, target),
        settings_.trainer_options(
            settings_.seed, {.execution = vrfm::Execution::batch, .batch = settings_.micro_batch}));
    TrainingRun run(flow_, trainer, checkpoints_,
                    {.name = model_name(settings_),
                     .iterations = options_.iterations,
                     .checkpoint_every = options_.checkpoint_every,
                     .resume = options_.resume,
                     .settings = stored_,
                     .losses = output_ / losses_file,
                     .weights = output_ / "weights.safetensors",
                     .average = output_ / "weights-ema.safetensors"},
                    Objective::terms);
    const auto paint = [&] {
      std::string digits = std::to_string(trainer.step());
      digits.insert(0, digits.size() < 9 ? 9 - digits.size() : 0, '0');
      // In float32, whatever the training's products are.
      report_.paint("step-" + digits, Painter(run.trained(), shape_of(images_), options_.sampling));
    };
    if (!run.train(stop, {{options_.sample_every, paint}})) return;
    std::fprintf(stderr, "pictures and report\n");
    report_.write({.images = images_.count,
                   .parameters = flow_.parameters().count(),
                   .steps = trainer.step(),
                   .seconds = run.seconds(),
                   .steps_per_second = run.steps_per_second(),
                   .stored = stored_},
                  run.losses(), Painter(run.trained(), shape_of(images_), options_.sampling));
  }

  TrainOptions options_;
  typename Set::Settings settings_;
  std::filesystem::path output_;
  vrfm::CheckpointFolder checkpoints_;
  vrfm::Images images_;
  FlowOf<Set> flow_;
  vrfm::Settings stored_;
  RunReport<Set> report_;
};

}  // namespace images
