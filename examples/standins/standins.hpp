// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Small sets of images in the file formats of MNIST and CIFAR-10, for whoever does not have these:
// written digits and coloured shapes. Each image depends on (seed, set, split, number) alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <vrfm/io/cifar10.hpp>
#include <vrfm/io/image_grid.hpp>
#include <vrfm/io/mnist.hpp>

#include <examples/standins/draws.hpp>
#include <examples/standins/glyphs.hpp>
#include <examples/standins/shapes.hpp>

namespace standins {

enum class Set { digits, shapes };

/// `count` labelled images of a split.
inline vrfm::Images make_images(Set set, vrfm::Split split, std::size_t count, std::uint32_t seed) {
  const bool digits = set == Set::digits;
  const auto side = static_cast<std::size_t>(digits ? glyph_side : shape_side);
  const std::size_t channels = digits ? 1 : 3, each = side * side * channels;
  vrfm::Images images{count, side, side, channels, {}, {}};
  images.pixels.resize(count * each);
  images.labels.resize(count);
  const vrfm::RandomStream stream(
      seed, vrfm::Purpose(static_cast<std::uint32_t>(vrfm::Purpose::user) + (digits ? 1 : 2)));
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t test_split = split == vrfm::Split::test ? 1 : 0;
    Draws draws(stream, test_split << 32 | i);
    const int label = draws.index(10);
    const auto pixels = std::span(images.pixels).subspan(i * each, each);
    digits ? draw_glyph(label, draws, pixels) : draw_shape(label, draws, pixels);
    images.labels[i] = static_cast<std::uint8_t>(label);
  }
  return images;
}

/// A picture of the first `rows` images of each label, one column a label.
inline void write_preview(const std::filesystem::path& path, const vrfm::Images& images,
                          std::size_t rows = 8) {
  const std::size_t each = images.height * images.width * images.channels;
  const std::size_t shape[] = {10 * rows, images.height, images.width, images.channels};
  std::vector<std::uint8_t> pixels(10 * rows * each, 128);
  std::size_t shown[10] = {};
  for (std::size_t i = 0; i < images.count; ++i) {
    const std::size_t label = images.labels[i], row = shown[label]++;
    if (row < rows) std::copy_n(&images.pixels[i * each], each, &pixels[(10 * row + label) * each]);
  }
  vrfm::write_image_grid(path, shape, pixels, {.columns = 10, .scale = 2, .border_value = 128});
}

/// Writes MNIST's four files and preview.png. Throws std::runtime_error if a file cannot be written.
inline void write_digits(const std::filesystem::path& folder, std::size_t train, std::size_t test,
                         std::uint32_t seed, bool gzip) {
  std::filesystem::create_directories(folder);
  const std::string end = gzip ? ".gz" : "";
  for (const auto split : {vrfm::Split::train, vrfm::Split::test}) {
    const bool training = split == vrfm::Split::train;
    const vrfm::Images images = make_images(Set::digits, split, training ? train : test, seed);
    const std::string start = training ? "train" : "t10k";
    const std::size_t shape[] = {images.count, images.height, images.width};
    vrfm::write_idx(folder / (start + "-images-idx3-ubyte" + end), shape, images.pixels);
    vrfm::write_idx(folder / (start + "-labels-idx1-ubyte" + end), std::span(shape).first(1),
                    images.labels);
    if (training) write_preview(folder / "preview.png", images);
  }
}

/// Writes CIFAR-10's six binary files and preview.png; `train` is a multiple of 5. Throws
/// std::runtime_error if a file cannot be written.
inline void write_shapes(const std::filesystem::path& folder, std::size_t train, std::size_t test,
                         std::uint32_t seed) {
  std::filesystem::create_directories(folder);
  for (const auto split : {vrfm::Split::train, vrfm::Split::test}) {
    const bool training = split == vrfm::Split::train;
    const vrfm::Images images = make_images(Set::shapes, split, training ? train : test, seed);
    const std::vector<std::string> names = vrfm::cifar10_files(split);
    const std::size_t each = images.count / names.size();
    for (std::size_t k = 0; k < names.size(); ++k)
      vrfm::write_cifar10(folder / names[k], images, k * each, each);
    if (training) write_preview(folder / "preview.png", images);
  }
}

}  // namespace standins
