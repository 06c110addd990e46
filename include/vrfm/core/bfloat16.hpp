// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// BFloat16: the upper half of a float (8 bits of exponent, 7 of mantissa), two bytes on every
// backend. Activations and weights may be stored in it; arithmetic on it, and sums, are float's.
#pragma once

#include <cstdint>
#include <type_traits>

#include <Kokkos_Core.hpp>

namespace vrfm {

struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;

  /// `x` rounded to nearest, ties to even; a NaN stays a NaN.
  KOKKOS_INLINE_FUNCTION constexpr explicit BFloat16(float x) {
    const auto word = __builtin_bit_cast(std::uint32_t, x);
    const std::uint32_t rounded = word + 0x7FFFu + ((word >> 16) & 1u);
    bits = static_cast<std::uint16_t>(x == x ? rounded >> 16 : (word >> 16) | 0x40u);
  }

  /// Stores `x` rounded likewise.
  KOKKOS_INLINE_FUNCTION constexpr BFloat16& operator=(float x) { return *this = BFloat16(x); }

  KOKKOS_INLINE_FUNCTION constexpr operator float() const {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
  }
};

static_assert(sizeof(BFloat16) == 2 && std::is_trivially_copyable_v<BFloat16>);

/// In what elements of type T are added up and worked on: float for BFloat16, T for others.
template <class T>
using sum_type = std::conditional_t<std::is_same_v<std::remove_const_t<T>, BFloat16>, float,
                                    std::remove_const_t<T>>;

}  // namespace vrfm
