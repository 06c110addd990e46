// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// shuffled: a random permutation of {0, ..., count - 1} for each epoch, evaluated at one position
// without a table. A Feistel network whose round function is Philox permutes the numbers of 2 h
// bits, 4^h >= count. A value outside the range is permuted again until it falls inside, after 4^h
// / count times on average, which is below 4 except for sets of fewer than 16 (cycle walking:
// Black, Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
#pragma once

#include <cstdint>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/random.hpp>

namespace vrfm {

namespace detail {

// For large blocks four rounds pass for a random permutation (Luby, Rackoff, 1988); small ones need
// more. Below 64 numbers more rounds do not help: all permutations that a network reaches are even,
// which shows in the orders of a set that is a part of 16.
inline constexpr std::uint32_t shuffle_rounds = 8;
inline constexpr int shuffle_least_bits = 3;

}  // namespace detail

/// The element at `position` < `count` in the order of `epoch`. Uses the stream's blocks 0 ... 7 of
/// sample `epoch`.
KOKKOS_INLINE_FUNCTION std::uint32_t shuffled(std::uint32_t position, std::uint32_t count,
                                              std::uint64_t epoch, const RandomStream& stream) {
  int bits = detail::shuffle_least_bits;
  while (bits < 16 && (std::uint32_t{1} << 2 * bits) < count) ++bits;
  const std::uint32_t mask = (std::uint32_t{1} << bits) - 1;
  std::uint32_t value = position;
  do {
    std::uint32_t left = value >> bits, right = value & mask;
    for (std::uint32_t round = 0; round < detail::shuffle_rounds; ++round) {
      const std::uint32_t mixed = left ^ (stream.words(epoch, right, round).word[0] & mask);
      left = right;
      right = mixed;
    }
    value = left << bits | right;
  } while (value >= count);
  return value;
}

}  // namespace vrfm
