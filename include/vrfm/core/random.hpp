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
#include <vrfm/core/fast_math.hpp>

namespace vrfm {

/// What a draw is for: the second half of the key, so that different purposes never share bits.
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
  dropout = 10,
  condition = 11,
  second_time = 12,
  equal_times = 13,
  subset = 14,
  coupling = 15,
  path_noise = 16,
  split = 17,
  tie = 18,
  user = 1u << 16  ///< first value free for callers: `Purpose(unsigned(Purpose::user) + k)`
};

/// Who draws. Each use has its own bits for every purpose: a program that trains, samples and then
/// evaluates under one seed draws nothing twice.
enum class Use : std::uint32_t { training = 0, held_out = 1, sampling = 2, likelihood = 3 };

/// The purpose of one use. Purposes, the library's and those of users, are below 2^24.
KOKKOS_INLINE_FUNCTION constexpr Purpose purpose_of(Use use, Purpose purpose) {
  return static_cast<Purpose>(static_cast<std::uint32_t>(purpose) +
                              (static_cast<std::uint32_t>(use) << 24));
}

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

namespace detail {

/// sqrt(-2 log u) times the cosine and sine of word / 2^32 turns, from the word's upper 23 bits and
/// half a step. The angle is reduced in integers, so its quarter turn r in [-1/2, 1/2] is exact.
/// Each sum is an fma, the last ones too: no compiler can contract them otherwise, nor with a
/// caller's operations.
KOKKOS_INLINE_FUNCTION void box_muller(float u, std::uint32_t word, float* pair) {
  const float radius = math::sqrt(-2.0f * fast::detail::log_of_normal(u));
  const std::uint32_t turns = (word >> 9 << 1) + 1;  // in 2^-24
  const std::uint32_t quadrant = (turns + (1u << 21)) >> 22;
  const float r =
      static_cast<float>(static_cast<std::int32_t>(turns - (quadrant << 22))) * (1.0f / 4194304.0f);
  // sin(pi r / 2) / r and cos(pi r / 2), to a relative 3e-8.
  const float s = r * r;
  float p = math::fma(s, -0.004685273f, 0.07971228f);
  p = math::fma(p, s, -0.64596665f);
  float q = math::fma(s, 0.00090376654f, -0.020860165f);
  q = math::fma(q, s, 0.25366923f);
  q = math::fma(q, s, -1.2337005f);
  const float along = radius * r;
  const float sine = math::fma(p * s, along, along * 1.57079632679489662f);
  const float cosine = math::fma(q * s, radius, radius);
  const bool swapped = (quadrant & 1u) != 0;
  const float a = swapped ? sine : cosine;
  const float b = swapped ? cosine : sine;
  pair[0] = ((quadrant + 1u) & 2u) != 0 ? -a : a;
  pair[1] = (quadrant & 2u) != 0 ? -b : b;
}

}  // namespace detail

/// The step of a draw: a number, or a counter in the kernels' memory, whose value counts when a
/// kernel runs, so that launches that were recorded once draw anew at each replay. Kernels read it;
/// code that launches them only passes it on.
class StepNumber {
 public:
  KOKKOS_INLINE_FUNCTION constexpr StepNumber(std::uint32_t number = 0) : number_(number) {}
  KOKKOS_INLINE_FUNCTION explicit StepNumber(const std::int64_t* counter) : counter_(counter) {}

  KOKKOS_INLINE_FUNCTION operator std::uint32_t() const {
    return counter_ == nullptr ? number_ : static_cast<std::uint32_t>(*counter_);
  }

 private:
  std::uint32_t number_ = 0;
  const std::int64_t* counter_ = nullptr;
};

/// The draws of one (seed, purpose). Every method takes an address.
class RandomStream {
 public:
  KOKKOS_INLINE_FUNCTION RandomStream(std::uint32_t seed, Purpose purpose)
      : seed_(seed), purpose_(static_cast<std::uint32_t>(purpose)) {}

  /// The raw words at (sample, step, block), block < 2^30: those of elements 4 block to 4 block + 3.
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
    const auto block = words(sample, step, block_of<T>(element));
    return to_unit<T>(block, element % per_block<T>);
  }

  /// Writes `count` standard normal numbers, elements element ... element + count - 1, to `out`
  /// (Box-Muller). `element` must be even. Floats have the same bits on every backend, however
  /// products and sums are contracted; doubles follow the backend's log, sine and cosine.
  template <Real T>
  KOKKOS_INLINE_FUNCTION void normal(std::uint64_t sample, std::uint32_t step,
                                     std::uint32_t element, int count, T* out) const {
    PhiloxBlock block{};
    for (int first = 0; first < count; first += 2, element += 2) {
      const std::uint32_t lane = element % per_block<T>;
      if (first == 0 || lane == 0) block = words(sample, step, block_of<T>(element));
      T pair[2];
      if constexpr (sizeof(T) == 4) {
        detail::box_muller(to_unit<T>(block, lane), block.word[lane + 1], pair);
      } else {
        const T radius = math::sqrt(T(-2) * math::log(to_unit<T>(block, lane)));
        const T angle = T(6.283185307179586476925286766559) * to_unit<T>(block, lane + 1);
        pair[0] = radius * math::cos(angle);
        pair[1] = radius * math::sin(angle);
      }
      out[first] = pair[0];
      if (first + 1 < count) out[first + 1] = pair[1];
    }
  }

  /// An index drawn from {0, ..., count - 1} with equal weights.
  KOKKOS_INLINE_FUNCTION int index(std::uint64_t sample, std::uint32_t step, std::uint32_t element,
                                   int count) const {
    const std::uint64_t word = words(sample, step, element / 4).word[element % 4];
    return static_cast<int>((word * static_cast<std::uint64_t>(count)) >> 32);
  }

 private:
  template <Real T>
  static constexpr std::uint32_t per_block = sizeof(T) == 4 ? 4 : 2;

  /// Floats and indices use a word an element, of the blocks below 2^30; doubles use two, of the
  /// blocks from 2^31 on: so no two elements of any types share a word.
  template <Real T>
  KOKKOS_INLINE_FUNCTION static std::uint32_t block_of(std::uint32_t element) {
    return element / per_block<T> + (sizeof(T) == 4 ? 0u : 0x8000'0000u);
  }

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

/// Where one sample's random numbers are.
struct SampleAddress {
  std::uint32_t seed = 0;
  std::uint32_t step = 0;
  std::uint64_t sample = 0;
  Use use = Use::training;

  KOKKOS_INLINE_FUNCTION RandomStream stream(Purpose purpose) const {
    return RandomStream(seed, purpose_of(use, purpose));
  }
};

/// Where the random numbers of a batch or tile are: those of row i are at (first_sample + i, step)
/// of the streams of this seed and use.
struct DrawAddress {
  std::uint32_t seed = 0;
  StepNumber step = {};
  std::uint64_t first_sample = 0;
  Use use = Use::training;

  KOKKOS_INLINE_FUNCTION RandomStream stream(Purpose purpose) const {
    return RandomStream(seed, purpose_of(use, purpose));
  }
  KOKKOS_INLINE_FUNCTION std::uint64_t sample(int row) const {
    return first_sample + static_cast<std::uint64_t>(row);
  }
  KOKKOS_INLINE_FUNCTION SampleAddress at(int row) const { return {seed, step, sample(row), use}; }
  /// The address of the rows from `row` on.
  KOKKOS_INLINE_FUNCTION DrawAddress from(int row) const { return {seed, step, sample(row), use}; }
};

}  // namespace vrfm
