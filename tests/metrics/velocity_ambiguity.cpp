// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Velocity ambiguity: SciPy's binned statistics, the closed form for straight lines between
// mixtures, trajectories, checks.
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <tests/golden/metrics.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/metrics/velocity_ambiguity.hpp>

using namespace vrfm;
using test::difference, test::epsilon, test::Numbers;

namespace {

template <class T, class Exec>
Array<T, Exec> array(const std::vector<double>& values) {
  const Array<T, Exec> result("array", values.size());
  const auto host = Kokkos::create_mirror_view(result);
  for (std::size_t i = 0; i < values.size(); ++i) host(i) = static_cast<T>(values[i]);
  Kokkos::deep_copy(result, host);
  return result;
}

template <class T, class Exec>
GivenVelocityPoints<T, Exec> points(const std::vector<double>& t, const std::vector<double>& x,
                                    const std::vector<double>& v) {
  return {array<T, Exec>(t), array<T, Exec>(x), array<T, Exec>(v)};
}

}  // namespace

TEST_CASE("bins of a range", "[metrics][ambiguity]") {
  const BinRange range{-1, 1, 4};
  CHECK(range.find(-1) == 0);
  CHECK(range.find(-0.5) == 1);
  CHECK(range.find(0.4375) == 2);
  CHECK(range.find(1) == 3);
  CHECK(range.find(std::nextafter(1, 2)) == -1);
  CHECK(range.find(std::nextafter(-1, -2)) == -1);
  CHECK(range.find(std::numeric_limits<double>::quiet_NaN()) == -1);
}

TEMPLATE_LIST_TEST_CASE("an ambiguity map agrees with SciPy's binned statistics",
                        "[metrics][ambiguity]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto p = points<T, Exec>(Numbers(8).take(500), Numbers(9).take(500), Numbers(10).take(500));
  const auto map = velocity_ambiguity(exec, p, {-1, 1, 3}, {-0.5, 1, 4});
  // The numbers are exact in T, all else is double.
  CHECK(map.count == test::expected::ambiguity_count);
  CHECK(difference(map.mean, test::expected::ambiguity_mean, 16 * epsilon<double>) == "");
  CHECK(difference(map.deviation, test::expected::ambiguity_deviation, 16 * epsilon<double>) == "");

  const auto histograms =
      velocity_histograms(exec, p, {{0.25, -0.25, 0.5, 0.375}, {5, 0, 0.5, 0.5}}, {-0.75, 0.75, 6});
  REQUIRE(histograms.size() == 2);
  CHECK(std::vector<double>(histograms[0].count.begin(), histograms[0].count.end()) ==
        test::expected::ambiguity_histogram);
  CHECK(static_cast<double>(histograms[0].outside) == test::expected::ambiguity_outside);
  CHECK(histograms[1].count == std::vector<std::int64_t>(6, 0));
  CHECK(histograms[1].outside == 0);
}

TEMPLATE_LIST_TEST_CASE("equal velocities have no ambiguity", "[metrics][ambiguity]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const std::vector<double> velocity(1000, 0.1);
  const auto map = velocity_ambiguity(
      Exec(), points<T, Exec>(Numbers(1).take(1000), Numbers(2).take(1000), velocity), {-1, 1, 1},
      {-1, 3, 2});
  CHECK(map.count == std::vector<double>{1000, 0});
  CHECK(map.mean[0] == static_cast<double>(T(0.1)));
  CHECK(map.deviation[0] == 0);
  CHECK((std::isnan(map.mean[1]) && std::isnan(map.deviation[1])));
}

TEMPLATE_LIST_TEST_CASE("trajectories give their segments' velocities", "[metrics][ambiguity]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // Two samples at 0, 1/4 and 1: velocities 4 and -4, then 2 and 0.
  const Kokkos::View<T***, Kokkos::LayoutRight, typename Exec::memory_space> x("x", 3, 2, 1);
  const auto host = Kokkos::create_mirror_view(x);
  host(0, 0, 0) = 0, host(1, 0, 0) = 1, host(2, 0, 0) = T(2.5);
  host(0, 1, 0) = 0, host(1, 1, 0) = -1, host(2, 1, 0) = -1;
  Kokkos::deep_copy(x, host);
  const TrajectoryVelocityPoints<T, Exec> segments(exec, x, {0, 0.25, 1});
  CHECK(segments.count() == 4);
  const auto map = velocity_ambiguity(exec, segments, {0, 0.5, 2}, {-3, 3, 2});
  // Rows t < 1/4 and t >= 1/4, columns x < 0 and x >= 0.
  CHECK(map.count == std::vector<double>{0, 2, 1, 1});
  CHECK((map.mean[1] == 0 && map.mean[2] == 0 && map.mean[3] == 2));
  CHECK((map.deviation[1] == 4 && map.deviation[2] == 0 && map.deviation[3] == 0));
}

