// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How straight trajectories are. A trajectory is the polyline through its recorded points. On each
// segment the velocity is the difference quotient v = dx / dt, which for Euler steps is the model's
// own velocity. With the displacement d = x(end) - x(start) over the duration T:
//   straightness = E integral || v - d / T ||^2 dt = E [ sum || dx ||^2 / dt - || d ||^2 / T ]
//   path ratio   = (sum || dx ||) / || d ||, one for a straight path
// Straightness as in Liu, Gong and Liu, "Flow straight and fast", ICLR 2023, section 3.
#pragma once

#include <algorithm>
#include <vector>

#include <vrfm/core/copy.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/metrics/detail/fixed_sum.hpp>
#include <vrfm/metrics/detail/samples.hpp>

namespace vrfm {

/// The summary of the trajectories of one batch.
struct PathSummary {
  double straightness;  ///< mean over samples, in squared length per time; zero if straight
  double mean_ratio;    ///< path length over displacement; infinite if a path closes on itself
  double median_ratio;  ///< likewise; with an even count, the mean of the two middle ones
};

namespace detail::metrics {

/// Adds the segment last -> next of each sample and makes `next` the last point.
template <class T, class Values>
struct AddSegment {
  Matrix<const T> next;
  Matrix<T> last;
  Values length, action;
  double duration;

  KOKKOS_FUNCTION void operator()(int i) const {
    double squares = 0;
    for (int d = 0; d < next.cols; ++d) {
      const double dx = static_cast<double>(next(i, d)) - static_cast<double>(last(i, d));
      squares += dx * dx;
      last(i, d) = next(i, d);
    }
    length(i) += math::sqrt(squares);
    action(i) += squares / duration;
  }
};

/// What one sample contributes: its straightness, or its ratio (a point at rest counts as one).
template <class T, class Values>
struct PathTerm {
  Matrix<const T> first, last;
  Values length, action;
  double duration;
  bool ratio;

  KOKKOS_FUNCTION double operator()(std::int64_t row) const {
    const int i = static_cast<int>(row);
    double squares = 0;
    for (int d = 0; d < first.cols; ++d) {
      const double dx = static_cast<double>(last(i, d)) - static_cast<double>(first(i, d));
      squares += dx * dx;
    }
    if (!ratio) return math::maximum(action(i) - squares / duration, 0.0);
    return length(i) == 0 ? 1.0 : length(i) / math::sqrt(squares);
  }
};

template <class Values>
struct ValueNotFinite {
  Values values;
  KOKKOS_FUNCTION bool operator()(std::int64_t i) const { return !math::is_finite(values(i)); }
};

}  // namespace detail::metrics

/// Accumulates the paths of a batch one time at a time, so that trajectories need not be stored.
template <Real T, ExecutionSpace Exec>
class PathStatistics {
 public:
  /// Starts at x [N][D] (copied) and `time`. Throws std::invalid_argument for empty or not finite
  /// samples.
  template <class View>
  PathStatistics(const Exec& exec, const View& x, double time)
      : start_time_(time),
        time_(time),
        first_(Kokkos::view_alloc("vrfm::PathStatistics::first", exec), x.extent(0), x.extent(1)),
        last_(Kokkos::view_alloc("vrfm::PathStatistics::last", exec), x.extent(0), x.extent(1)),
        length_(Kokkos::view_alloc("vrfm::PathStatistics::length", exec), x.extent(0)),
        action_(Kokkos::view_alloc("vrfm::PathStatistics::action", exec), x.extent(0)) {
    detail::metrics::samples(exec, "PathStatistics: x", x);
    Kokkos::deep_copy(exec, first_, x);
    Kokkos::deep_copy(exec, last_, x);
  }

