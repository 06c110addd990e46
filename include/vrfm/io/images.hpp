// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Images: what the readers of image files hand over, in the host's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vrfm {

/// Which part of a published data set.
enum class Split { train, test };

/// Images of one size. Pixels are channels-last: [count][height][width][channels].
struct Images {
  std::size_t count = 0, height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;  ///< [count], or empty
};

/// One image of 8-bit red, green and blue: [height][width][3].
struct RgbImage {
  std::size_t width = 0, height = 0;
  std::vector<std::uint8_t> pixels;
};

}  // namespace vrfm
