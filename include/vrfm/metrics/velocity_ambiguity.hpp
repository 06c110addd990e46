// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Velocity ambiguity in one dimension: how many different velocities meet at one (t, x). A map of
// the velocity's mean and standard deviation over bins of (t, x), and histograms of the velocity in
// windows around chosen points (Guo and Schwing, "Variational Rectified Flow Matching", ICML 2025,
// figure 3). Moments are accumulated by Welford's update in a fixed number of slices and combined by
// Chan's formula in order, so that a bin of equal velocities has deviation zero and the map is the
// same to the last bit for any number of threads.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include <vrfm/core/copy.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/metrics/detail/samples.hpp>
#include <vrfm/metrics/velocity_points.hpp>

namespace vrfm {

/// `bins` equal bins over [low, high]; `high` itself belongs to the last one.
struct BinRange {
  double low, high;
  int bins;

  /// The bin of `value`, or -1 outside.
  KOKKOS_FUNCTION int find(double value) const {
    if (!(value >= low && value <= high)) return -1;
    return math::minimum(static_cast<int>((value - low) / (high - low) * bins), bins - 1);
  }
};

/// Element [i * position.bins + j] belongs to time bin i and position bin j.
struct AmbiguityMap {
  BinRange time, position;
  std::vector<double> count;
  std::vector<double> mean;       ///< of the velocity; NaN in an empty bin
  std::vector<double> deviation;  ///< of the velocity (divided by count); NaN in an empty bin
};

/// Points with |t - time| <= half_time and |x - position| <= half_position.
struct VelocityWindow {
  double time, position, half_time, half_position;
};

/// The velocities in one window.
struct VelocityHistogram {
  std::vector<std::int64_t> count;  ///< [bins]
  std::int64_t outside = 0;         ///< in the window, but with a velocity beyond the bins
};

namespace detail::metrics {

struct VelocityMoments {
  double count = 0, mean = 0, squares = 0;

  KOKKOS_FUNCTION void add(const VelocityMoments& other) {
    if (other.count == 0) return;
    const double total = count + other.count, offset = other.mean - mean;
    mean += offset * other.count / total;
    squares += other.squares + offset * offset * count * other.count / total;
    count = total;
  }
};

template <class Points, class Moments>
struct BinSlice {
  Points points;
  BinRange time, position;
  Moments moments;  // [slices][bins]

  KOKKOS_FUNCTION void operator()(int slice) const {
    const std::int64_t count = points.count();
    const auto slices = static_cast<std::int64_t>(moments.extent(0));
    const std::int64_t length = (count + slices - 1) / slices;
    const std::int64_t last = math::minimum((slice + 1) * length, count);
    for (std::int64_t index = slice * length; index < last; ++index) {
      const VelocityPoint point = points(index);
      const int i = time.find(point.time), j = position.find(point.position);
      if (i >= 0 && j >= 0) moments(slice, i * position.bins + j).add({1, point.velocity, 0});
    }
  }
};

template <class Moments>
struct CombineSlices {
  Moments moments;  // the result in slice 0

  KOKKOS_FUNCTION void operator()(int bin) const {
    for (std::size_t slice = 1; slice < moments.extent(0); ++slice)
      moments(0, bin).add(moments(slice, bin));
  }
};

template <class Points, class Windows, class Counts>
struct CountVelocity {
  Points points;
  BinRange velocity;
  Windows windows;
  Counts counts;  // [windows][bins + 1], the last for velocities outside

