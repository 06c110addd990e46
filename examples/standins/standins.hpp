// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Small sets of images in the file formats of MNIST and CIFAR-10, for whoever does not have these:
// written digits and coloured shapes; and the shapes as labelled images in .npz files and as latents. Each image
// depends on (seed, set, split, number) alone.
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
#include <vrfm/io/latents.hpp>
#include <vrfm/io/mnist.hpp>
#include <vrfm/io/npz.hpp>
#include <vrfm/models/autoencoder/autoencoder.hpp>
#include <vrfm/training/weights.hpp>

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

/// Writes train.npz and test.npz, each with arr_0 [n, 32, 32, 3] and labels [n]; autoencoder.safetensors, small and
/// untrained, to try commands that take one; and preview.png. Throws as above.
inline void write_labelled(const std::filesystem::path& folder, std::size_t train, std::size_t test,
                           std::uint32_t seed) {
  std::filesystem::create_directories(folder);
  for (const auto split : {vrfm::Split::train, vrfm::Split::test}) {
    const bool training = split == vrfm::Split::train;
    const vrfm::Images images = make_images(Set::shapes, split, training ? train : test, seed);
    vrfm::write_npz(
        folder / (training ? "train.npz" : "test.npz"),
        std::vector{
            vrfm::make_tensor("arr_0", {images.count, images.height, images.width, images.channels},
                              images.pixels),
            vrfm::make_tensor("labels", {images.count}, images.labels)});
    if (training) write_preview(folder / "preview.png", images);
  }
  using Exec = Kokkos::DefaultExecutionSpace;
  const vrfm::AutoencoderOptions small{
      .height = shape_side, .width = shape_side, .widths = {32, 32}, .blocks = 1};
  vrfm::save_weights(folder / "autoencoder.safetensors",
                     vrfm::Autoencoder<float, Exec>(Exec(), small, seed));
}

/// The latents [4, 16, 16] of a shape, in [-1, 1]: the mean colour of each 2 x 2 pixels, and in the fourth channel how
/// light the lower two are.
inline void latents_of(std::span<const std::uint8_t> pixels, std::span<float> latents) {
  constexpr int side = shape_side / 2;
  for (int p = 0; p < side * side; ++p) {
    double lower = 0;
    for (int c = 0; c < 3; ++c) {
      double sum = 0;
      for (int k = 0; k < 4; ++k) {
        const int row = p / side * 2 + k / 2, column = p % side * 2 + k % 2;
        const double value =
            pixels[static_cast<std::size_t>((row * shape_side + column) * 3 + c)] / 127.5 - 1;
        sum += value;
        if (k >= 2) lower += value;
      }
      latents[static_cast<std::size_t>(c * side * side + p)] = static_cast<float>(sum / 4);
    }
    latents[static_cast<std::size_t>(3 * side * side + p)] = static_cast<float>(lower / 6);
  }
}

/// Writes train/ and test/latents-00000.safetensors, the training's in files of at most 2,000, and preview.png of the
/// images that they are of. Throws as above.
inline void write_latents(const std::filesystem::path& folder, std::size_t train, std::size_t test,
                          std::uint32_t seed) {
  for (const auto split : {vrfm::Split::train, vrfm::Split::test}) {
    const bool training = split == vrfm::Split::train;
    const auto place = folder / (training ? "train" : "test");
    std::filesystem::create_directories(place);
    const vrfm::Images images = make_images(Set::shapes, split, training ? train : test, seed);
    constexpr std::size_t most = 2'000, side = shape_side / 2, each = 4 * side * side;
    for (std::size_t first = 0, file = 0; first < images.count; first += most, ++file) {
      const std::size_t count = std::min(most, images.count - first);
      std::vector<float> latents(count * each);
      std::vector<std::int64_t> labels(count);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t pixels = images.height * images.width * images.channels;
        latents_of(std::span(images.pixels).subspan((first + i) * pixels, pixels),
                   std::span(latents).subspan(i * each, each));
        labels[i] = images.labels[first + i];
      }
      vrfm::write_safetensors(
          place / vrfm::LatentFiles::name_of(file),
          std::vector{vrfm::make_tensor("latents", {count, 4, side, side}, latents),
                      vrfm::make_tensor("labels", {count}, labels)},
          {{vrfm::LatentFiles::scale_key, "1"}});
    }
    if (training) write_preview(folder / "preview.png", images);
  }
}

}  // namespace standins