TEMPLATE_LIST_TEST_CASE("straight lines between Gaussians have the known ambiguity",
                        "[metrics][ambiguity]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // N(0, 1) to N(2, 1/4): the deviation of u given x_t is s r / sqrt((1 - t)^2 s^2 + t^2 r^2),
  // whatever x. The mean of u changes over a bin by gain * width, which adds a little.
  const auto pairs = independent(standard_normal<T>(exec, 1), mixture_1d<T>(exec, {2}, 0.5));
  constexpr int samples = 20000, times = 4;
  const StraightVelocityPoints<T, decltype(pairs)> lines(pairs, samples, times, 3);
  CHECK(lines.count() == samples * times);
  const auto map = velocity_ambiguity(exec, lines, {0, 1, times}, {-4, 6, 200});
  for (int k = 0; k < times; ++k) {
    const double t = (k + 0.5) / times;
    const double variance = (1 - t) * (1 - t) + t * t / 4;
    const double gain = (t / 4 - (1 - t)) / variance, width = 10.0 / 200;
    const double expected = 0.5 / std::sqrt(variance);
    double total = 0;
    for (int j = 0; j < 200; ++j) {
      const auto bin = static_cast<std::size_t>(k * 200 + j);
      const double n = map.count[bin];
      total += n;
      if (n < 100) continue;
      const double centre = -4 + (j + 0.5) * width;
      const double mean = 2 + gain * (centre - 2 * t);
      // Five standard errors and the change over the bin.
      CHECK(std::fabs(map.mean[bin] - mean) <=
            5 * expected / std::sqrt(n) + std::fabs(gain) * width / 2);
      CHECK(std::fabs(map.deviation[bin] - expected) <=
            5 * expected / std::sqrt(2 * n) + std::fabs(gain) * width / 2);
    }
    CHECK(total > 0.99 * samples);
  }
}

TEST_CASE("ambiguity maps check their arguments", "[metrics][ambiguity]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto good = points<float, Exec>({0}, {0}, {0});
  const BinRange unit{0, 1, 2};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(error([&] {
          velocity_ambiguity(exec, good, {0, 1, 0}, unit);
        }) ==
        "vrfm: velocity_ambiguity: time: expected at least one bin and low < high, but got 0 bins "
        "over [0, 1]");
  CHECK(error([&] {
          velocity_ambiguity(exec, good, unit, {1, 1, 2});
        }) ==
        "vrfm: velocity_ambiguity: position: expected at least one bin and low < high, but got 2 "
        "bins over [1, 1]");
  CHECK(test::contains(error([&] {
                         velocity_histograms(exec, good, {}, {0, nan, 2});
                       }),
                       "velocity_histograms: velocity: expected at least one bin"));
  CHECK(error([&] {
          velocity_ambiguity(exec, good, {0, 1, 65536}, {0, 1, 65536});
        }) ==
        "vrfm: velocity_ambiguity: the number of bins of time and position is 4294967296, but must "
        "be in -2147483648 to 2147483647");
  CHECK(error([&] { velocity_ambiguity(exec, points<float, Exec>({}, {}, {}), unit, unit); }) ==
        "vrfm: velocity_ambiguity: expected at least one point, but got none");
  CHECK(error([&] {
          velocity_ambiguity(exec, points<float, Exec>({0, 0}, {0, 0}, {0, nan}), unit, unit);
        }) == "vrfm: velocity_ambiguity: point 1 holds a number that is not finite");
  CHECK(error([&] {
          points<float, Exec>({0, 0}, {0}, {0, 0});
        }) == "vrfm: time has 2 elements but position has 1 elements");
  using Lines = TrajectoryVelocityPoints<float, Exec>;
  using View = Kokkos::View<float***, Kokkos::LayoutRight, Exec::memory_space>;
  CHECK(error([&] {
          Lines(exec, View("x", 2, 1, 1), {0, 1, 2});
        }) == "vrfm: trajectories has 2 points in time but times has 3 points in time");
  CHECK(error([&] {
          Lines(exec, View("x", 2, 1, 2), {0, 1});
        }) == "vrfm: TrajectoryVelocityPoints: expected one dimension, but got 2");
  CHECK(error([&] {
          Lines(exec, View("x", 2, 1, 1), {0, 0});
        }) == "vrfm: TrajectoryVelocityPoints: time 1 is 0, which is not after the one before");
  CHECK(error([&] { Lines(exec, View("x", 1, 1, 1), {0}); }) ==
        "vrfm: TrajectoryVelocityPoints: expected at least two points in time, but got 1");
  const auto plane = independent(standard_normal<float>(exec, 2), standard_normal<float>(exec, 2));
  CHECK(error([&] { StraightVelocityPoints<float, decltype(plane)>(plane, 1, 1, 0); }) ==
        "vrfm: StraightVelocityPoints: expected one dimension, but got 2");
}
