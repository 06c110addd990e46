// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pictures of pixels: a PNG file beside the report, and the same inside its page.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include <vrfm/io/image_grid.hpp>
#include <vrfm/io/png.hpp>

#include <examples/common/markup.hpp>

namespace common {

namespace detail {

inline std::string base64(std::span<const std::byte> bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned long group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group =
          group << 8 | (i + k < bytes.size() ? std::to_integer<unsigned long>(bytes[i + k]) : 0);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += i + k > bytes.size() ? '=' : digits[group >> (18 - 6 * k) & 63];
    }
  }
  return text;
}

}  // namespace detail

/// A picture as it is written beside the report and shown in it.
struct Shown {
  std::string name, title, caption;
  vrfm::GridImage image;
};

/// Writes folder/NAME.png, and returns the figure's HTML with the picture inside.
inline std::string show(const std::filesystem::path& folder, const Shown& shown) {
  const auto& image = shown.image;
  vrfm::write_png(folder / (shown.name + ".png"), image.width, image.height, image.channels,
                  image.pixels);
  return "<figure><h3>" + escape(shown.title, Markup::html) +
         "</h3>\n<div class=\"picture\"><img alt=\"" + escape(shown.title, Markup::html) +
         "\" src=\"data:image/png;base64," +
         detail::base64(vrfm::encode_png(image.width, image.height, image.channels, image.pixels)) +
         "\"></div>\n<figcaption>" + shown.caption + "</figcaption></figure>\n";
}

}  // namespace common
