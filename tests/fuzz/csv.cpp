// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// libFuzzer program for the reader of tables: it refuses with std::runtime_error, or its table, written with each
// separator and read again, is the same, to the bit.
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <vrfm/io/csv.hpp>

namespace {

void require(bool condition) {
  if (!condition) __builtin_trap();
}

std::optional<vrfm::CsvTable> parsed(std::span<const std::byte> bytes) {
  try {
    return vrfm::parse_csv(bytes, "fuzz");
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

void check(std::span<const std::byte> bytes) {
  const auto first = parsed(bytes);
  if (!first) return;
  require(first->values.size() == first->rows * first->columns.size());
  for (const char separator : {',', ';', '\t'}) {
    std::string copy;
    vrfm::detail::io::encode_csv(first->columns, first->values, separator,
                                 [&](std::string_view text) { copy += text; });
    const auto second = parsed(std::as_bytes(std::span(copy)));
    require(second && second->columns == first->columns && second->rows == first->rows);
    for (std::size_t i = 0; i < first->values.size(); ++i)
      require(same(first->values[i], second->values[i]));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check(input);
  // A random text rarely has a header: also behind one of the first two lines' columns.
  std::string framed("a,b\n");
  framed.append(reinterpret_cast<const char*>(data), size);
  check(std::as_bytes(std::span(framed)));
  return 0;
}
