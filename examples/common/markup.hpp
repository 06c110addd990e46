// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text that must not become markup, for the two places where a program's words are read: gnuplot's
// enhanced text and HTML.
#pragma once

#include <string>

namespace common {

/// Where a text will be read.
enum class Markup { gnuplot, html };

/// `text` with everything that has a meaning in `markup` made literal.
inline std::string escape(const std::string& text, Markup markup) {
  std::string result;
  for (const char c : text) {
    if (markup == Markup::gnuplot) {
      if (static_cast<unsigned char>(c) < ' ') continue;
      if (std::string("^_{}@&~\\").find(c) != std::string::npos) result += '\\';
      result += c;
    } else if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else if (c == '"') {
      result += "&quot;";
    } else if (c == '\'') {
      result += "&#39;";
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace common
