// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The random numbers of one stand-in image, one after the other, from the library's stream.
#pragma once

#include <cstdint>

#include <vrfm/core/random.hpp>

namespace standins {

class Draws {
 public:
  Draws(const vrfm::RandomStream& stream, std::uint64_t image) : stream_(stream), image_(image) {}

  /// Uniform in (lowest, highest).
  double uniform(double lowest, double highest) {
    return lowest + (highest - lowest) * stream_.uniform<double>(image_, 0, next_++);
  }

  /// One of 0 ... count - 1.
  int index(int count) { return static_cast<int>(uniform(0, count)); }

 private:
  vrfm::RandomStream stream_;
  std::uint64_t image_;
  std::uint32_t next_ = 0;
};

/// A rotation by the angle whose half has tangent `half_tangent`: without library functions, whose
/// last bits differ between systems.
struct Rotation {
  double cosine, sine;
  explicit Rotation(double half_tangent)
      : cosine((1 - half_tangent * half_tangent) / (1 + half_tangent * half_tangent)),
        sine(2 * half_tangent / (1 + half_tangent * half_tangent)) {}
};

}  // namespace standins
