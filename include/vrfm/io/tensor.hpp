// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What array files hold: element types under the names that safetensors and NPY give them, and
// Tensor, a named, typed and shaped view of bytes in row-major order, last index fastest.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace vrfm {

static_assert(std::endian::native == std::endian::little, "array files hold little-endian values");
static_assert(sizeof(std::size_t) == sizeof(std::uint64_t), "array files hold 64-bit extents");

/// The element types that files may hold: all of safetensors 0.8. The first six are those of C++
/// that are read and written as they are (see FileValue); f16 and bf16 are read as float or double,
/// boolean as bytes. A tensor of another type may stand in a file, and its bytes are there.
enum class DType {
  f32,
  f64,
  u8,
  i32,
  i64,
  u64,
  f16,
  bf16,
  boolean,
  i8,
  i16,
  u16,
  u32,
  c64,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e5m2fnuz,
  f8_e4m3fnuz,
  f6_e3m2,
  f6_e2m3,
  f4
};

namespace detail::io {

struct DTypeRow {
  DType dtype;
  std::size_t bits;
  std::string_view safetensors, npy;  // NumPy's without the order of bytes; empty: it has none
};

inline constexpr DTypeRow dtype_rows[] = {
    {DType::f32, 32, "F32", "f4"},
    {DType::f64, 64, "F64", "f8"},
    {DType::u8, 8, "U8", "u1"},
    {DType::i32, 32, "I32", "i4"},
    {DType::i64, 64, "I64", "i8"},
    {DType::u64, 64, "U64", "u8"},
    {DType::f16, 16, "F16", "f2"},
    {DType::bf16, 16, "BF16", ""},
    {DType::boolean, 8, "BOOL", "b1"},
    {DType::i8, 8, "I8", "i1"},
    {DType::i16, 16, "I16", "i2"},
    {DType::u16, 16, "U16", "u2"},
    {DType::u32, 32, "U32", "u4"},
    {DType::c64, 64, "C64", "c8"},
    {DType::f8_e5m2, 8, "F8_E5M2", ""},
    {DType::f8_e4m3, 8, "F8_E4M3", ""},
    {DType::f8_e8m0, 8, "F8_E8M0", ""},
    {DType::f8_e5m2fnuz, 8, "F8_E5M2FNUZ", ""},
    {DType::f8_e4m3fnuz, 8, "F8_E4M3FNUZ", ""},
    {DType::f6_e3m2, 6, "F6_E3M2", ""},
    {DType::f6_e2m3, 6, "F6_E2M3", ""},
    {DType::f4, 4, "F4", ""},
};

constexpr const DTypeRow& row(DType dtype) { return dtype_rows[static_cast<std::size_t>(dtype)]; }

static_assert([] {
  for (std::size_t i = 0; i < std::size(dtype_rows); ++i)
    if (dtype_rows[i].dtype != static_cast<DType>(i)) return false;
  return true;
}());

/// The type that a format calls `name`; `column` is the format's column of the table.
constexpr std::optional<DType> find_dtype(std::string_view name,
                                          std::string_view DTypeRow::*column) {
  for (const DTypeRow& candidate : dtype_rows)
    if (!name.empty() && candidate.*column == name) return candidate.dtype;
  return std::nullopt;
}

/// Bytes of an array, or nothing if 64 bits cannot count them. An extent of zero does not excuse
/// the others: so a caller who multiplies some of the extents cannot overflow either.
constexpr std::optional<std::size_t> byte_count(std::span<const std::size_t> shape,
                                                std::size_t item_size) {
  std::size_t product = item_size;
  bool empty = false;
  for (const std::size_t extent : shape) {
    empty |= extent == 0;
    if (extent == 0) continue;
    if (product > (std::numeric_limits<std::size_t>::max)() / extent) return std::nullopt;
    product *= extent;
  }
  return empty ? 0 : product;
}

/// The same for a type: nothing also if the elements do not fill their last byte.
constexpr std::optional<std::size_t> byte_count(std::span<const std::size_t> shape, DType dtype) {
  const std::size_t bits = row(dtype).bits;
  if (bits % 8 == 0) return byte_count(shape, bits / 8);
  const auto total = byte_count(shape, bits);
  if (!total || *total % 8 != 0) return std::nullopt;
  return *total / 8;
}

inline std::string format_shape(std::span<const std::size_t> shape) {
  constexpr std::size_t shown = 16;
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size() && i < shown; ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() > shown ? ", ...]" : "]");
}

