// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `features`: images to features and logits by the Inception network or by a classifier, whose weights a
// file holds.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace CLI {
class App;
}

namespace image_metrics {

struct FeatureOptions {
  std::string images, weights, classifier, output, logits, split = "train";
  bool without_bias = false;
  int batch = 16;
};

CLI::App* add_features(CLI::App& app, FeatureOptions& options);

/// Writes the files; returns what the program prints. Throws std::runtime_error or std::invalid_argument that names
/// what was expected and what was found.
nlohmann::ordered_json make_features(const FeatureOptions& options);

/// On the standard error, of as few images as features: the covariance has no full rank then, and the distance's bias,
/// which falls as 1 / images, is large.
void warn_of_few(const std::string& path, std::size_t images, std::size_t features);

}  // namespace image_metrics
