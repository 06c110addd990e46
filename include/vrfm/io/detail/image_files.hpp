// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the readers of published image sets check in the same way.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include <unistd.h>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/images.hpp>

namespace vrfm::detail::io {

/// Where users get a data set.
struct ImageFilesOrigin {
  std::string_view set, files;
};

/// Throws std::runtime_error with the origin unless `path` can be read.
inline void expect_image_file(const std::filesystem::path& path, const ImageFilesOrigin& origin) {
  if (::access(path.c_str(), R_OK) == 0) return;
  const int error = errno;
  fail_errno(path.string(),
             "expected a readable file of " + std::string(origin.set) + ", which is the files " +
                 std::string(origin.files),
             error);
}

/// Kernels count images, and the pixels times channels of one image, by int.
inline void expect_images(const Images& images, const std::string& name) {
  constexpr std::size_t largest = 0x7fff'ffff;
  const std::size_t values = images.height * images.width;
  if (images.count == 0 || values == 0 || images.count > largest ||
      values > largest / images.channels)
    fail(name, "expected at least one image and one pixel, and fewer than 2^31, found " +
                   std::to_string(images.count) + " images of " + std::to_string(images.height) +
                   " x " + std::to_string(images.width) + " pixels");
}

inline void expect_labels(std::span<const std::uint8_t> labels, int classes,
                          const std::string& name) {
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= classes)
      fail(name, "expected labels below " + std::to_string(classes) + ", found " +
                     std::to_string(labels[i]) + " for image " + std::to_string(i));
}

}  // namespace vrfm::detail::io
