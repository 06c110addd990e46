// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// libFuzzer program for the parser of CIFAR-10's binary files: it refuses with std::runtime_error
// exactly what is not one or more records with a label below ten, and writes what it read to the
// same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include <vrfm/io/cifar10.hpp>

namespace {

using Bytes = std::vector<std::byte>;

constexpr std::size_t record = 3073;

void require(bool condition) {
  if (!condition) __builtin_trap();
}

std::optional<vrfm::Images> parsed(std::span<const std::byte> bytes) {
  try {
    return vrfm::parse_cifar10(bytes, "fuzz");
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

void check(std::span<const std::byte> bytes) {
  const auto images = parsed(bytes);
  bool valid = !bytes.empty() && bytes.size() % record == 0;
  for (std::size_t i = 0; valid && i < bytes.size(); i += record) valid = bytes[i] < std::byte{10};
  require(images.has_value() == valid);
  if (!images) return;
  const Bytes copy = vrfm::encode_cifar10(*images, 0, images->count);
  require(std::equal(copy.begin(), copy.end(), bytes.begin(), bytes.end()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check(input);

  // A random size is hardly ever a whole number of records: also fill the last one up.
  Bytes filled(input.begin(), input.end());
  filled.resize((size / record + 1) * record);
  check(filled);
  return 0;
}
