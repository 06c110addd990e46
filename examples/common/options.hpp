// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the options of the programs with flows share: the end of --help, and the set of the posterior's inputs.
#pragma once

#include <algorithm>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/models/mlp/posterior.hpp>

#include <examples/common/number_options.hpp>

namespace common {

/// The end of each --help.
inline const char* const shared_footer =
    "Options that begin with --kokkos- go to Kokkos (--kokkos-help). The number of threads is "
    "OMP_NUM_THREADS; where others use the same cores, OMP_WAIT_POLICY=passive keeps threads that "
    "wait "
    "from taking them.";

/// Whether no value of a list is there twice.
template <class T>
bool distinct(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return std::adjacent_find(values.begin(), values.end()) == values.end();
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
      vrfm::expect(!contains(set, element), "--encoder-input: names '", part, "' twice: ", text);
      set = set | element;
      found = true;
    }
    vrfm::expect(found, "--encoder-input: expected names of x0, x1, x_t, t joined by +, found '",
                 part, "' in ", text);
  }
  return set;
}

}  // namespace common
