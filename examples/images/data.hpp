// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a set's flow is trained on, images or latents of images, and how the numbers that it makes become pictures.
// A set (mnist.hpp, cifar10.hpp, imagenet.hpp) is derived from one of these.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/image_draws.hpp>
#include <vrfm/data/latent_draws.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/data/pixels.hpp>

#include <examples/common/fingerprint.hpp>
#include <examples/images/settings.hpp>

namespace images {

using Exec = Kokkos::DefaultExecutionSpace;
using Numbers = vrfm::Table<float, Exec>;

/// How rows of numbers become pictures of pixels.
struct Developer {
  std::vector<int> shape;  ///< height, width and channels of a picture
  int channels;            ///< of each pixel of the numbers
  std::size_t scale;       ///< pixels of a picture's pixel, where it is shown
  std::function<std::vector<std::uint8_t>(const Numbers&)> pixels;
};

/// The first `shown` channels of numbers in [-1, 1] of this height, width and channels.
inline Developer first_channels(const std::vector<int>& shape, int shown, std::size_t scale) {
  const auto develop = [channels = static_cast<std::size_t>(shape[2]),
                        shown = static_cast<std::size_t>(shown)](const Numbers& numbers) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), numbers);
    std::vector<std::uint8_t> pixels;
    pixels.reserve(host.size() / channels * shown);
    for (std::size_t i = 0; i < host.extent(0); ++i) {
      for (std::size_t d = 0; d < host.extent(1); d += channels) {
        for (std::size_t c = 0; c < shown; ++c) pixels.push_back(vrfm::to_pixel(host(i, d + c)));
      }
    }
    return pixels;
  };
  return {{shape[0], shape[1], shown}, shape[2], scale, develop};
}

/// Sets of images in memory, without labels.
struct PixelData {
  using Data = vrfm::Images;
  static constexpr bool has_classes = false;
  static constexpr bool few_steps =
      true;  ///< there are trainings for few evaluations, and by optimal transport

  static std::size_t count(const Data& images) { return images.count; }
  static std::vector<int> shape_of(const Data& images) {
    return {static_cast<int>(images.height), static_cast<int>(images.width),
            static_cast<int>(images.channels)};
  }
  static std::string fingerprint(const Data& images) {
    Fingerprint print;
    print.add(images.pixels.data(), images.pixels.size());
    return print.text(images.count);
  }

  /// Pairs of noise and images, `batch` a step.
  template <class Settings>
  static auto pairs(const Exec& exec, const Data& images, const Settings& /*settings*/, int batch,
                    bool mirror) {
    const vrfm::ImageDraws<Exec> target(vrfm::ImageSet<Exec>(exec, images), batch, mirror);
    return vrfm::independent(vrfm::standard_normal<float>(exec, target.dimension()), target);
  }

  static Developer developer(const std::vector<int>& shape) {
    return first_channels(shape, shape[2], 2);
  }
};

/// Sets of latents in files, with labels.
struct LatentData {
  using Data = vrfm::LatentFiles;
  static constexpr bool has_classes = true;
  static constexpr bool few_steps = false;

  static std::size_t count(const Data& latents) { return latents.count(); }
  static std::vector<int> shape_of(const Data& latents) {
    return {static_cast<int>(latents.height()), static_cast<int>(latents.width()),
            static_cast<int>(latents.channels())};
  }
  /// Of the labels, of what each file says of itself, and of the first, a middle and the last latent of its tensors: of
  /// all a hash would read terabytes.
  static std::string fingerprint(const Data& latents) {
    Fingerprint print;
    for (const auto& shard : latents.shards()) {
      const std::size_t each = latents.dimension();
      for (const auto& tensor :
           {shard.latents, shard.latents_flip, shard.deviations, shard.deviations_flip}) {
        if (tensor.empty()) continue;
        for (const std::size_t row : {std::size_t{0}, shard.count / 2, shard.count - 1}) {
          print.add(tensor.data() + row * each, each * sizeof(float));
        }
      }
      for (const auto& [name, value] : shard.metadata) {
        print.add(name.data(), name.size());
        print.add(value.data(), value.size());
      }
      print.add(shard.labels.data(), shard.labels.size() * sizeof(std::int32_t));
    }
    return print.text(latents.count());
  }

  /// Throws std::runtime_error for latents that are far from 1 in size, which networks and noise are made for.
  template <class Settings>
  static auto pairs(const Exec& exec, const Data& latents, const Settings& settings, int batch,
                    bool mirror) {
    const double size = settings.latent_factor * latents.size();
    vrfm::expect(
        std::isfinite(size) && size > 0, latents.name(),
        ": expected finite latents that are not all 0, found their root mean square to be ", size);
    if (!(size > 0.2 && size < 5)) {
      throw std::runtime_error(
          latents.name() + ": expected latents whose numbers are near 1, found them near " +
          to_text(latents.size()) +
          "; train --latent-factor, and of weights without settings "
          "evaluate --latent-factor, here " +
          to_text(settings.latent_factor) +
          ", multiplies them (0.18215 for those of Stable Diffusion's autoencoder as they come)");
    }
    const vrfm::LatentDraws<Exec> target(exec, latents,
                                         {.batch = batch,
                                          .mirror = mirror,
                                          .classes = settings.classes,
                                          .factor = settings.latent_factor});
    return vrfm::independent(vrfm::standard_normal<float>(exec, target.dimension()), target);
  }

  /// The first three channels as red, green and blue, each latent pixel one pixel.
  static Developer developer(const std::vector<int>& shape) {
    return first_channels(shape, shape[2] < 3 ? 1 : 3, 4);
  }
};

}  // namespace images
