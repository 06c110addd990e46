// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What scripts of tests/golden and tests have in common: numbers that both compute, so that no file need hold them,
// and the files that hold the rest.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <zlib.h>

#include <vrfm/io/safetensors.hpp>

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

/// What a parameter's `golden_numbers` are multiplied by: `weight` of make_sit.py, which keeps activations near 1.
inline double golden_scale(const std::vector<std::size_t>& shape) {
  double fan = 1;
  for (std::size_t k = 1; k < shape.size(); ++k) fan *= static_cast<double>(shape[k]);
  return shape.size() == 1 ? 0.5 : std::exp2(-std::nearbyint(std::log2(fan) / 2));
}

/// A file of tests/golden.
inline SafetensorsFile golden_file(const std::string& name) {
  return SafetensorsFile::read(std::filesystem::path(__FILE__).parent_path().parent_path() /
                               "golden" / name);
}

inline std::vector<std::string> sorted(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

/// The lines of one of such a file's texts, sorted.
inline std::vector<std::string> golden_lines(const SafetensorsFile& file, const std::string& key) {
  std::istringstream text(file.metadata().at(key));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return sorted(lines);
}

}  // namespace vrfm::test
