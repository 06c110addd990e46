// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prepares gnuplot's SVG for standing inside an HTML page with other figures: no XML prologue, ids
// that are unique in the page, no tooltips, and a name for screen readers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <examples/common/markup.hpp>

namespace common {

namespace detail {

inline void insert_after_all(std::string& text, std::string_view pattern, std::string_view prefix) {
  for (std::size_t at = text.find(pattern); at != std::string::npos;
       at = text.find(pattern, at + pattern.size() + prefix.size()))
    text.insert(at + pattern.size(), prefix);
}

inline void erase_elements(std::string& text, std::string_view open, std::string_view close) {
  for (std::size_t at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
    const std::size_t end = text.find(close, at);
    if (end == std::string::npos) return;
    text.erase(at, end + close.size() - at);
  }
}

}  // namespace detail

/// `prefix` must be a valid start of an id; `label` is plain text. Returns an empty string if `svg`
/// is not a complete SVG document.
inline std::string inline_svg(std::string svg, const std::string& prefix,
                              const std::string& label) {
  const std::size_t begin = svg.find("<svg"), end = svg.rfind("</svg>");
  if (begin == std::string::npos || end == std::string::npos || end < begin) return "";
  svg = svg.substr(begin, end + 6 - begin);
  detail::erase_elements(svg, "<title>", "</title>");
  detail::erase_elements(svg, "<desc>", "</desc>");
  for (const char* pattern : {" id=\"", " id='", "href=\"#", "href='#", "url(#"})
    detail::insert_after_all(svg, pattern, prefix + "-");
  svg.insert(4, " role=\"img\" aria-label=\"" + escape(label, Markup::html) + "\"");
  return svg;
}

}  // namespace common
