// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the options of every program share: numbers that are refused by name before anything begins,
// and the set of the posterior's inputs.
#pragma once

#include <cmath>
#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include <vrfm/core/check.hpp>
#include <vrfm/models/mlp/posterior.hpp>

namespace common {

/// The end of each --help.
inline const char* const shared_footer =
    "Options that begin with --kokkos- go to Kokkos (--kokkos-help). The number of threads is "
    "OMP_NUM_THREADS; where others use the same cores, OMP_WAIT_POLICY=passive keeps threads that "
    "wait "
    "from taking them.";

/// Accepts numbers that `holds` holds of; else "must be `wanted`, got ...".
inline CLI::Validator number_option(const std::string& wanted, bool (*holds)(double)) {
  const auto check = [wanted, holds](std::string& given) -> std::string {
    char* end = nullptr;
    const double value = std::strtod(given.c_str(), &end);
    const bool whole = end != given.c_str() && *end == '\0';
    return whole && holds(value) ? "" : "must be " + wanted + ", got " + given;
  };
  return CLI::Validator(check, "");
}

inline bool is_count(double value) { return value >= 1 && value == std::floor(value); }

inline CLI::Validator count_option() {
  return number_option("a whole number of at least 1", is_count);
}
inline CLI::Validator count_or_none_option() {
  return number_option("a whole number of at least 0",
                       [](double x) { return x == 0 || is_count(x); });
}
inline CLI::Validator positive_option() {
  return number_option("a positive number", [](double x) { return x > 0; });
}
inline CLI::Validator not_negative_option() {
  return number_option("a number of at least 0", [](double x) { return x >= 0; });
}
inline CLI::Validator fraction_option() {
  return number_option("in [0, 1)", [](double x) { return x >= 0 && x < 1; });
}

/// "x0+x1+x_t" as a set. Throws std::invalid_argument for an unknown or repeated name.
inline vrfm::EncoderInput parse_encoder_input(const std::string& text) {
  const std::pair<const char*, vrfm::EncoderInput> names[] = {{"x0", vrfm::EncoderInput::x0},
                                                              {"x1", vrfm::EncoderInput::x1},
                                                              {"x_t", vrfm::EncoderInput::x_t},
                                                              {"t", vrfm::EncoderInput::t}};
  vrfm::EncoderInput set{};
  std::stringstream stream(text + '+');
  for (std::string part; std::getline(stream, part, '+');) {
    bool found = false;
    for (const auto& [name, element] : names) {
      if (part != name) continue;
      vrfm::expect(!contains(set, element), "encoder input '", text, "' names '", part, "' twice");
      set = set | element;
      found = true;
    }
    vrfm::expect(found, "encoder input '", text,
                 "': expected names of x0, x1, x_t, t joined by +, ", "found '", part, "'");
  }
  return set;
}

}  // namespace common
