// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Many small images as one: in rows, with a border around each image; each pixel becomes a square.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <vrfm/io/png.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm {

/// How images are laid out.
struct GridStyle {
  std::size_t columns = 0;           ///< images a row; 0: as many columns as rows, or one more
  std::size_t scale = 1;             ///< a pixel becomes a square of scale x scale
  std::size_t border = 2;            ///< pixels around each image
  std::uint8_t border_value = 0xff;  ///< of every channel there, and where images are missing
};

/// One image, as write_png takes it.
struct GridImage {
  std::size_t width = 0, height = 0, channels = 0;
  std::vector<std::uint8_t> pixels;  ///< [height][width][channels]
};

/// Lays out `pixels` of `shape` [images][height][width][channels], row by row from the top left.
/// Throws std::invalid_argument if there is no image, for another number of pixels, a scale of 0,
/// or a grid that no PNG can hold (see encode_png).
inline GridImage image_grid(std::span<const std::size_t> shape,
                            std::span<const std::uint8_t> pixels, const GridStyle& style = {}) {
  using detail::io::format_shape;
  // A side of 2^20 is more than a PNG can have, and small enough that no product below overflows.
  constexpr std::size_t largest = std::size_t{1} << 20;
  const auto possible = [](std::size_t extent) { return extent >= 1 && extent <= largest; };
  if (shape.size() != 4 || !std::all_of(shape.begin(), shape.end(), possible))
    throw std::invalid_argument(
        "image grid: expected images of shape [count, height, width, channels] with extents in [1, "
        "2^20], found " +
        format_shape(shape));
  const auto bytes = detail::io::byte_count(shape, 1);
  if (bytes != pixels.size())
    throw std::invalid_argument("image grid: expected as many pixels as in " + format_shape(shape) +
                                ", found " + std::to_string(pixels.size()));
  if (!possible(style.scale) || style.columns > largest || style.border > largest)
    throw std::invalid_argument(
        "image grid: expected a scale in [1, 2^20], columns and border of at most that, found " +
        std::to_string(style.scale) + ", " + std::to_string(style.columns) + " and " +
        std::to_string(style.border));

  const std::size_t count = shape[0], height = shape[1], width = shape[2], channels = shape[3];
  std::size_t columns = style.columns;
  while (style.columns == 0 && columns * columns < count) ++columns;
  const std::size_t rows = (count + columns - 1) / columns;
  const std::size_t scale = style.scale, border = style.border;
  const std::size_t step_x = width * scale + border, step_y = height * scale + border;

  GridImage grid{columns * step_x + border, rows * step_y + border, channels, {}};
  check_png(grid.width, grid.height, channels);
  grid.pixels.assign(grid.width * grid.height * channels, style.border_value);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* image = pixels.data() + i * height * width * channels;
    const std::size_t left = border + i % columns * step_x, top = border + i / columns * step_y;
    for (std::size_t y = 0; y < height * scale; ++y) {
      const std::uint8_t* from = image + y / scale * width * channels;
      std::uint8_t* to = grid.pixels.data() + ((top + y) * grid.width + left) * channels;
      for (std::size_t x = 0; x < width * scale; ++x)
        to = std::copy_n(from + x / scale * channels, channels, to);
    }
  }
  return grid;
}

/// Writes image_grid as a PNG file, atomically. Throws as image_grid and write_png do.
inline void write_image_grid(const std::filesystem::path& path, std::span<const std::size_t> shape,
                             std::span<const std::uint8_t> pixels, const GridStyle& style = {}) {
  const GridImage grid = image_grid(shape, pixels, style);
  write_png(path, grid.width, grid.height, grid.channels, grid.pixels);
}

}  // namespace vrfm
