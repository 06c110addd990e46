// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Host-side checks of arguments. Each throws std::invalid_argument with one sentence that says
// what was expected and what came.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vrfm {

/// Joins the arguments' `operator<<` output into one string.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream stream;
  (stream << ... << parts);
  return stream.str();
}

/// Throws std::invalid_argument with the joined `parts` unless `condition` holds.
template <class... Parts>
void expect(bool condition, const Parts&... parts) {
  if (!condition) throw std::invalid_argument(text("vrfm: ", parts...));
}

/// Throws unless the extents of two operands agree: "vrfm: x0 has 3 columns but x1 has 2 columns".
inline void expect_same(std::string_view left, std::size_t left_extent, std::string_view right,
                        std::size_t right_extent, std::string_view what) {
  expect(left_extent == right_extent, left, " has ", left_extent, ' ', what, " but ", right,
         " has ", right_extent, ' ', what);
}

}  // namespace vrfm