inline std::string describe(DType dtype, std::span<const std::size_t> shape) {
  return std::string(row(dtype).safetensors) + " " + format_shape(shape);
}

/// Text from a file, made fit for an error message: bounded, without control characters, between
/// quotes.
inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t shown = 80;
  std::string result = "'";
  for (const char c : text.substr(0, shown))
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return result + (text.size() > shown ? "...'" : "'");
}

}  // namespace detail::io

/// Element types with a DType. Integers go by size and sign, so that `long` and `long long` are
/// both i64.
template <class T>
concept FileValue = std::same_as<T, float> || std::same_as<T, double> ||
                    (std::integral<T> && !std::same_as<T, bool> &&
                     (sizeof(T) == 8 || (sizeof(T) == 4 && std::signed_integral<T>) ||
                      (sizeof(T) == 1 && std::unsigned_integral<T>)));

/// The DType of values of type T.
template <FileValue T>
constexpr DType dtype_of() {
  if constexpr (std::same_as<T, float>)
    return DType::f32;
  else if constexpr (std::same_as<T, double>)
    return DType::f64;
  else if constexpr (sizeof(T) == 1)
    return DType::u8;
  else if constexpr (sizeof(T) == 4)
    return DType::i32;
  else
    return std::signed_integral<T> ? DType::i64 : DType::u64;
}

/// A named array whose bytes are kept by someone else: by a SafetensorsFile that was read, or by
/// the caller who writes.
struct Tensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::size_t> shape;  ///< slowest extent first; empty for a scalar
  std::span<const std::byte> data;

  /// The elements, row-major. Throws std::runtime_error if the tensor's type is not T.
  template <FileValue T>
  std::span<const T> values() const {
    using namespace detail::io;
    if (dtype != dtype_of<T>())
      throw std::runtime_error("tensor " + in_quotes(name) + ": expected dtype " +
                               std::string(row(dtype_of<T>()).safetensors) + ", found " +
                               std::string(row(dtype).safetensors));
    if (std::bit_cast<std::uintptr_t>(data.data()) % alignof(T) != 0)
      throw std::runtime_error("tensor " + in_quotes(name) + ": expected data aligned to " +
                               std::to_string(alignof(T)) + " bytes");
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
};

namespace detail::io {

inline void check_filled(const Tensor& tensor) {
  const auto expected = byte_count(tensor.shape, tensor.dtype);
  if (expected != tensor.data.size())
    throw std::invalid_argument("tensor " + in_quotes(tensor.name) + ": expected " +
                                (expected ? std::to_string(*expected) : "fewer than 2^64 whole") +
                                " bytes for " + describe(tensor.dtype, tensor.shape) + ", found " +
                                std::to_string(tensor.data.size()));
}

}  // namespace detail::io

/// A tensor over `values`, which must outlive it: a span, or a container that is not a temporary.
template <std::ranges::contiguous_range Range>
  requires std::ranges::borrowed_range<Range> && FileValue<std::ranges::range_value_t<Range>>
Tensor make_tensor(std::string name, std::vector<std::size_t> shape, Range&& values) {
  using Value = std::ranges::range_value_t<Range>;
  return {
      std::move(name), dtype_of<Value>(), std::move(shape),
      std::as_bytes(std::span<const Value>(std::ranges::data(values), std::ranges::size(values)))};
}

}  // namespace vrfm
