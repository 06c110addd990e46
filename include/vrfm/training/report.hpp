// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the host hears of a training: the losses of its steps, by the objective's names for them, and how
// fast it goes; or that a step was not finite.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <vrfm/core/check.hpp>

namespace vrfm {

/// The most terms of an objective.
inline constexpr int most_terms = 8;

/// One step's losses: means over the batch, in the order of the objective's terms.
struct StepLosses {
  std::int64_t step = 0;
  std::array<double, most_terms> terms{};
  double gradient_norm = 0;
};

/// The position of `name` in `names`. Throws std::invalid_argument if it is not there.
inline std::size_t term_index(std::span<const char* const> names, std::string_view name) {
  std::string all;
  for (std::size_t k = 0; k < names.size(); ++k) {
    if (names[k] == name) return k;
    all += (k > 0 ? ", " : "") + std::string(names[k]);
  }
  throw std::invalid_argument(
      text("vrfm: there is no loss '", name, "'; the objective's are ", all));
}

/// What the host sees now and then.
struct TrainingReport {
  std::int64_t step = 0;                   ///< steps done
  std::int64_t last_step = 0;              ///< steps at which this run ends
  std::span<const char* const> terms;      ///< the objective's names
  std::span<const StepLosses> losses;      ///< of every step since the last report
  std::array<double, most_terms> means{};  ///< over `losses`, in the order of `terms`
  double seconds = 0;                      ///< since the run began
  double samples_per_second = 0;           ///< since the last report

  /// The mean of the loss called `name`. Throws std::invalid_argument if there is none.
  double mean(std::string_view name) const { return means[term_index(terms, name)]; }
};

/// One line on the standard error.
inline void print_warning(const std::string& what) {
  std::fprintf(stderr, "vrfm: warning: %s\n", what.c_str());
}

/// The loss stopped being a number.
class NotFiniteError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The means of each term over some steps.
inline std::array<double, most_terms> means_of(std::span<const StepLosses> losses) {
  std::array<double, most_terms> means{};
  for (const auto& step : losses) {
    for (std::size_t k = 0; k < means.size(); ++k) {
      means[k] += step.terms[k] / static_cast<double>(losses.size());
    }
  }
  return means;
}

}  // namespace vrfm
