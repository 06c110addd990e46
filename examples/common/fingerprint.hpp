// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fingerprint: a hash (FNV-1a) that tells data and files apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <vrfm/core/check.hpp>

namespace common {

/// Which data a run was made with: their number and a hash (FNV-1a) of their bytes.
class Fingerprint {
 public:
  void add(const void* bytes, std::size_t count) {
    const auto* begin = static_cast<const unsigned char*>(bytes);
    for (std::size_t i = 0; i < count; ++i) hash_ = (hash_ ^ begin[i]) * 0x100000001b3u;
  }
  std::string digits() const {
    char text[32];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash_));
    return text;
  }
  std::string text(std::size_t images) const {
    return std::to_string(images) + " images, " + digits();
  }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

/// The hash of a file's bytes.
/// Throws std::invalid_argument for one that cannot be read.
inline std::string file_print(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Fingerprint print;
  for (std::vector<char> some(1 << 20);
       file.read(some.data(), std::ssize(some)) || file.gcount() > 0;) {
    print.add(some.data(), static_cast<std::size_t>(file.gcount()));
  }
  vrfm::expect(file.eof(), path, ": cannot read: expected a readable file");
  return print.digits();
}

}  // namespace common
