// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reproducible test data. Every number is a multiple of 2^-20 below 1, so that float and double
// tests start from the very same values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace vrfm::test {

/// Uniform numbers in (-1, 1).
class Numbers {
 public:
  explicit Numbers(std::uint32_t seed) : engine_(seed) {}

  double next() {
    // The engine's output is fixed by the standard; that of the distributions is not.
    return static_cast<double>(static_cast<std::int32_t>(engine_()) >> 11) / 1048576.0;
  }

  std::vector<double> take(std::size_t count) {
    std::vector<double> values(count);
    for (double& value : values) value = next();
    return values;
  }

 private:
  std::mt19937 engine_;
};

}  // namespace vrfm::test
