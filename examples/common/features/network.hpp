// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FeatureNetwork: the network whose features and logits of images are compared, from a file of its weights: the
// Inception network of FID, or a classifier of the data set.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/io/images.hpp>
#include <vrfm/metrics/feature_statistics.hpp>

namespace common {

/// Rows of features and of logits; none of these unless they were asked for.
struct ImageAnswers {
  std::vector<float> features, logits;
};

/// Mean and covariance of the features of `count` images. Throws as feature_statistics.
inline vrfm::FeatureStatistics statistics_of(const ImageAnswers& answers, std::size_t count) {
  using Rows = Kokkos::View<const float**, Kokkos::LayoutRight, Kokkos::HostSpace,
                            Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  return vrfm::feature_statistics(
      Kokkos::DefaultHostExecutionSpace(),
      Rows(answers.features.data(), count, answers.features.size() / count));
}

/// What is wanted besides the features.
enum class ImageLogits { none, with_bias, without_bias };

class FeatureNetwork {
 public:
  /// Weights of pytorch-fid's network, for `batch` images at a time. Throws std::runtime_error as load_weights does.
  static FeatureNetwork inception(const std::string& weights, int batch,
                                  ImageLogits logits = ImageLogits::none);
  /// Weights that vrfm_image_metrics train-classifier wrote. Throws std::runtime_error.
  static FeatureNetwork classifier(const std::string& weights, int batch,
                                   ImageLogits logits = ImageLogits::none);

  /// Adds the answers for some images. Throws std::invalid_argument, which names them `name`, if they do not fit.
  void operator()(const vrfm::Images& images, const std::string& name, ImageAnswers& all) const {
    answer_(images, name, all);
  }

  /// "the Inception network"
  const std::string& title() const { return title_; }

 private:
  using Answer = std::function<void(const vrfm::Images&, const std::string&, ImageAnswers&)>;

  FeatureNetwork(std::string title, Answer answer)
      : title_(std::move(title)), answer_(std::move(answer)) {}

  std::string title_;
  Answer answer_;
};

}  // namespace common
