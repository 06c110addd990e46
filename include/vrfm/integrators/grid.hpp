// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Time grids: the times t_0, ..., t_n, increasing or decreasing, that trajectories pass through and
// at which they may be saved. How to get from one time to the next is the solver's choice.
#pragma once

#include <cmath>
#include <initializer_list>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>

namespace vrfm {

/// A grid inside kernels: uniform, or read from `times` (intervals + 1 entries).
struct GridView {
  double begin = 0;
  double end = 1;
  int intervals = 1;
  const double* times = nullptr;

  KOKKOS_INLINE_FUNCTION double operator()(int n) const {
    if (times != nullptr) return times[n];
    return n == intervals ? end : begin + (end - begin) * n / intervals;
  }
};

class TimeGrid {
 public:
  /// From 0 to 1 in one interval.
  TimeGrid() = default;

  /// The given times. Throws std::invalid_argument unless there are at least two, all finite, and
  /// they strictly increase or strictly decrease.
  TimeGrid(std::initializer_list<double> times) : TimeGrid(std::vector<double>(times)) {}

  explicit TimeGrid(std::vector<double> times) : times_(std::move(times)) {
    expect(times_.size() >= 2, "a time grid needs at least 2 times, got ", times_.size());
    begin_ = times_.front();
    end_ = times_.back();
    intervals_ = narrow<int>(times_.size() - 1, "the number of a grid's intervals");
    for (std::size_t i = 0; i + 1 < times_.size(); ++i) {
      expect(std::isfinite(times_[i + 1] - times_[i]) &&
                 (begin_ < end_ ? times_[i] < times_[i + 1] : times_[i] > times_[i + 1]),
             "the times of a grid must be finite and strictly monotonic, but time ", i, " is ",
             times_[i], " and time ", i + 1, " is ", times_[i + 1]);
    }
    if (intervals_ == 1) times_.clear();
  }

  /// `intervals` equal intervals from `begin` to `end`. Throws std::invalid_argument unless both
  /// are finite and differ and intervals >= 1.
  static TimeGrid uniform(double begin, double end, int intervals) {
    expect(intervals >= 1, "a time grid needs at least 1 interval, got ", intervals);
    TimeGrid grid{begin, end};
    grid.intervals_ = intervals;
    return grid;
  }

  double begin() const { return begin_; }
  double end() const { return end_; }
  int intervals() const { return intervals_; }
  int points() const { return intervals_ + 1; }

  double operator[](int n) const {
    return times_.empty() ? GridView{begin_, end_, intervals_}(n)
                          : times_[static_cast<std::size_t>(n)];
  }

  /// The same times in the opposite order.
  TimeGrid reversed() const {
    if (times_.empty()) return uniform(end_, begin_, intervals_);
    return TimeGrid(std::vector<double>(times_.rbegin(), times_.rend()));
  }

  const std::vector<double>& times() const { return times_; }

 private:
  double begin_ = 0;
  double end_ = 1;
  int intervals_ = 1;
  std::vector<double> times_;  // empty: uniform
};

/// A copy of a grid in the memory of `Exec`; kernels may read it as long as this object lives.
template <ExecutionSpace Exec>
class DeviceGrid {
 public:
  DeviceGrid(const Exec& exec, const TimeGrid& grid)
      : view_{grid.begin(), grid.end(), grid.intervals(), nullptr} {
    if (grid.times().empty()) return;
    times_ = Array<double, Exec>("vrfm::DeviceGrid::times", grid.times().size());
    using Unmanaged = Kokkos::MemoryTraits<Kokkos::Unmanaged>;
    copy_elements(exec, times_,
                  Kokkos::View<const double*, Kokkos::HostSpace, Unmanaged>(grid.times().data(),
                                                                            grid.times().size()));
    exec.fence();
    view_.times = times_.data();
  }

  const GridView& view() const { return view_; }

 private:
  Array<double, Exec> times_;
  GridView view_;
};

}  // namespace vrfm