  /// The samples have moved to x [N][D] at `time`. Does not fence. Throws std::invalid_argument for
  /// another shape or a time that is not after the last one.
  template <class View>
  void add(const Exec& exec, const View& x, double time) {
    const Matrix<const T> next = matrix(x);
    expect_same("x", static_cast<std::size_t>(next.rows), "the path's start", last_.extent(0),
                "rows");
    expect_same("x", static_cast<std::size_t>(next.cols), "the path's start", last_.extent(1),
                "columns");
    expect(time > time_, "PathStatistics: expected a time after ", time_, ", but got ", time);
    launch_each(exec, "vrfm::PathStatistics::add", next.rows,
                detail::metrics::AddSegment<T, Array<double, Exec>>{next, matrix(last_), length_,
                                                                    action_, time - time_});
    time_ = time;
  }

  /// Path length over displacement of each sample [N]. Does not fence.
  Array<double, Exec> ratios(const Exec& exec) const { return terms(exec, true); }

  /// Throws std::invalid_argument before the first segment, and if a sample's path is not finite.
  /// Fences `exec`.
  PathSummary summary(const Exec& exec) const {
    using detail::metrics::first_bad, detail::metrics::fixed_sum;
    expect(time_ > start_time_, "PathStatistics: expected at least one segment, but got none");
    const auto count = static_cast<std::int64_t>(first_.extent(0));
    const std::int64_t bad =
        first_bad(exec, count, detail::metrics::ValueNotFinite<Array<double, Exec>>{action_});
    expect(bad == count, "PathStatistics: the path of sample ", bad, " is not finite");
    const Array<double, Exec> ratio = ratios(exec);
    const double size = static_cast<double>(count);
    return {fixed_sum(exec, terms(exec, false)) / size, fixed_sum(exec, ratio) / size,
            median(exec, ratio)};
  }

 private:
  Array<double, Exec> terms(const Exec& exec, bool ratio) const {
    return detail::metrics::terms(
        exec, "vrfm::PathStatistics::term", 0, static_cast<std::int64_t>(first_.extent(0)),
        detail::metrics::PathTerm<T, Array<double, Exec>>{matrix(first_), matrix(last_), length_,
                                                          action_, time_ - start_time_, ratio});
  }

  static double median(const Exec& exec, const Array<double, Exec>& values) {
    // create_mirror, not create_mirror_view: nth_element must not reorder the values themselves.
    const auto host = Kokkos::create_mirror(values);
    copy_elements(exec, host, values);
    exec.fence();
    double* begin = host.data();
    double* end = begin + host.extent(0);
    double* middle = begin + host.extent(0) / 2;
    std::nth_element(begin, middle, end);
    if (host.extent(0) % 2 == 1) return *middle;
    return (*std::max_element(begin, middle) + *middle) / 2;
  }

  double start_time_, time_;
  Table<T, Exec> first_, last_;
  Array<double, Exec> length_, action_;
};

/// The summary of stored trajectories [times][N][D], a rank-3 Kokkos::LayoutRight view, at `times`.
/// Throws std::invalid_argument if the shapes differ, the times do not increase, or a number is not
/// finite. Fences `exec`.
template <ExecutionSpace Exec, class View>
PathSummary path_statistics(const Exec& exec, const View& trajectories,
                            const std::vector<double>& times) {
  using T = detail::metrics::Value<View>;
  static_assert(View::rank == 3, "vrfm: trajectories need rank 3, [times][samples][dimension]");
  static_assert(std::is_same_v<typename View::array_layout, Kokkos::LayoutRight>,
                "vrfm: trajectories need to be row-major (Kokkos::LayoutRight)");
  expect_same("trajectories", trajectories.extent(0), "times", times.size(), "points in time");
  expect(times.size() > 1, "path_statistics: expected at least two points in time, but got ",
         times.size());
  const auto points = [&](std::size_t k) {
    return Kokkos::subview(trajectories, k, Kokkos::ALL, Kokkos::ALL);
  };
  PathStatistics<T, Exec> statistics(exec, points(0), times[0]);
  for (std::size_t k = 1; k < times.size(); ++k) statistics.add(exec, points(k), times[k]);
  return statistics.summary(exec);
}

}  // namespace vrfm
