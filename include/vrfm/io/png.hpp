// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// 8-bit grey and RGB images as PNG, through libpng's simplified interface, which catches the
// library's long jumps before they could cross a C++ frame. They are encoded in memory, so that a
// document can embed them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <png.h>

#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/file.hpp>
#include <vrfm/io/images.hpp>
#include <vrfm/io/input.hpp>

namespace vrfm {

/// Throws std::invalid_argument unless a PNG can have this size: 1 (grey) or 3 (red, green, blue)
/// channels, extents in [1, 1,000,000] (libpng's own limit), fewer than 2^31 values.
inline void check_png(std::size_t width, std::size_t height, std::size_t channels) {
  constexpr std::size_t largest = 1'000'000;
  const std::string given = "found " + std::to_string(width) + " x " + std::to_string(height) +
                            " x " + std::to_string(channels);
  if (channels != 1 && channels != 3)
    throw std::invalid_argument("png: expected 1 or 3 channels, " + given);
  if (width < 1 || width > largest || height < 1 || height > largest)
    throw std::invalid_argument("png: expected width and height in [1, 1000000], " + given);
  // libpng counts an image's bytes in 32 bits.
  if (width * height * channels > 0x7fff'ffff)
    throw std::invalid_argument("png: expected fewer than 2^31 values, " + given);
}

/// The bytes of a PNG file. `pixels` holds height x width x channels sRGB values, top row first,
/// left pixel first. Throws std::invalid_argument for a size that check_png refuses or a wrong
/// number of pixels.
inline std::vector<std::byte> encode_png(std::size_t width, std::size_t height,
                                         std::size_t channels,
                                         std::span<const std::uint8_t> pixels) {
  check_png(width, height, channels);
  const std::size_t count = width * height * channels;
  if (pixels.size() != count)
    throw std::invalid_argument(
        "png: expected " + std::to_string(count) + " values for width x height x channels, found " +
        std::to_string(width) + " x " + std::to_string(height) + " x " + std::to_string(channels) +
        " and " + std::to_string(pixels.size()) + " values");

  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<std::byte> bytes(size);
  if (!png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), 0, nullptr))
    throw std::runtime_error(std::string("png: expected libpng to encode the image: ") +
                             image.message);
  bytes.resize(size);
  return bytes;
}

/// Writes encode_png's bytes atomically (see AtomicFile). Throws as encode_png and AtomicFile do.
inline void write_png(const std::filesystem::path& path, std::size_t width, std::size_t height,
                      std::size_t channels, std::span<const std::uint8_t> pixels) {
  const std::vector<std::byte> bytes = encode_png(width, height, channels, pixels);
  write_file_atomically(path, [&bytes](AtomicFile& file) { file.write(bytes); });
}

/// Reads a PNG of any kind as 8-bit red, green and blue; what is transparent lies before black. Throws
/// std::runtime_error with the path, what was expected and what was found.
inline RgbImage read_png(const std::filesystem::path& path) {
  InputFile file(path);
  detail::io::refuse_placeholder(file, "a PNG");
  std::vector<std::byte> bytes(file.size());
  file.read(bytes);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  const auto refuse = [&] {
    const std::string what = image.message;
    png_image_free(&image);
    detail::io::fail(path.string(), "expected a PNG, but libpng says: " + what);
  };
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) refuse();
  image.format = PNG_FORMAT_RGB;
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // as 8 bits, unless the file says otherwise
  RgbImage result{image.width, image.height, {}};
  try {
    check_png(result.width, result.height, 3);
    result.pixels.resize(result.width * result.height * 3);
  } catch (const std::exception& error) {
    png_image_free(&image);
    detail::io::fail(path.string(), error.what());
  }
  const png_color black{0, 0, 0};
  if (!png_image_finish_read(&image, &black, result.pixels.data(), 0, nullptr)) refuse();
  return result;
}

}  // namespace vrfm
