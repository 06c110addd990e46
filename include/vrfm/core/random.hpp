// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC11). A draw is a pure function of its address
//   key = (seed, purpose), counter = (sample, step, element block),
// so it is the same for any number of threads, ranks and any split of the batch, and there is no
// generator state to save.
#pragma once

#include <cstdint>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/concepts.hpp>

namespace vrfm {

/// What a draw is for: the second half of the key, so that different uses never share bits.
enum class Purpose : std::uint32_t {
  initialise = 1,
  source = 2,
  target = 3,
  time = 4,
  posterior = 5,
  prior = 6,
  diffusion = 7,
  probe = 8,
  projection = 9,
  user = 1u << 16  ///< first value free for callers: `Purpose(unsigned(Purpose::user) + k)`
};

/// Four 32-bit words.
struct PhiloxBlock {
  std::uint32_t word[4];
};

/// The Philox4x32-10 bijection of `counter` under the key (key0, key1).
KOKKOS_INLINE_FUNCTION PhiloxBlock philox4x32_10(PhiloxBlock counter, std::uint32_t key0,
                                                 std::uint32_t key1) {
  constexpr std::uint64_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;
  constexpr std::uint32_t weyl0 = 0x9E3779B9u, weyl1 = 0xBB67AE85u;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = multiplier0 * counter.word[0];
    const std::uint64_t product1 = multiplier1 * counter.word[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1,
                static_cast<std::uint32_t>(product0)}};
    key0 += weyl0;
    key1 += weyl1;
  }
  return counter;
}

/// The draws of one (seed, purpose). Every method takes the address of its numbers.
class RandomStream {
 public:
  KOKKOS_INLINE_FUNCTION RandomStream(std::uint32_t seed, Purpose purpose)
      : seed_(seed), purpose_(static_cast<std::uint32_t>(purpose)) {}

  /// The raw words at (sample, step, block).
  KOKKOS_INLINE_FUNCTION PhiloxBlock words(std::uint64_t sample, std::uint32_t step,
                                           std::uint32_t block) const {
    return philox4x32_10({{static_cast<std::uint32_t>(sample),
                           static_cast<std::uint32_t>(sample >> 32), step, block}},
                         seed_, purpose_);
  }

  /// Uniform in the open interval (0, 1): 23 bits for float, 52 for double.
  template <Real T>
  KOKKOS_INLINE_FUNCTION T uniform(std::uint64_t sample, std::uint32_t step,
                                   std::uint32_t element) const {
    const auto block = words(sample, step, element / per_block<T>);
    return to_unit<T>(block, element % per_block<T>);
  }

  /// Writes `count` standard normal numbers, elements element ... element + count - 1, to `out`
  /// (Box-Muller). `element` must be even.
  template <Real T>
  KOKKOS_INLINE_FUNCTION void normal(std::uint64_t sample, std::uint32_t step,
                                     std::uint32_t element, int count, T* out) const {
    constexpr T two_pi = T(6.283185307179586476925286766559);
    for (int first = 0; first < count; first += 2, element += 2) {
      const auto block = words(sample, step, element / per_block<T>);
      const T radius = math::sqrt(T(-2) * math::log(to_unit<T>(block, element % per_block<T>)));
      const T angle = two_pi * to_unit<T>(block, element % per_block<T> + 1);
      out[first] = radius * math::cos(angle);
      if (first + 1 < count) out[first + 1] = radius * math::sin(angle);
    }
  }

  /// Index drawn from {0, ..., count-1} with equal weights.
  KOKKOS_INLINE_FUNCTION int index(std::uint64_t sample, std::uint32_t step, std::uint32_t element,
                                   int count) const {
    const std::uint64_t word = words(sample, step, element / 4).word[element % 4];
    return static_cast<int>((word * static_cast<std::uint64_t>(count)) >> 32);
  }

 private:
  template <Real T>
  static constexpr std::uint32_t per_block = sizeof(T) == 4 ? 4 : 2;

  template <Real T>
  KOKKOS_INLINE_FUNCTION static T to_unit(const PhiloxBlock& block, std::uint32_t lane) {
    if constexpr (sizeof(T) == 4) {
      // 23 bits and a half step: the largest value, 1 - 2^-24, is still below one.
      return (static_cast<T>(block.word[lane] >> 9) + T(0.5)) * T(1.0 / 8388608.0);
    } else {
      const std::uint64_t bits =
          (static_cast<std::uint64_t>(block.word[2 * lane]) << 32) | block.word[2 * lane + 1];
      return (static_cast<T>(bits >> 12) + T(0.5)) * T(1.0 / 4503599627370496.0);
    }
  }

  std::uint32_t seed_;
  std::uint32_t purpose_;
};

}  // namespace vrfm
