// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// libFuzzer program for the IDX parser, plain and compressed: it either refuses with
// std::runtime_error or its array, written and read again both ways, is the same. Compressed in two
// members, a file is what it is in one.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include <vrfm/io/idx.hpp>

namespace {

using Bytes = std::vector<std::byte>;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

std::optional<vrfm::IdxArray> parsed(std::span<const std::byte> bytes, int dimensions) {
  try {
    return vrfm::parse_idx(bytes, dimensions, "fuzz");
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

/// Whether the bytes were accepted.
bool check(std::span<const std::byte> bytes, int dimensions) {
  const auto first = parsed(bytes, dimensions);
  if (!first) return false;
  require(first->shape.size() == static_cast<std::size_t>(dimensions));
  const Bytes copy = vrfm::encode_idx(first->shape, first->values);
  for (const Bytes& file : {copy, vrfm::detail::io::gzip(copy)}) {
    const auto second = parsed(file, dimensions);
    require(second && second->shape == first->shape && second->values == first->values);
  }
  return true;
}

void check_all(std::span<const std::byte> bytes) {
  const int readings = check(bytes, 1) + check(bytes, 3);
  require(readings <= 1);  // a file has one number of dimensions
}

/// The first byte says where the rest is cut, and how many zeros are between the members.
void check_members(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const auto rest = bytes.subspan(1);
  const std::size_t cut = std::to_integer<std::size_t>(bytes[0]) % (rest.size() + 1);
  Bytes members = vrfm::detail::io::gzip(rest.first(cut));
  members.resize(members.size() + cut % 5);
  const Bytes second = vrfm::detail::io::gzip(rest.subspan(cut));
  members.insert(members.end(), second.begin(), second.end());
  const Bytes whole = vrfm::detail::io::gzip(rest);
  for (const int dimensions : {1, 3}) {
    const auto a = parsed(members, dimensions), b = parsed(whole, dimensions);
    // The bound on extents grows with the file: what is in two members may be less compressed.
    require(!b || (a && a->shape == b->shape && a->values == b->values));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check_all(input);
  // A changed byte hardly ever keeps gzip's checksum: also take the input as what is compressed.
  check_all(vrfm::detail::io::gzip(input));
  check_members(input);
  return 0;
}
