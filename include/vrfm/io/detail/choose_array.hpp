// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which of a file's arrays is meant, and the error that lists them all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/row_reader.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

/// Names, types and shapes of arrays, for errors.
inline std::string listed(std::span<const ArrayInfo> arrays) {
  constexpr std::size_t shown = 20;
  std::string text;
  for (std::size_t i = 0; i < arrays.size() && i < shown; ++i)
    text += (i ? ", " : "") +
            (arrays[i].name.empty() ? std::string("(no name)") : in_quotes(arrays[i].name)) + " " +
            arrays[i].type + " " + format_shape(arrays[i].shape);
  return text + (arrays.size() > shown ? ", ..." : "");
}

/// The array of that name; if none is named, the only one. Throws std::runtime_error that lists them.
inline ArrayInfo choose(const std::vector<ArrayInfo>& arrays, const std::string& name,
                        const std::string& file) {
  const auto found = std::find_if(arrays.begin(), arrays.end(),
                                  [&](const ArrayInfo& array) { return array.name == name; });
  if (found != arrays.end()) return *found;
  if (arrays.empty()) fail(file, "expected an array, found none in the file");
  if (name.empty() && arrays.size() == 1) return arrays.front();
  fail(file, (name.empty() ? "expected the name of one of its arrays: "
                           : "expected an array " + in_quotes(name) + ", found ") +
                 listed(arrays));
}

}  // namespace vrfm::detail::io
