// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The settings of a classifier of images, and one that `vrfm_image_metrics train-classifier` wrote.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <vrfm/models/classifier/classifier.hpp>
#include <vrfm/training/weights.hpp>

#include <examples/common/settings.hpp>

namespace common {

using Classifier = vrfm::Classifier<float, Kokkos::DefaultExecutionSpace>;

/// What the weights depend on, besides the images.
struct ClassifierSettings : StepSettings {
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
    visit("iterations", s.iterations,
          SettingRule{"training steps, along which the rate comes down to zero as a cosine",
                      steps_option()});
    visit("seed", s.seed, SettingRule{"seed of weights and of the order of images", seed_option()});
    each_of_step(s, "images", visit);
    visit("micro-batch", s.micro_batch,
          SettingRule{"images of a step at a time, which bounds the memory; 0: all",
                      count_or_none_option()});
    visit("mirror", s.mirror, SettingRule{"exchange left and right of half of the images"});
    visit("label-smoothing", s.label_smoothing,
          SettingRule{"share of each label that all classes have alike", fraction_option()});
    visit("base", s.base, SettingRule{"channels of the first stage", count_option()});
    visit("features", s.features, SettingRule{"features of an image", count_option()});
  }
};

/// What the metadata of its weights says of what they are.
inline constexpr const char* classifier_key = "model";
inline constexpr const char* classifier_name = "classifier";

/// image: height, width and channels.
inline vrfm::ClassifierOptions extents_of(const std::vector<int>& image, int classes,
                                          const ClassifierSettings& s) {
  return {.height = image[0],
          .width = image[1],
          .channels = image[2],
          .classes = classes,
          .base = s.base,
          .features = s.features};
}

/// A classifier that train-classifier wrote, and the extents of its images.
struct LoadedClassifier {
  Classifier classifier;
  vrfm::ClassifierOptions extents;
};

/// Throws std::runtime_error that names the file, what was expected and what was found.
inline LoadedClassifier load_classifier(const std::string& weights) {
  const auto metadata = vrfm::SafetensorsFile::read(weights).metadata();
  const auto at = [&](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? std::string() : found->second;
  };
  vrfm::expect(at(classifier_key) == classifier_name, weights,
               ": expected weights that train-classifier wrote, found no metadata 'model' that "
               "says 'classifier'");
  ClassifierSettings settings;
  std::vector<int> image;
  int classes = 0;
  try {
    restore(settings, metadata);
    from_text(at("image"), image);
    from_text(at("classes"), classes);
  } catch (const std::exception& error) {
    throw std::runtime_error(weights + ": metadata: " + error.what());
  }
  vrfm::expect(image.size() == 3, weights,
               ": expected three extents of an image as metadata 'image', found ", at("image"));
  const auto extents = extents_of(image, classes, settings);
  LoadedClassifier loaded{Classifier(Kokkos::DefaultExecutionSpace(), extents, 0), extents};
  vrfm::load_weights(weights, loaded.classifier);
  return loaded;
}

}  // namespace common
