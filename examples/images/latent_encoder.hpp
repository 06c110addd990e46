// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the command `latents` is told, and pixels to latents by an autoencoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <examples/images/autoencoder_file.hpp>

namespace images {

struct LatentsOptions {
  std::string images, autoencoder, features, output, split = "train", kind = "mean";
  bool flip = false, overwrite = false;
  int size = 0;  ///< of images, to which others are scaled and cropped; 0: as they come
  double features_scale = 0.18215;
  int batch = 4;
  int per_file = 1'000;
  std::uint32_t seed = 1;
};

/// Latents [n, channels, height, width] as they are made; what is not asked for stays empty.
struct LatentRows {
  std::vector<float> latents, flipped, deviations, flipped_deviations;
};

/// Latents of part of the images as tensors [n, channels, height, width].
class LatentEncoder {
 public:
  LatentEncoder(const Autoencoder& autoencoder, const LatentsOptions& options)
      : autoencoder_(autoencoder), options_(options) {}

  /// Of `pixels` [n, height, width, channels], the images number first, first + 1, ...; mirrored if `flip`.
  void encode(std::span<const std::uint8_t> pixels, std::size_t first, bool flip,
              std::vector<float>& latents, std::vector<float>& deviations) const {
    const auto each = static_cast<std::size_t>(autoencoder_.dimension());
    const auto& o = autoencoder_.options();
    const auto width = static_cast<std::size_t>(o.width),
               channels = static_cast<std::size_t>(o.channels);
    const std::size_t count = pixels.size() / each;
    const Numbers x("images::x", count, each);
    const auto host = Kokkos::create_mirror_view(x);
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t d = 0; d < each; ++d) {
        const std::size_t pixel = d / channels, column = pixel % width;
        const std::size_t from =
            flip ? (pixel - column + width - 1 - column) * channels + d % channels : d;
        host(i, d) = vrfm::from_pixel<float>(pixels[i * each + from]);
      }
    }
    Kokkos::deep_copy(x, host);
    const auto moments = autoencoder_.moments(x, options_.batch);
    const auto mean = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), moments.mean);
    const auto deviation =
        Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), moments.deviation);
    const vrfm::RandomStream stream(options_.seed, vrfm::Purpose::posterior);
    const std::size_t numbers = mean.extent(1),
                      z_channels = static_cast<std::size_t>(o.latent_channels),
                      z_pixels = numbers / z_channels;
    std::vector<float> noise(numbers);
    for (std::size_t i = 0; i < count; ++i) {
      if (options_.kind == "sample") {
        stream.normal(first + i, flip ? 1 : 0, 0, static_cast<int>(numbers), noise.data());
      }
      for (std::size_t c = 0; c < z_channels; ++c) {
        for (std::size_t p = 0; p < z_pixels; ++p) {
          const std::size_t d = p * z_channels + c;
          latents.push_back(mean(i, d) +
                            (options_.kind == "sample" ? noise[d] * deviation(i, d) : 0.0f));
          if (options_.kind == "moments") deviations.push_back(deviation(i, d));
        }
      }
    }
  }

 private:
  const Autoencoder& autoencoder_;
  const LatentsOptions& options_;
};

}  // namespace images
