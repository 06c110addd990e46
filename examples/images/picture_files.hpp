// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pictures in PNG and JPEG files, read one by one.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

#if defined(VRFM_HAS_JPEG)
#include <vrfm/io/jpeg.hpp>
#endif
#include <vrfm/io/png.hpp>

namespace images {

/// Whether a file's name is that of a picture, also in capitals, as ImageNet's are.
inline bool is_picture(const std::filesystem::path& path) {
  std::string end = path.extension().string();
  for (char& c : end) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return end == ".png" || end == ".jpg" || end == ".jpeg";
}

/// A picture in a PNG or JPEG file. What it begins with decides, not its name: one of ImageNet's .JPEG is a PNG. Throws
/// std::runtime_error that names the file.
inline vrfm::RgbImage read_picture(const std::filesystem::path& path) {
  vrfm::InputFile file(path);
  if (!vrfm::detail::io::first_bytes(file).starts_with("\xff\xd8\xff")) return vrfm::read_png(path);
#if defined(VRFM_HAS_JPEG)
  return vrfm::read_jpeg(path);
#else
  throw std::runtime_error(path.string() +
                           ": expected a PNG, found a JPEG, which this program cannot read: it was "
                           "built without libjpeg, which CMake did not find (Debian: libjpeg-dev)");
#endif
}

}  // namespace images
