// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The random numbers of one case (a shower, a trajectory), one after the other, from the library's counter-based
// stream: case i has the same ones whatever is drawn for the others.
#pragma once

#include <cmath>
#include <cstdint>

#include <vrfm/core/random.hpp>

namespace science {

/// Who draws: each example, and each of its uses, has numbers of its own under one seed.
enum class Drawn : std::uint32_t {
  shower = 16,
  empty_cells,
  states,
  measurements,
  archive,
  members
};

class Draws {
 public:
  Draws(std::uint32_t seed, Drawn what, std::uint64_t number)
      : stream_(seed, vrfm::Purpose(static_cast<std::uint32_t>(vrfm::Purpose::user) +
                                    static_cast<std::uint32_t>(what))),
        number_(number) {}

  /// In (0, 1).
  double uniform() { return stream_.uniform<double>(number_, 0, next_++); }
  /// exp of a uniform number between the logarithms of the two.
  double log_uniform(double lowest, double highest) {
    return lowest * std::pow(highest / lowest, uniform());
  }
  double exponential(double mean) { return -mean * std::log(uniform()); }
  /// Box-Muller; half of the pair is enough.
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(6.283185307179586476925 * uniform());
  }
  /// Of density x^(shape - 1) exp(-x) / Gamma(shape), shape > 0 (Marsaglia and Tsang, "A simple method for generating
  /// gamma variables", 2000).
  double gamma(double shape) {
    if (shape < 1) return gamma(shape + 1) * std::pow(uniform(), 1 / shape);
    const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    for (;;) {
      const double x = normal(), root = 1 + c * x, v = root * root * root;
      if (root > 0 && std::log(uniform()) < x * x / 2 + d * (1 - v + std::log(v))) return d * v;
    }
  }

 private:
  vrfm::RandomStream stream_;
  std::uint64_t number_;
  std::uint32_t next_ = 0;
};

}  // namespace science
