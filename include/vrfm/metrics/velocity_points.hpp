// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where the triples (t, x, v) of a velocity-ambiguity map come from: given arrays, recorded
// trajectories, or the ground truth, straight lines between random pairs. One dimension.
#pragma once

#include <cstdint>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/compat.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/core/distribution.hpp>

namespace vrfm {

/// The velocity of one trajectory at one time.
struct VelocityPoint {
  double time, position, velocity;
};

/// A finite sequence of velocity points that kernels can read.
template <class P>
concept VelocityPoints = requires(const P& points, std::int64_t index) {
  { points.count() } -> std::convertible_to<std::int64_t>;
  { points(index) } -> std::same_as<VelocityPoint>;
};

/// Triples given as three arrays [N]. Throws std::invalid_argument if their lengths differ.
template <Real T, ExecutionSpace Exec>
class GivenVelocityPoints {
 public:
  GivenVelocityPoints(const Array<const T, Exec>& time, const Array<const T, Exec>& position,
                      const Array<const T, Exec>& velocity)
      : time_(time), position_(position), velocity_(velocity) {
    expect_same("time", time.extent(0), "position", position.extent(0), "elements");
    expect_same("time", time.extent(0), "velocity", velocity.extent(0), "elements");
  }

  KOKKOS_FUNCTION std::int64_t count() const { return static_cast<std::int64_t>(time_.extent(0)); }

  KOKKOS_FUNCTION VelocityPoint operator()(std::int64_t i) const {
    return {static_cast<double>(time_(i)), static_cast<double>(position_(i)),
            static_cast<double>(velocity_(i))};
  }

 private:
  Array<const T, Exec> time_, position_, velocity_;
};

/// The segments of trajectories [times][N][1]: at each segment's start, the difference quotient to
/// its end, which for Euler steps is the model's velocity there.
template <Real T, ExecutionSpace Exec>
class TrajectoryVelocityPoints {
 public:
  using Trajectories = Kokkos::View<const T***, Kokkos::LayoutRight, typename Exec::memory_space>;

  /// Throws std::invalid_argument if the shapes differ, there are fewer than two times, the times
  /// do not increase, or the dimension is not one. Fences `exec`.
  TrajectoryVelocityPoints(const Exec& exec, const Trajectories& trajectories,
                           const std::vector<double>& times)
      : trajectories_(trajectories),
        times_(Kokkos::view_alloc("vrfm::TrajectoryVelocityPoints", exec), times.size()) {
    expect_same("trajectories", trajectories.extent(0), "times", times.size(), "points in time");
    expect(times.size() > 1,
           "TrajectoryVelocityPoints: expected at least two points in time, but got ",
           times.size());
    expect(trajectories.extent(2) == 1,
           "TrajectoryVelocityPoints: expected one dimension, but got ", trajectories.extent(2));
    const auto host = Kokkos::create_mirror_view(times_);
    for (std::size_t k = 0; k < times.size(); ++k) {
      host(k) = times[k];
      expect(k == 0 || times[k] > times[k - 1], "TrajectoryVelocityPoints: time ", k, " is ",
             times[k], ", which is not after the one before");
    }
    copy_elements(exec, times_, host);
    exec.fence();
  }

  KOKKOS_FUNCTION std::int64_t count() const {
    return static_cast<std::int64_t>((trajectories_.extent(0) - 1) * trajectories_.extent(1));
  }

  KOKKOS_FUNCTION VelocityPoint operator()(std::int64_t index) const {
    const auto samples = static_cast<std::int64_t>(trajectories_.extent(1));
    const std::int64_t k = index / samples, n = index % samples;
    const double x = trajectories_(k, n, 0), next = trajectories_(k + 1, n, 0);
    return {times_(k), x, (next - x) / (times_(k + 1) - times_(k))};
  }

 private:
  Trajectories trajectories_;
  Array<double, Exec> times_;
};

/// Straight lines x_t = (1 - t) x0 + t x1, v = x1 - x0, of pairs drawn from a pointwise coupling without
/// a condition, each at `times` equidistant moments, the middles of [k / times, (k + 1) / times).
template <Real T, class Pairs>
class StraightVelocityPoints {
 public:
  /// Throws std::invalid_argument unless the dimension is one, the counts are positive and there is no
  /// condition.
  StraightVelocityPoints(const Pairs& pairs, int samples, int times, std::uint32_t seed)
      : pairs_(pairs), samples_(samples), times_(times), seed_(seed) {
    expect(pairs.dimension() == 1, "StraightVelocityPoints: expected one dimension, but got ",
           pairs.dimension());
    expect(samples > 0 && times > 0,
           "StraightVelocityPoints: expected at least one sample and one time, but got ", samples,
           " and ", times);
    if constexpr (requires { pairs.condition(); }) {
      expect(pairs.condition() == ConditionShape{},
             "StraightVelocityPoints: expected a coupling without a condition or z");
    }
  }

  KOKKOS_FUNCTION std::int64_t count() const { return std::int64_t(samples_) * times_; }

  KOKKOS_FUNCTION VelocityPoint operator()(std::int64_t index) const {
    // Two elements, though one is used: compilers do not know that the dimension is one, and warn.
    T x0[2], x1[2];
    const SampleAddress address{
        .seed = seed_, .step = 0, .sample = static_cast<std::uint64_t>(index / times_)};
    pairs_.draw(address, Slot<T>{x0, x1, nullptr, nullptr, nullptr, nullptr});
    const double t = (static_cast<double>(index % times_) + 0.5) / times_;
    const double start = x0[0], velocity = static_cast<double>(x1[0]) - start;
    return {t, start + t * velocity, velocity};
  }

 private:
  Pairs pairs_;
  int samples_, times_;
  std::uint32_t seed_;
};

}  // namespace vrfm
