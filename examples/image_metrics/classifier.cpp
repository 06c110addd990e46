// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/image_metrics/classifier.hpp>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include <nlohmann/json.hpp>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/objectives/cross_entropy.hpp>
#include <vrfm/training/held_out_loss.hpp>

#include <examples/common/output_folder.hpp>
#include <examples/common/run.hpp>
#include <examples/image_metrics/image_files.hpp>
#include <examples/images/data.hpp>

namespace image_metrics {
namespace {

const std::vector<std::string> results{"weights.safetensors", "checkpoint.safetensors",
                                       "losses.npz"};

vrfm::Images read_labelled(const std::string& folder, vrfm::Split split) {
  auto set = read_data_set(folder, split);
  vrfm::expect(set.has_value(), folder,
               ": expected a folder of the files of MNIST or CIFAR-10's binary version (",
               split == vrfm::Split::train ? "train" : "test", "), found none of them");
  return std::move(*set);
}

/// Of images, `batch` a step, with their labels.
auto pairs_of(const vrfm::Images& images, int batch, bool mirror, int classes) {
  const vrfm::ImageDraws<Exec> target(vrfm::ImageSet<Exec>(Exec(), images), batch, mirror, classes);
  return vrfm::independent(vrfm::standard_normal<float>(Exec(), target.dimension()), target);
}

/// With --resume, those of the checkpoint; and in any case what was given.
ClassifierSettings settings_of(const CLI::App& command, const ClassifierOptions& o,
                               const std::filesystem::path& checkpoint) {
  ClassifierSettings settings;
  if (o.resume && std::filesystem::exists(checkpoint)) {
    common::restore(settings, vrfm::checkpoint_settings(vrfm::SafetensorsFile::read(checkpoint)));
  }
  vrfm::Settings given;
  ClassifierSettings::each(o.settings,
                           [&](const char* name, const auto& value, const common::SettingRule&) {
                             if (command.get_option(common::flag(name))->count() > 0)
                               given[name] = common::to_text(value);
                           });
  common::assign(settings, given);
  return settings;
}

/// 10, or more where labels say so.
int classes_of(const vrfm::Images& train, const vrfm::Images& test) {
  int classes = 10;
  for (const auto* images : {&train, &test}) {
    for (const int label : images->labels) classes = std::max(classes, label + 1);
  }
  return classes;
}

}  // namespace

CLI::App* add_train_classifier(CLI::App& app, ClassifierOptions& o) {
  auto* command = app.add_subcommand("train-classifier",
                                     "Train a classifier of MNIST, CIFAR-10 or others in their "
                                     "files, for features --classifier; prints its error on "
                                     "the test images");
  command->option_defaults()->always_capture_default();
  command->add_option("--data", o.data, "folder of the files of MNIST or CIFAR-10, with labels")
      ->required()
      ->default_str("");
  command
      ->add_option("-o,--output", o.output,
                   "folder of weights.safetensors, checkpoint.safetensors and losses.npz")
      ->required()
      ->default_str("");
  auto* overwrite = command->add_flag("--overwrite", o.overwrite,
                                      "replace the results that the output folder holds");
  command
      ->add_flag("--resume", o.resume,
                 "continue from the checkpoint, if there is one, with its settings")
      ->excludes(overwrite);
  command
      ->add_option("--checkpoint-every", o.checkpoint_every,
                   "steps between checkpoints; 0: at the end and when a signal comes only")
      ->check(common::steps_or_none_option());
  ClassifierSettings::each(o.settings, common::AddSettings{command, "Settings of the training"});
  return command;
}

std::optional<nlohmann::ordered_json> train_classifier(const CLI::App& command,
                                                       const ClassifierOptions& o) {
  const vrfm::StopSignal stop;
  const common::OutputFolder output(o.output);
  if (!o.resume && !o.overwrite) {
    output.refuse_results(
        results, "--resume continues, --overwrite replaces them, or choose another folder");
  }
  const common::CheckpointFile checkpoint(output / "checkpoint.safetensors");
  const ClassifierSettings settings = settings_of(command, o, checkpoint.path());
  const vrfm::Images train = read_labelled(o.data, vrfm::Split::train),
                     test = read_labelled(o.data, vrfm::Split::test);
  const std::vector<int> image = images::PixelData::shape_of(train);
  vrfm::expect(images::PixelData::shape_of(test) == image, o.data,
               ": expected test images of the extents of the training's");
  const int classes = classes_of(train, test);

  vrfm::Settings stored = common::texts(settings);
  stored[common::classifier_key] = common::classifier_name;
  stored["image"] = common::to_text(image);
  stored["classes"] = common::to_text(classes);
  common::Fingerprint print;
  print.add(train.pixels.data(), train.pixels.size());
  print.add(train.labels.data(), train.labels.size());
  stored["data"] = print.text(train.count);

  const Classifier classifier(Exec(), common::extents_of(image, classes, settings), settings.seed);
  const vrfm::CrossEntropy objective{.label_smoothing = settings.label_smoothing};
  vrfm::Trainer trainer(
      classifier, objective, settings.optimizer(settings.iterations),
      pairs_of(train, settings.batch, settings.mirror, classes),
      settings.trainer_options(
          settings.seed, {.execution = vrfm::Execution::batch, .batch = settings.micro_batch}),
      common::communicator());
  const std::filesystem::path weights = output / "weights.safetensors";
  bool replaces = o.overwrite;
  common::TrainingRun run(classifier, trainer, checkpoint,
                          {.name = "classifier",
                           .iterations = settings.iterations,
                           .checkpoint_every = o.checkpoint_every,
                           .resume = o.resume,
                           .settings = stored,
                           .losses = output / "losses.npz",
                           .weights = weights,
                           .before_writing =
                               [&] {
                                 if (std::exchange(replaces, false)) output.remove(results);
                               }},
                          objective.terms);
  if (!run.train(stop)) return std::nullopt;

  const int count = static_cast<int>(test.count);
  const auto held_out = vrfm::held_out_losses(run.trained(), vrfm::CrossEntropy{},
                                              pairs_of(test, count, false, classes),
                                              {.count = count, .launch = {.batch = 64}});
  return nlohmann::ordered_json{{"data", o.data},
                                {"classes", classes},
                                {"train_images", train.count},
                                {"test_images", test.count},
                                {"parameters", classifier.parameters().count()},
                                {"steps", trainer.step()},
                                {"seconds", run.seconds()},
                                {"train_error", run.losses().final_mean(100, "error")},
                                {"test_error", held_out.mean("error")},
                                {"test_cross_entropy", held_out.mean("cross_entropy")},
                                {"weights", weights.string()}};
}

}  // namespace image_metrics
