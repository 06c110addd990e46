// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `train-classifier`: a classifier of a labelled set of images, whose features and logits the command
// `features` makes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include <examples/common/features/classifier_file.hpp>

namespace image_metrics {

using Exec = Kokkos::DefaultExecutionSpace;
using common::Classifier, common::ClassifierSettings;

struct ClassifierOptions {
  std::string data, output;
  bool resume = false, overwrite = false;
  std::int64_t checkpoint_every = 500;
  ClassifierSettings settings;
};

CLI::App* add_train_classifier(CLI::App& app, ClassifierOptions& options);

/// Trains, and writes the files; returns what the program prints: nothing if a signal came before the end. Throws
/// std::runtime_error or std::invalid_argument that names what was expected and what was found.
std::optional<nlohmann::ordered_json> train_classifier(const CLI::App& command,
                                                       const ClassifierOptions& options);

}  // namespace image_metrics
