// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// libFuzzer program for NPZ archives: the directory or an array is refused with std::runtime_error,
// or what was read, written and read again, is the same. The data behind the first bytes are also
// decompressed by themselves, because few archives that a fuzzer makes get that far.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <vrfm/io/npz.hpp>

namespace {

void require(bool condition) {
  if (!condition) __builtin_trap();
}

/// Reads an array as T, and again from an archive of its own.
template <class T>
bool check(vrfm::NpzBytes& archive, const std::string& name) {
  vrfm::NpyArray<T> first;
  try {
    first = archive.read<T>(name);
  } catch (const std::runtime_error&) {
    return false;
  }
  std::vector<std::byte> copy;
  const std::vector arrays{vrfm::make_tensor("copy", first.shape, first.values)};
  vrfm::encode_npz(arrays, [&](std::span<const std::byte> piece) {
    copy.insert(copy.end(), piece.begin(), piece.end());
  });
  const auto second = vrfm::NpzBytes(copy, "copy").template read<T>("copy");
  const auto a = std::as_bytes(std::span(first.values)),
             b = std::as_bytes(std::span(second.values));
  require(first.shape == second.shape && std::equal(a.begin(), a.end(), b.begin(), b.end()));
  return true;
}

void check_archive(std::span<const std::byte> bytes) {
  try {
    vrfm::NpzBytes archive(bytes, "fuzz");
    for (const std::string& name : archive.names()) {
      require(archive.contains(name));
      const bool floats = check<float>(archive, name), doubles = check<double>(archive, name);
      const bool others = check<std::uint8_t>(archive, name);
      require(!others || (!floats && !doubles));  // an array has one type, halves are both
    }
  } catch (const std::runtime_error&) {
  }
}

void check_inflate(std::span<const std::byte> bytes) {
  if (bytes.size() < 2) return;
  std::vector<std::byte> out(std::to_integer<std::size_t>(bytes[0]) * 16 +
                             std::to_integer<std::size_t>(bytes[1]));
  const auto data = bytes.subspan(2);
  vrfm::InputBytes input(data, "fuzz");
  try {
    vrfm::detail::io::InflateReader reader(input, data.size(), "fuzz");
    reader.read(out);
    reader.finish();
    require(out.size() / vrfm::detail::io::largest_deflate_ratio <= data.size());
  } catch (const std::runtime_error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check_archive(input);
  check_inflate(input);
  return 0;
}
