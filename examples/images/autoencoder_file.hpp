// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An autoencoder from a file of weights with the names of diffusers' AutoencoderKL, whose shapes tell what it is
// like; images to latents and latents to pictures with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <vrfm/data/pixels.hpp>
#include <vrfm/io/safetensors.hpp>
#include <vrfm/linalg/flat.hpp>
#include <vrfm/models/autoencoder/autoencoder.hpp>
#include <vrfm/training/weights.hpp>

#include <examples/images/data.hpp>

namespace images {

using Autoencoder = vrfm::Autoencoder<float, Exec>;

/// What the tensors' shapes tell of an autoencoder of images of height x width pixels; height and width of latents if
/// `of_latents`. Throws std::runtime_error naming a tensor that is missing or of another shape.
inline vrfm::AutoencoderOptions autoencoder_options(const vrfm::SafetensorsFile& file, int height,
                                                    int width, bool of_latents) {
  vrfm::AutoencoderOptions options;
  const auto extent = [&](const std::string& name, std::size_t axis) {
    const auto& tensor = file.at(name);
    if (tensor.shape.size() != 4) {
      throw std::runtime_error(file.name() + ": tensor '" + name +
                               "': expected a convolution's weight of 4 extents, found " +
                               vrfm::detail::io::format_shape(tensor.shape));
    }
    return static_cast<int>(tensor.shape[axis]);
  };
  options.widths.clear();
  for (std::size_t level = 0;; ++level) {
    const std::string block = "encoder.down_blocks." + std::to_string(level) + ".resnets.";
    if (level > 0 && file.find(block + "0.conv1.weight") == nullptr) break;
    options.widths.push_back(extent(block + "0.conv1.weight", 0));
    options.blocks = 0;
    while (file.find(block + std::to_string(options.blocks) + ".conv1.weight") != nullptr) {
      ++options.blocks;
    }
  }
  options.channels = extent("encoder.conv_in.weight", 1);
  options.latent_channels = extent("post_quant_conv.weight", 0);
  const int factor = of_latents ? options.factor() : 1;
  options.height = factor * height;
  options.width = factor * width;
  return options;
}

/// Throws std::runtime_error if the file is none of an autoencoder.
inline std::shared_ptr<const Autoencoder> read_autoencoder(const std::string& path, int height,
                                                           int width, bool of_latents) {
  const auto file = vrfm::SafetensorsFile::read(path);
  auto result = std::make_shared<const Autoencoder>(
      Exec(), autoencoder_options(file, height, width, of_latents));
  vrfm::load_weights(path, *result);
  return result;
}

struct Rescaled {
  const float* from;
  float* to;
  float factor;
  KOKKOS_FUNCTION void operator()(std::int64_t i) const { to[i] = factor * from[i]; }
};

/// Pictures of latents of height x width x channels that are `scale` times the autoencoder's own; without it the
/// published scale. Throws std::runtime_error if the autoencoder's are others.
inline Developer decoding(const std::string& path, const std::vector<int>& shape, int batch,
                          const std::optional<double>& scale) {
  const auto autoencoder = read_autoencoder(path, shape[0], shape[1], true);
  const auto& o = autoencoder->options();
  if (o.latent_channels != shape[2]) {
    throw std::runtime_error(path + ": expected an autoencoder of latents of " +
                             std::to_string(shape[2]) + " channels, found one of " +
                             std::to_string(o.latent_channels));
  }
  const auto unscaled = static_cast<float>(o.scale / scale.value_or(o.scale));
  Developer plain = PixelData::developer({o.height, o.width, o.channels});
  plain.channels = shape[2];
  const auto decode = [autoencoder, plain, batch, unscaled](const Numbers& z) {
    const Numbers own("images::latents", z.extent(0), z.extent(1));
    vrfm::flat_map(Exec(), "images::unscaled", static_cast<std::int64_t>(z.size()),
                   Rescaled{z.data(), own.data(), unscaled});
    return plain.pixels(autoencoder->decode(own, batch));
  };
  return {plain.shape, plain.channels, o.height >= 128 ? 1u : 2u, decode};
}

}  // namespace images
