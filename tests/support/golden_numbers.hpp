// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers that scripts of tests/golden and tests compute alike, so that no file need hold them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <zlib.h>

namespace vrfm::test {

/// `numbers` of make_unet.py and make_sit.py.
inline std::vector<double> golden_numbers(const std::string& name, std::size_t count) {
  const auto start = static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(name.data()), static_cast<uInt>(name.size())));
  std::vector<double> values(count);
  for (std::size_t k = 0; k < count; ++k) {
    const auto word = static_cast<std::uint32_t>(k * 2654435761u) + start;
    values[k] = static_cast<double>(word >> 8) / 8388608.0 - 1;
  }
  return values;
}

}  // namespace vrfm::test
