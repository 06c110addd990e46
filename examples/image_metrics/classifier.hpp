// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `train-classifier`: a classifier of a labelled set of images, whose features and logits the command
// `features` makes; and the weights that it wrote.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include <vrfm/models/classifier/classifier.hpp>

#include <examples/common/settings.hpp>

namespace image_metrics {

using Exec = Kokkos::DefaultExecutionSpace;
using Classifier = vrfm::Classifier<float, Exec>;

/// What the weights depend on, besides the images.
struct ClassifierSettings : common::StepSettings {
  static constexpr int latent = 0;

  std::int64_t iterations = 1'000;
  std::uint32_t seed = 1;
  int micro_batch = 32;
  bool mirror = false;
  double label_smoothing = 0;
  int base = 32;
  int features = 128;

  ClassifierSettings() {
    batch = 128;
    learning_rate = 2e-3;
    clip_norm = 1;
  }

  template <class S, class Visit>
  static void each(S& s, const Visit& visit) {
    using common::SettingRule;
    visit("iterations", s.iterations,
          SettingRule{"training steps, along which the rate comes down to zero as a cosine",
                      common::steps_option()});
    visit("seed", s.seed,
          SettingRule{"seed of weights and of the order of images", common::seed_option()});
    each_of_step(s, "images", visit);
    visit("micro-batch", s.micro_batch,
          SettingRule{"images of a step at a time, which bounds the memory; 0: all",
                      common::count_or_none_option()});
    visit("mirror", s.mirror, SettingRule{"exchange left and right of half of the images"});
    visit(
        "label-smoothing", s.label_smoothing,
        SettingRule{"share of each label that all classes have alike", common::fraction_option()});
    visit("base", s.base, SettingRule{"channels of the first stage", common::count_option()});
    visit("features", s.features, SettingRule{"features of an image", common::count_option()});
  }
};

struct ClassifierOptions {
  std::string data, output;
  bool resume = false, overwrite = false;
  std::int64_t checkpoint_every = 250;
  ClassifierSettings settings;
};

CLI::App* add_train_classifier(CLI::App& app, ClassifierOptions& options);

/// Trains, and writes the files; returns what the program prints: nothing if a signal came before the end. Throws
/// std::runtime_error or std::invalid_argument that names what was expected and what was found.
std::optional<nlohmann::ordered_json> train_classifier(const CLI::App& command,
                                                       const ClassifierOptions& options);

/// A classifier that train_classifier wrote, and the extents of its images.
struct LoadedClassifier {
  Classifier classifier;
  vrfm::ClassifierOptions extents;
};

/// Throws std::runtime_error that names the file, what was expected and what was found.
LoadedClassifier load_classifier(const std::string& weights);

}  // namespace image_metrics
