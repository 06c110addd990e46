// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What training steps leave behind: the losses of each, by the objective's names for them, and whether
// all was finite. Kernels write them to the device's memory; the host looks once a report.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/linalg/context.hpp>

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

/// The loss stopped being a number.
class NotFiniteError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {

/// Where a step's kernel writes: row s % rows is step s's, its terms and then the gradient's norm.
struct StepLogView {
  double* entries;
  std::int64_t rows;
  int terms;
  std::int64_t* counter;   ///< the step that is being made
  std::int64_t* bad_step;  ///< 1 + the first step that was not finite; 0: none

  /// Notes a step and moves the counter on; returns whether a step went bad, this one or one before.
  KOKKOS_INLINE_FUNCTION bool note(const double* losses, double row_weight,
                                   double squared_norm) const {
    const std::int64_t now = (*counter)++;
    if (*bad_step != 0) return true;
    double* row = entries + now % rows * (terms + 1);
    double all = squared_norm;
    for (int k = 0; k < terms; ++k) {
      row[k] = losses[k] * row_weight;
      all += losses[k];
    }
    row[terms] = math::sqrt(squared_norm);
    if (!math::is_finite(all)) *bad_step = now + 1;
    return *bad_step != 0;
  }
};

}  // namespace detail

template <ExecutionSpace Exec>
class StepLog {
 public:
  StepLog(const Exec& exec, std::span<const char* const> terms)
      : exec_(exec),
        terms_(terms),
        counter_("vrfm::StepLog::counter", 1),
        bad_step_("vrfm::StepLog::bad_step", 1),
        host_bad_step_(Kokkos::create_mirror_view(bad_step_)) {
    reserve(100);
  }

  /// The counter that draws are addressed by.
  const std::int64_t* counter() const { return counter_.data(); }
  void count_from(std::int64_t step) { Kokkos::deep_copy(exec_, counter_, step); }

  /// Makes room for `steps` steps between two reports; whether the view changed.
  bool reserve(std::int64_t steps) {
    if (steps <= static_cast<std::int64_t>(entries_.extent(0))) return false;
    entries_ = Table<double, Exec>("vrfm::StepLog::entries", static_cast<std::size_t>(steps),
                                   terms_.size() + 1);
    host_entries_ = Kokkos::create_mirror_view(entries_);
    return true;
  }

  detail::StepLogView view() const {
    return {entries_.data(), static_cast<std::int64_t>(entries_.extent(0)),
            static_cast<int>(terms_.size()), counter_.data(), bad_step_.data()};
  }

  /// Waits for the steps first ... last - 1, and returns their losses. Throws NotFiniteError naming the
  /// first step that was not finite, having called bad(step).
  template <class Bad>
  std::span<const StepLosses> collect(std::int64_t first, std::int64_t last, const Bad& bad) {
    Kokkos::deep_copy(exec_, host_bad_step_, bad_step_);
    Kokkos::deep_copy(exec_, host_entries_, entries_);
    exec_.fence();
    losses_.clear();
    for (std::int64_t s = first; s < last; ++s) {
      const auto row = static_cast<std::size_t>(s) % host_entries_.extent(0);
      StepLosses& losses = losses_.emplace_back();
      losses.step = s;
      for (std::size_t k = 0; k < terms_.size(); ++k) losses.terms[k] = host_entries_(row, k);
      losses.gradient_norm = host_entries_(row, terms_.size());
    }
    if (host_bad_step_(0) == 0) return losses_;
    const std::int64_t step = host_bad_step_(0) - 1;
    const StepLosses& losses = losses_[static_cast<std::size_t>(step - first)];
    Kokkos::deep_copy(exec_, bad_step_, 0);
    bad(step);
    std::string values;
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      values += text(terms_[k], ' ', losses.terms[k], ", ");
    }
    throw NotFiniteError(text("vrfm: step ", step, " is not finite: ", values, "gradient norm ",
                              losses.gradient_norm, "; the parameters are those before this step"));
  }

 private:
  Exec exec_;
  std::span<const char* const> terms_;
  Array<std::int64_t, Exec> counter_, bad_step_;
  typename Array<std::int64_t, Exec>::host_mirror_type host_bad_step_;
  Table<double, Exec> entries_;
  typename Table<double, Exec>::host_mirror_type host_entries_;
  std::vector<StepLosses> losses_;
};

}  // namespace vrfm
