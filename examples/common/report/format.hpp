// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers as a reader wants them in HTML: fixed digits, a true minus sign, "n/a" where there is no
// number, durations and rates in words. None of it depends on the locale.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>

namespace common {

/// `value` with `digits` decimals.
inline std::string decimal(double value, int digits = 3) {
  if (std::isnan(value)) return "n/a";
  if (std::isinf(value)) return value < 0 ? "−∞" : "∞";
  char buffer[400];  // the longest double has 309 digits before the point
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, digits).ptr;
  std::string text(buffer, end);
  const bool zero = text.find_first_of("123456789") == std::string::npos;
  if (text.front() == '-') text.replace(0, 1, zero ? "" : "−");
  return text;
}

/// "42 s", "2 min 05 s", "1 h 03 min", held together by no-break spaces.
inline std::string duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "n/a";
  if (seconds < 10) return decimal(seconds, 1) + "&nbsp;s";
  const auto whole = static_cast<long long>(std::llround(seconds));
  const auto two = [](long long value) { return (value < 10 ? "0" : "") + std::to_string(value); };
  if (whole < 60) return std::to_string(whole) + "&nbsp;s";
  if (whole < 3600)
    return std::to_string(whole / 60) + "&nbsp;min&nbsp;" + two(whole % 60) + "&nbsp;s";
  return std::to_string(whole / 3600) + "&nbsp;h&nbsp;" + two(whole / 60 % 60) + "&nbsp;min";
}

/// "1.25 million", "312 thousand", "870".
inline std::string rough_count(double value) {
  if (!std::isfinite(value)) return "n/a";
  if (value >= 1e6) return decimal(value / 1e6, 2) + " million";
  if (value >= 1e4) return decimal(value / 1e3, 0) + " thousand";
  return decimal(value, 0);
}

/// 20000 as "20,000".
inline std::string grouped(long long value) {
  std::string text = std::to_string(value < 0 ? -value : value);
  for (std::size_t place = text.size(); place > 3; place -= 3) text.insert(place - 3, 1, ',');
  return (value < 0 ? "−" : "") + text;
}

/// "1 seed", "3 seeds".
inline std::string plural(std::size_t count, const std::string& noun) {
  return grouped(static_cast<long long>(count)) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace common
