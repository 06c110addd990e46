// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The contents of a safetensors header, and the check that its offsets cover the file's data
// exactly once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

inline constexpr std::string_view metadata_key = "__metadata__";

struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::size_t> shape;
  std::vector<std::size_t> offsets;  // begin and end, counted from the first byte after the header
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // as listed
  std::map<std::string, std::size_t, std::less<>> index;
  std::map<std::string, std::string> metadata;
};

/// Orders the entries by their data and checks that these cover all `data_size` bytes once, each
/// entry as many as its type and shape need. Returns the entries' indices in the order of the data.
inline std::vector<std::size_t> check_coverage(const SafetensorsHeader& header,
                                               std::size_t data_size, const std::string& file) {
  const auto& entries = header.entries;
  for (const SafetensorsEntry& entry : entries) {
    const std::string where = "tensor " + in_quotes(entry.name) + ": ";
    const std::size_t begin = entry.offsets[0], end = entry.offsets[1];
    const std::string found = "found data_offsets " + format_shape(entry.offsets);
    if (begin > end) fail(file, where + "expected begin <= end, " + found);
    if (end > data_size)
      fail(file, where + "expected offsets within " + std::to_string(data_size) +
                     " bytes of data, " + found + std::string(truncated));
    const std::string array = describe(entry.dtype, entry.shape);
    const auto bytes = byte_count(entry.shape, entry.dtype);
    if (!bytes) fail(file, where + "expected a size of whole bytes below 2^64, found " + array);
    if (end - begin != *bytes)
      fail(file,
           where + "expected " + std::to_string(*bytes) + " bytes for " + array + ", " + found);
  }

  std::vector<std::size_t> order(entries.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return entries[a].offsets < entries[b].offsets; });

  std::size_t covered = 0;
  for (const std::size_t i : order) {
    if (entries[i].offsets[0] != covered)
      fail(file, "tensor " + in_quotes(entries[i].name) + ": expected data to begin at " +
                     std::to_string(covered) + ", found " +
                     (entries[i].offsets[0] < covered ? "an overlap" : "a hole") +
                     " with data_offsets " + format_shape(entries[i].offsets));
    covered = entries[i].offsets[1];
  }
  if (covered != data_size)
    fail(file, "expected " + std::to_string(covered) + " bytes of data, found " +
                   std::to_string(data_size));
  return order;
}

}  // namespace vrfm::detail::io
