// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Host-side checks of arguments. Each throws std::invalid_argument with one sentence that says
// what was expected and what came.
#pragma once

#include <initializer_list>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace vrfm {

namespace detail {

/// An argument of text() without its type: so its list of arguments, of which there are hundreds,
/// compiles to a list of pointers and not to a function of its own.
struct TextPart {
  const void* value;
  void (*write)(std::ostream&, const void*);
};

template <class Part>
void write_part(std::ostream& stream, const void* value) {
  stream << *static_cast<const Part*>(value);
}

inline void write_characters(std::ostream& stream, const void* value) {
  stream << static_cast<const char*>(value);
}

template <class Part>
TextPart text_part(const Part& part) {
  return {&part, write_part<Part>};
}

template <std::size_t n>
TextPart text_part(const char (&characters)[n]) {
  return {characters, write_characters};
}

inline std::string join(std::initializer_list<TextPart> parts) {
  std::ostringstream stream;
  for (const TextPart& part : parts) part.write(stream, part.value);
  return stream.str();
}

[[noreturn]] inline void fail(std::initializer_list<TextPart> parts) {
  throw std::invalid_argument("vrfm: " + join(parts));
}

}  // namespace detail

/// Joins the arguments' `operator<<` output into one string.
template <class... Parts>
std::string text(const Parts&... parts) {
  return detail::join({detail::text_part(parts)...});
}

/// Throws std::invalid_argument with the joined `parts` unless `condition` holds.
template <class... Parts>
void expect(bool condition, const Parts&... parts) {
  if (!condition) detail::fail({detail::text_part(parts)...});
}

/// `value` in a type that is smaller. Throws std::invalid_argument naming it by the joined `what` if it
/// does not fit.
template <class To, class From, class... What>
To narrow(From value, const What&... what) {
  if (!std::in_range<To>(value)) {
    detail::fail({detail::text_part(what)..., detail::text_part(" is "), detail::text_part(value),
                  detail::text_part(", but must be in "),
                  detail::text_part((std::numeric_limits<To>::min)()), detail::text_part(" to "),
                  detail::text_part((std::numeric_limits<To>::max)())});
  }
  return static_cast<To>(value);
}

/// Throws unless the extents of two operands agree: "vrfm: x0 has 3 columns but x1 has 2 columns".
inline void expect_same(std::string_view left, std::size_t left_extent, std::string_view right,
                        std::size_t right_extent, std::string_view what) {
  expect(left_extent == right_extent, left, " has ", left_extent, ' ', what, " but ", right,
         " has ", right_extent, ' ', what);
}

}  // namespace vrfm
