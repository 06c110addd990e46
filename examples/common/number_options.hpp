// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers on a command line: one that does not fit is refused by its option's name, with the limit, before
// anything begins; --help shows the limits.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include <CLI/CLI.hpp>

namespace common {

/// Accepts finite numbers that `holds` holds of; else "must be `wanted`, got ...". --help shows `limit`.
inline CLI::Validator number_option(const std::string& wanted, const std::string& limit,
                                    bool (*holds)(double)) {
  const auto check = [wanted, holds](std::string& given) -> std::string {
    char* end = nullptr;
    const double value = std::strtod(given.c_str(), &end);
    const bool whole = end != given.c_str() && *end == '\0' && std::isfinite(value);
    return whole && holds(value) ? "" : "must be " + wanted + ", got " + given;
  };
  return CLI::Validator(check, limit);
}

/// The largest number of steps: a draw's address has 32 bits for it.
inline constexpr std::int64_t most_steps = std::numeric_limits<std::uint32_t>::max();

/// Accepts whole numbers from `least` to `most`, in digits without zeros before them, which CLI11 would
/// take for octal. `usual`: nobody comes near `most`, which is
/// then named to those who exceed it only.
inline CLI::Validator whole_option(std::int64_t least, std::int64_t most, bool usual = true) {
  const std::string from = std::to_string(least), to = std::to_string(most);
  const std::string wanted = usual ? "of at least " + from : "from " + from + " to " + to;
  const auto check = [=](std::string& given) -> std::string {
    std::int64_t value = 0;
    const char* const last = given.data() + given.size();
    const auto [end, error] = std::from_chars(given.data(), last, value);
    const bool digits = end == last && !given.empty();
    const std::size_t first = digits && given.front() == '-' ? 1 : 0;
    if (digits && given.size() > first + 1 && given[first] == '0') {
      return "must be a whole number without zeros before it, got " + given;
    }
    const bool large =
        digits && given.front() != '-' && (error == std::errc::result_out_of_range || value > most);
    if (usual && large) return "must be a whole number of at most " + to + ", got " + given;
    const bool holds = digits && error == std::errc() && value >= least && value <= most;
    return holds ? "" : "must be a whole number " + wanted + ", got " + given;
  };
  return CLI::Validator(check, usual ? "at least " + from : from + " to " + to);
}

inline CLI::Validator range_option(int least, int most) { return whole_option(least, most, false); }
inline CLI::Validator count_option() { return whole_option(1, std::numeric_limits<int>::max()); }
inline CLI::Validator count_or_none_option() {
  return whole_option(0, std::numeric_limits<int>::max());
}
inline CLI::Validator steps_option() { return whole_option(1, most_steps); }
inline CLI::Validator steps_or_none_option() { return whole_option(0, most_steps); }
inline CLI::Validator seed_option() {
  return whole_option(0, std::numeric_limits<std::uint32_t>::max());
}
inline CLI::Validator even_count_option() {
  const CLI::Validator count = count_option();
  const auto check = [count](std::string& given) -> std::string {
    const std::string error = count(given);
    const bool even = error.empty() && std::strtol(given.c_str(), nullptr, 10) % 2 == 0;
    if (even || error.find("at most") != std::string::npos) return error;
    return "must be an even number of at least 2, got " + given;
  };
  return CLI::Validator(check, "even, at least 2");
}
inline CLI::Validator positive_option() {
  return number_option("a positive number", "above 0", [](double x) { return x > 0; });
}
inline CLI::Validator finite_option() {
  return number_option("a number", "a number", [](double) { return true; });
}
inline CLI::Validator not_negative_option() {
  return number_option("a number of at least 0", "at least 0", [](double x) { return x >= 0; });
}
inline CLI::Validator part_option() {
  return number_option("in [0, 1]", "in [0, 1]", [](double x) { return x >= 0 && x <= 1; });
}
inline CLI::Validator positive_part_option() {
  return number_option("in (0, 1]", "in (0, 1]", [](double x) { return x > 0 && x <= 1; });
}
inline CLI::Validator fraction_option() {
  return number_option("in [0, 1)", "in [0, 1)", [](double x) { return x >= 0 && x < 1; });
}

}  // namespace common