  KOKKOS_FUNCTION void operator()(std::int64_t index) const {
    const VelocityPoint point = points(index);
    for (std::size_t w = 0; w < windows.extent(0); ++w) {
      const VelocityWindow& window = windows(w);
      if (math::fabs(point.time - window.time) > window.half_time ||
          math::fabs(point.position - window.position) > window.half_position)
        continue;
      const int bin = velocity.find(point.velocity);
      // Integers: the order of the additions does not matter.
      Kokkos::atomic_add(&counts(w, bin < 0 ? velocity.bins : bin), std::int64_t(1));
    }
  }
};

template <class Points>
struct PointNotFinite {
  Points points;
  KOKKOS_FUNCTION bool operator()(std::int64_t index) const {
    const VelocityPoint point = points(index);
    return !(math::is_finite(point.time) && math::is_finite(point.position) &&
             math::is_finite(point.velocity));
  }
};

inline void check_range(std::string_view name, const BinRange& range) {
  expect(range.bins > 0 && range.low < range.high && math::is_finite(range.high - range.low), name,
         ": expected at least one bin and low < high, but got ", range.bins, " bins over [",
         range.low, ", ", range.high, ']');
}

template <ExecutionSpace Exec, class Points>
void check_points(const Exec& exec, std::string_view name, const Points& points) {
  const std::int64_t count = points.count();
  expect(count > 0, name, ": expected at least one point, but got none");
  const std::int64_t bad = first_bad(exec, count, PointNotFinite<Points>{points});
  expect(bad == count, name, ": point ", bad, " holds a number that is not finite");
}

}  // namespace detail::metrics

/// The velocity's moments over bins of time and position. Points outside the ranges do not count.
/// Throws std::invalid_argument for empty ranges, no points, or a point that is not finite. Fences
/// `exec`.
template <ExecutionSpace Exec, VelocityPoints Points>
AmbiguityMap velocity_ambiguity(const Exec& exec, const Points& points, const BinRange& time,
                                const BinRange& position) {
  detail::metrics::check_range("velocity_ambiguity: time", time);
  detail::metrics::check_range("velocity_ambiguity: position", position);
  detail::metrics::check_points(exec, "velocity_ambiguity", points);
  const int bins = narrow<int>(std::int64_t(time.bins) * position.bins,
                               "velocity_ambiguity: the number of bins of time and position");
  constexpr int slices = 64;
  using Moments = Kokkos::View<detail::metrics::VelocityMoments**, Kokkos::LayoutRight,
                               typename Exec::memory_space>;
  const Moments moments(Kokkos::view_alloc("vrfm::velocity_ambiguity", exec), slices,
                        static_cast<std::size_t>(bins));
  launch_each(exec, "vrfm::velocity_ambiguity::bin", slices,
              detail::metrics::BinSlice<Points, Moments>{points, time, position, moments});
  launch_each(exec, "vrfm::velocity_ambiguity::combine", bins,
              detail::metrics::CombineSlices<Moments>{moments});
  const auto host = to_host(exec, moments);

  AmbiguityMap map{time, position, {}, {}, {}};
  for (int bin = 0; bin < bins; ++bin) {
    const auto& m = host(0, bin);
    const bool empty = m.count == 0;
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    map.count.push_back(m.count);
    map.mean.push_back(empty ? none : m.mean);
    map.deviation.push_back(empty ? none : std::sqrt(m.squares / m.count));
  }
  return map;
}

/// A histogram of the velocity for each window. Throws and fences as above.
template <ExecutionSpace Exec, VelocityPoints Points>
std::vector<VelocityHistogram> velocity_histograms(const Exec& exec, const Points& points,
                                                   const std::vector<VelocityWindow>& windows,
                                                   const BinRange& velocity) {
  detail::metrics::check_range("velocity_histograms: velocity", velocity);
  detail::metrics::check_points(exec, "velocity_histograms", points);
  using Windows = Array<VelocityWindow, Exec>;
  using Counts = Table<std::int64_t, Exec>;
  const Windows where(Kokkos::view_alloc("vrfm::velocity_histograms::windows", exec),
                      windows.size());
  const Counts counts(Kokkos::view_alloc("vrfm::velocity_histograms::counts", exec), windows.size(),
                      static_cast<std::size_t>(velocity.bins) + 1);
  const auto host_windows = Kokkos::create_mirror_view(where);
  for (std::size_t w = 0; w < windows.size(); ++w) host_windows(w) = windows[w];
  copy_elements(exec, where, host_windows);
  launch_each(
      exec, "vrfm::velocity_histograms::count", static_cast<std::int64_t>(points.count()),
      detail::metrics::CountVelocity<Points, Windows, Counts>{points, velocity, where, counts});
  const auto host = to_host(exec, counts);

  std::vector<VelocityHistogram> histograms(windows.size());
  for (std::size_t w = 0; w < windows.size(); ++w) {
    for (int bin = 0; bin < velocity.bins; ++bin) histograms[w].count.push_back(host(w, bin));
    histograms[w].outside = host(w, velocity.bins);
  }
  return histograms;
}

}  // namespace vrfm
