// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elements of files as the types of C++: reals of 16 bits become float or double, which hold them
// exactly, and truth values become the bytes 0 and 1. A half (IEEE 754 binary16) has 5 bits of
// exponent and 10 of fraction; a bfloat16 is the first half of a float. Where any number will do,
// integers become the nearest float or double, too.
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

inline float float_of_half(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31u,
                      fraction = half & 1023u;
  if (exponent == 0)  // zero or subnormal: no leading one
    return (sign != 0 ? -0x1p-24f : 0x1p-24f) * static_cast<float>(fraction);
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

inline float float_of_bfloat16(std::uint16_t value) {
  return std::bit_cast<float>(std::uint32_t{value} << 16);
}

/// Whether elements of type `from` are read where T's are asked for.
template <FileValue T>
constexpr bool reads_as(DType from) {
  return from == dtype_of<T>() ||
         (std::floating_point<T> && (from == DType::f16 || from == DType::bf16)) ||
         (dtype_of<T>() == DType::u8 && from == DType::boolean);
}

template <class Stored, class T, class Value>
void convert_each(std::span<const std::byte> bytes, T* out, const Value& value) {
  for (; bytes.size() >= sizeof(Stored); bytes = bytes.subspan(sizeof(Stored))) {
    Stored stored;
    std::memcpy(&stored, bytes.data(), sizeof(Stored));
    *out++ = static_cast<T>(value(stored));
  }
}

/// Writes the elements that `bytes` hold to `out`: those that reads_as<T>, and floats as doubles.
template <FileValue T>
void convert(DType from, std::span<const std::byte> bytes, T* out) {
  if (from == dtype_of<T>()) {
    if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  } else if (from == DType::boolean) {
    convert_each<std::uint8_t>(bytes, out, [](std::uint8_t value) { return value != 0; });
  } else if (from == DType::f16) {
    convert_each<std::uint16_t>(bytes, out, float_of_half);
  } else if (from == DType::bf16) {
    convert_each<std::uint16_t>(bytes, out, float_of_bfloat16);
  } else {
    convert_each<float>(bytes, out, [](float value) { return value; });
  }
}

/// Whether convert_number takes that type: it is a truth value, an integer or a real of 16 bits or more.
constexpr bool is_number(DType from) {
  return static_cast<std::size_t>(from) <= static_cast<std::size_t>(DType::u32);
}

/// Writes the elements that `bytes` hold, of a type that is_number, to `out`, each as the nearest T.
template <std::floating_point T>
void convert_number(DType from, std::span<const std::byte> bytes, T* out) {
  const auto as = [&]<class Stored>(Stored) {
    convert_each<Stored>(bytes, out, [](Stored value) { return value; });
  };
  if (from == DType::f64 && !std::same_as<T, double>) return as(double{});
  if (from == DType::u8) return as(std::uint8_t{});
  if (from == DType::u16) return as(std::uint16_t{});
  if (from == DType::u32) return as(std::uint32_t{});
  if (from == DType::u64) return as(std::uint64_t{});
  if (from == DType::i8) return as(std::int8_t{});
  if (from == DType::i16) return as(std::int16_t{});
  if (from == DType::i32) return as(std::int32_t{});
  if (from == DType::i64) return as(std::int64_t{});
  convert<T>(from, bytes, out);
}

/// Turns the bytes of each element of `size` bytes around.
inline void swap_bytes(std::span<std::byte> bytes, std::size_t size) {
  for (; bytes.size() >= size; bytes = bytes.subspan(size))
    std::reverse(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
}

}  // namespace vrfm::detail::io
