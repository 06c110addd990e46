// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The square in the middle of a picture of any size, as guided-diffusion's center_crop_arr makes it (image_datasets.py;
// ADM, DiT and SiT train on that): while the shorter side is at least twice the size, both are halved by a box filter;
// then a bicubic one brings the shorter side to the size; then the middle is cut out.
// A filter is Pillow's resize: output pixel o, of s input pixels, is the sum over input pixels i of
// w((i + 1/2 - (o + 1/2) s) / f), f = max(s, 1), divided by the sum of these weights; along rows, then along columns,
// each rounded to 8 bits. w is 1 in (-1/2, 1/2] (box), or Keys' cubic with a = -1/2:
// (a + 2) |x|^3 - (a + 3) |x|^2 + 1 for |x| < 1, a |x|^3 - 5 a |x|^2 + 8 a |x| - 4 a for |x| < 2.
// Of pictures more than twice as high as wide columns are first, as in Pillow since version 13; the earlier order differs
// there, by some grey levels, because of the rounding and clipping between the two.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/io/images.hpp>

namespace vrfm {

namespace detail::io {

struct BoxFilter {
  static constexpr double reach = 0.5;
  static double weight(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }
};

struct BicubicFilter {
  static constexpr double reach = 2;
  static double weight(double x) {
    constexpr double a = -0.5;
    x = std::abs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
  }
};

/// What one output pixel along an axis is made of: input pixels from `first` on with these weights, times 2^22.
struct FilteredPixel {
  static constexpr int bits = 22;
  std::size_t first;
  std::vector<std::int32_t> weights;
};

/// For each of `to` pixels along an axis of `from` pixels.
template <class Filter>
std::vector<FilteredPixel> filtered_pixels(std::size_t from, std::size_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = (std::max)(scale, 1.0), reach = Filter::reach * stretch;
  std::vector<FilteredPixel> pixels(to);
  for (std::size_t o = 0; o < to; ++o) {
    const double center = (static_cast<double>(o) + 0.5) * scale;
    const auto begin = static_cast<std::size_t>((std::max)(center - reach + 0.5, 0.0));
    const auto end = (std::min)(static_cast<std::size_t>(center + reach + 0.5), from);
    std::vector<double> weights;
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) {
      weights.push_back(Filter::weight((static_cast<double>(i) - center + 0.5) * (1 / stretch)));
      sum += weights.back();
    }
    pixels[o].first = begin;
    for (const double weight : weights)
      pixels[o].weights.push_back(
          static_cast<std::int32_t>(std::round(weight / sum * (1 << FilteredPixel::bits))));
  }
  return pixels;
}

/// Overwrites `to`, whose extents are given, by `from` filtered along its rows or along its columns.
inline void filter_axis(const std::vector<FilteredPixel>& pixels, const RgbImage& from,
                        RgbImage& to, bool along_rows) {
  const std::size_t step = along_rows ? 3 : 3 * from.width;
  to.pixels.resize(3 * to.width * to.height);
  std::uint8_t* out = to.pixels.data();
  for (std::size_t y = 0; y < to.height; ++y) {
    for (std::size_t x = 0; x < to.width; ++x) {
      const FilteredPixel& pixel = pixels[along_rows ? x : y];
      const std::size_t column = along_rows ? pixel.first : x, row = along_rows ? y : pixel.first;
      for (std::size_t c = 0; c < 3; ++c) {
        const std::uint8_t* in = from.pixels.data() + 3 * (row * from.width + column) + c;
        std::int32_t sum = 1 << (FilteredPixel::bits - 1);
        for (const std::int32_t weight : pixel.weights) {
          sum += weight * *in;
          in += step;
        }
        *out++ = static_cast<std::uint8_t>(std::clamp(sum >> FilteredPixel::bits, 0, 255));
      }
    }
  }
}

template <class Filter>
RgbImage resized_along(RgbImage image, std::size_t extent, bool along_rows) {
  const std::size_t from = along_rows ? image.width : image.height;
  if (extent == from) return image;
  RgbImage result{along_rows ? extent : image.width, along_rows ? image.height : extent, {}};
  filter_axis(filtered_pixels<Filter>(from, extent), image, result, along_rows);
  return result;
}

/// Pillow 13 begins with the columns where more than twice as much is taken off the height as off the width.
template <class Filter>
RgbImage resized(RgbImage image, std::size_t width, std::size_t height) {
  const bool columns_first =
      height < image.height && image.height + 2 * width > height + 2 * image.width;
  for (const bool along_rows : {!columns_first, columns_first})
    image = resized_along<Filter>(std::move(image), along_rows ? width : height, along_rows);
  return image;
}

inline RgbImage halved(RgbImage image) {
  const std::size_t width = image.width / 2, height = image.height / 2;
  return resized<BoxFilter>(std::move(image), width, height);
}

}  // namespace detail::io

/// The middle of `image` as size x size pixels, which an image of this size is already. The pixels are Pillow's up to
/// one grey level. Throws std::invalid_argument for a size of 0, an image without pixels, or another number of pixels
/// than its extents say.
inline RgbImage center_crop(RgbImage image, std::size_t size) {
  using namespace detail::io;
  if (size == 0 || image.width == 0 || image.height == 0 ||
      image.pixels.size() / image.width / 3 != image.height ||
      image.pixels.size() % (3 * image.width) != 0)
    throw std::invalid_argument(
        "center crop: expected a size and an image of at least one pixel, with 3 values "
        "each, found the size " +
        std::to_string(size) + " and " + std::to_string(image.width) + " x " +
        std::to_string(image.height) + " pixels of " + std::to_string(image.pixels.size()) +
        " values");
  while ((std::min)(image.width, image.height) >= 2 * size) image = halved(std::move(image));
  const double scale =
      static_cast<double>(size) / static_cast<double>((std::min)(image.width, image.height));
  const auto scaled = [scale](std::size_t extent) {  // a half becomes even, as Python rounds
    return static_cast<std::size_t>(std::nearbyint(static_cast<double>(extent) * scale));
  };
  const std::size_t width = scaled(image.width), height = scaled(image.height);
  image = resized<BicubicFilter>(std::move(image), width, height);
  if (width == size && height == size) return image;
  RgbImage result{size, size, {}};
  result.pixels.reserve(3 * size * size);
  const std::size_t top = (height - size) / 2, left = (width - size) / 2;
  for (std::size_t y = top; y < top + size; ++y) {
    const auto row = image.pixels.begin() + static_cast<std::ptrdiff_t>(3 * (y * width + left));
    result.pixels.insert(result.pixels.end(), row, row + static_cast<std::ptrdiff_t>(3 * size));
  }
  return result;
}

}  // namespace vrfm
