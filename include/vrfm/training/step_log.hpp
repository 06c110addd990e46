// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What training steps leave behind: the losses of each, by the objective's names for them, and whether
// all was finite. Kernels write them to the device's memory; the host looks once a report.
#pragma once

#include <vector>

#include <vrfm/core/copy.hpp>
#include <vrfm/linalg/context.hpp>
#include <vrfm/training/report.hpp>

namespace vrfm {

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
  /// first step that was not finite, having called bad(step), which returns where that began.
  template <class Bad>
  std::span<const StepLosses> collect(std::int64_t first, std::int64_t last, const Bad& bad) {
    copy_elements(exec_, host_bad_step_, bad_step_);
    copy_elements(exec_, host_entries_, entries_);
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
    const std::string where = bad(step);
    std::string values;
    for (std::size_t k = 0; k < terms_.size(); ++k) {
      values += text(terms_[k], ' ', losses.terms[k], ", ");
    }
    throw NotFiniteError(text("vrfm: step ", step, " is not finite: ", values, "gradient norm ",
                              losses.gradient_norm, where,
                              "; the parameters are those before this step"));
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
