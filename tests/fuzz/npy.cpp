// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// libFuzzer program for the NPY parser: for each type it either refuses with std::runtime_error or
// its array, written and read again, is the same. Halves are read as float and as double alike. Its
// rows are either refused or the same doubles.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include <vrfm/io/npy.hpp>
#include <vrfm/io/open_rows.hpp>

namespace {

using Bytes = std::vector<std::byte>;

void append(Bytes& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

void require(bool condition) {
  if (!condition) __builtin_trap();
}

template <class T>
std::optional<vrfm::NpyArray<T>> parsed(std::span<const std::byte> bytes) {
  try {
    return vrfm::parse_npy<T>(bytes, "fuzz");
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

template <class T>
bool check(std::span<const std::byte> bytes) {
  const auto first = parsed<T>(bytes);
  if (!first) return false;
  Bytes copy;
  vrfm::encode_npy(vrfm::make_tensor("fuzz", first->shape, first->values),
                   [&](std::span<const std::byte> piece) { append(copy, piece); });
  const auto second = parsed<T>(copy);
  require(second && first->shape == second->shape);
  require(first->values.size() == second->values.size());
  require(first->values.empty() || std::memcmp(first->values.data(), second->values.data(),
                                               first->values.size() * sizeof(T)) == 0);
  return true;
}

void check_rows(std::span<const std::byte> bytes) {
  std::vector<double> values;
  try {
    const auto rows = vrfm::detail::io::npy_rows("fuzz", "", bytes, nullptr, false);
    values.resize(rows->rows() * rows->columns());
    rows->read(0, std::span(values));
  } catch (const std::runtime_error&) {
    return;
  }
  const auto array = parsed<double>(bytes);
  require(!array ||
          std::equal(values.begin(), values.end(), array->values.begin(), array->values.end(),
                     [](double a, double b) { return a == b || (a != a && b != b); }));
}

void check_all(std::span<const std::byte> bytes) {
  check_rows(bytes);
  const bool floats = check<float>(bytes), doubles = check<double>(bytes);
  const int others = check<std::uint8_t>(bytes) + check<std::int32_t>(bytes) +
                     check<std::int64_t>(bytes) + check<std::uint64_t>(bytes);
  require(others + (floats || doubles) <= 1);  // a file has one type
  if (!floats || !doubles) return;
  const auto narrow = parsed<float>(bytes)->values;
  const auto wide = parsed<double>(bytes)->values;
  require(std::equal(narrow.begin(), narrow.end(), wide.begin(), wide.end(),
                     [](float a, double b) { return a == b || (a != a && b != b); }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check_all(input);

  // A random size rarely fits its header: also take the first line as header, the rest as data.
  const auto newline = std::find(input.begin(), input.end(), std::byte{'\n'});
  if (newline == input.end()) return 0;
  const auto header_size = static_cast<std::uint32_t>(newline - input.begin() + 1);
  Bytes framed;
  append(framed, std::as_bytes(std::span(vrfm::detail::io::npy_magic)));
  framed.push_back(std::byte{2});
  framed.push_back(std::byte{0});
  append(framed, std::as_bytes(std::span(&header_size, 1)));
  append(framed, input);
  check_all(framed);
  return 0;
}
