// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/common/features/network.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <vrfm/data/pixels.hpp>
#include <vrfm/models/inception/inception.hpp>

#include <examples/common/features/classifier_file.hpp>

namespace common {
namespace {

using Exec = Kokkos::DefaultExecutionSpace;

/// Rows of a table on the device, behind those of `all`.
template <class Table>
void append(const Table& table, std::vector<float>& all) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), table);
  all.insert(all.end(), host.data(), host.data() + host.size());
}

/// The bytes of a pixel of the images as one of the classifier's: of a grey one three times the same, of three that are
/// the same one.
void take_pixel(std::span<const std::uint8_t> from, std::span<float> to, const std::string& path) {
  vrfm::expect(
      to.size() >= from.size() || std::count(from.begin(), from.end(), from[0]) == std::ssize(from),
      path, ": expected grey images, as the classifier's are, found colours");
  for (std::size_t c = 0; c < to.size(); ++c) {
    to[c] = vrfm::from_pixel<float>(from[to.size() == from.size() ? c : 0]);
  }
}

}  // namespace

FeatureNetwork FeatureNetwork::inception(const std::string& weights, int batch,
                                         ImageLogits logits) {
  const vrfm::Inception<float, Exec> network{Exec()};
  vrfm::load_weights(weights, network);
  using Scores = vrfm::InceptionOptions::Scores;
  const vrfm::InceptionOptions options{.scores = logits == ImageLogits::none ? Scores::none
                                                 : logits == ImageLogits::without_bias
                                                     ? Scores::logits_without_bias
                                                     : Scores::logits,
                                       .batch = batch};
  return {"the Inception network",
          [network, options](const vrfm::Images& images, const std::string&, ImageAnswers& all) {
            using Bytes = vrfm::Table<const std::uint8_t, Kokkos::DefaultHostExecutionSpace>;
            const auto pixels = Kokkos::create_mirror_view_and_copy(
                typename Exec::memory_space(),
                Bytes(images.pixels.data(), images.count, images.pixels.size() / images.count));
            const auto out =
                network(vrfm::Table<const std::uint8_t, Exec>(pixels),
                        vrfm::narrow<int>(images.height, "the height of images"),
                        vrfm::narrow<int>(images.width, "the width of images"), options);
            append(out.features, all.features);
            append(out.scores, all.logits);
          }};
}

FeatureNetwork FeatureNetwork::classifier(const std::string& weights, int batch,
                                          ImageLogits logits) {
  const LoadedClassifier loaded = load_classifier(weights);
  return {"the classifier " + weights,
          [loaded, batch, logits](const vrfm::Images& images, const std::string& name,
                                  ImageAnswers& all) {
            const auto height = static_cast<std::size_t>(loaded.extents.height),
                       width = static_cast<std::size_t>(loaded.extents.width);
            vrfm::expect(images.height == height && images.width == width, name,
                         ": expected images of ", height, " x ", width,
                         " pixels, as those that the classifier was trained on, found ",
                         images.height, " x ", images.width);
            const auto channels = static_cast<std::size_t>(loaded.extents.channels);
            vrfm::expect(channels == images.channels || channels == 1 || images.channels == 1, name,
                         ": expected images of ", channels, " channels, found ", images.channels);
            const vrfm::Table<float, Exec> x("images", images.count, height * width * channels);
            const auto host = Kokkos::create_mirror_view(x);
            const std::span<const std::uint8_t> bytes(images.pixels);
            const std::span<float> numbers(host.data(), host.size());
            for (std::size_t k = 0; k < numbers.size() / channels; ++k) {
              take_pixel(bytes.subspan(k * images.channels, images.channels),
                         numbers.subspan(k * channels, channels), name);
            }
            Kokkos::deep_copy(x, host);
            const auto out = loaded.classifier(x, batch);
            append(out.features, all.features);
            if (logits != ImageLogits::none) append(out.logits, all.logits);
          }};
}

}  // namespace common
