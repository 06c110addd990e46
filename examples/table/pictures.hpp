// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fields as pictures: a colour for each number, dark to bright, of one channel at a time; of three axes the middle plane
// of the first.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <vrfm/io/image_grid.hpp>

#include <examples/table/dataset.hpp>

namespace table {

/// What is the darkest and the brightest colour.
struct ColourRange {
  double low = 0, high = 1;
};

/// All but the outermost 0.5 % of the numbers of a channel of `rows`.
inline ColourRange colour_range(const FieldShape& shape, const std::vector<double>& rows,
                                std::size_t channel) {
  std::vector<double> values;
  for (std::size_t i = channel; i < rows.size(); i += static_cast<std::size_t>(shape.channels)) {
    if (std::isfinite(rows[i])) values.push_back(rows[i]);
  }
  if (values.empty()) return {};
  const auto at = [&](double part) {
    const auto k = static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), values.begin() + k, values.end());
    return values[static_cast<std::size_t>(k)];
  };
  const ColourRange range{at(0.005), at(0.995)};
  return range.low < range.high ? range : ColourRange{range.low - 1, range.low + 1};
}

/// Viridis (van der Walt and Smith 2015) at eight places and between them, as red, green and blue.
inline void append_colour(double part, std::vector<std::uint8_t>& pixels) {
  static constexpr int places[8][3] = {{68, 1, 84},    {70, 50, 127},  {54, 92, 141},
                                       {39, 127, 142}, {31, 161, 135}, {74, 194, 109},
                                       {159, 218, 58}, {253, 231, 37}};
  const double at = 7 * std::clamp(std::isfinite(part) ? part : 0.0, 0.0, 1.0);
  const int k = std::min(6, static_cast<int>(at));
  for (int c = 0; c < 3; ++c) {
    const double colour = places[k][c] + (at - k) * (places[k + 1][c] - places[k][c]);
    pixels.push_back(static_cast<std::uint8_t>(std::lround(colour)));
  }
}

/// The first `count` of `rows` [fields][points][channels] side by side, `columns` of them in a line; 0: a square.
inline vrfm::GridImage field_grid(const FieldShape& shape, std::span<const double> rows,
                                  std::size_t channel, const ColourRange& range, std::size_t count,
                                  std::size_t columns = 0) {
  const Extents& grid = shape.grid;
  const auto channels = static_cast<std::size_t>(shape.channels),
             points = static_cast<std::size_t>(shape.points()),
             width = static_cast<std::size_t>(grid.back()),
             height = grid.size() > 1 ? static_cast<std::size_t>(grid[grid.size() - 2]) : 1,
             middle = grid.size() > 2 ? static_cast<std::size_t>(grid[0] / 2) : 0;
  count = std::min(count, rows.size() / (points * channels));
  std::vector<std::uint8_t> pixels;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t p = 0; p < width * height; ++p) {
      const std::size_t at = (i * points + middle * width * height + p) * channels + channel;
      append_colour((rows[at] - range.low) / (range.high - range.low), pixels);
    }
  }
  const std::vector<std::size_t> extents{count, height, width, 3};
  const std::size_t scale = std::clamp<std::size_t>(96 / width, 1, 16);
  return vrfm::image_grid(extents, pixels, {.columns = columns, .scale = scale});
}

/// The first 64 of `rows`, channels below one another. Throws as vrfm::write_png.
inline void write_pictures(const std::filesystem::path& path, const RowShape& shape,
                           const std::vector<double>& rows) {
  vrfm::GridImage all;
  for (std::size_t c = 0; c < shape.columns.size(); ++c) {
    const auto part = field_grid(shape.x1, rows, c, colour_range(shape.x1, rows, c), 64);
    all.width = part.width;
    all.height += part.height;
    all.pixels.insert(all.pixels.end(), part.pixels.begin(), part.pixels.end());
  }
  vrfm::write_png(path, all.width, all.height, 3, all.pixels);
}

}  // namespace table
