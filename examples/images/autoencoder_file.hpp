// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An autoencoder from a file of weights with the names of diffusers' AutoencoderKL, whose shapes tell what it is
// like; images to latents and latents to pictures with it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <vrfm/data/pixels.hpp>
#include <vrfm/io/safetensors.hpp>
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

/// Its latents are `scale` times the encoder's; without it the published scale. Throws std::runtime_error if the file
/// is none of an autoencoder.
inline std::shared_ptr<const Autoencoder> read_autoencoder(
    const std::string& path, int height, int width, bool of_latents,
    const std::optional<double>& scale = {}) {
  const auto file = vrfm::SafetensorsFile::read(path);
  auto options = autoencoder_options(file, height, width, of_latents);
  options.scale = scale.value_or(options.scale);
  auto result = std::make_shared<const Autoencoder>(Exec(), options);
  vrfm::load_weights(path, *result);
  return result;
}

/// Pictures of latents of height x width x channels. Throws std::runtime_error if the autoencoder's are others.
inline Developer decoding(const std::string& path, const std::vector<int>& shape, int batch,
                          const std::optional<double>& scale) {
  const auto autoencoder = read_autoencoder(path, shape[0], shape[1], true, scale);
  const auto& o = autoencoder->options();
  if (o.latent_channels != shape[2]) {
    throw std::runtime_error(path + ": expected an autoencoder of latents of " +
                             std::to_string(shape[2]) + " channels, found one of " +
                             std::to_string(o.latent_channels));
  }
  const Developer plain = PixelData::developer({o.height, o.width, o.channels});
  const auto decode = [autoencoder, plain, batch](const Numbers& z) {
    return plain.pixels(autoencoder->decode(z, batch));
  };
  return {plain.shape, shape[2], o.height >= 128 ? 1u : 2u, decode};
}

}  // namespace images
