// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Path statistics: straight lines, a quarter circle, NumPy's values on random walks, checks.
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <tests/golden/metrics.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/path_statistics.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

namespace {

template <class T, class Exec>
using Trajectories = Kokkos::View<T***, Kokkos::LayoutRight, typename Exec::memory_space>;

/// `values` in the order [times][samples][dimension].
template <class T, class Exec>
Trajectories<T, Exec> trajectories(std::size_t times, std::size_t samples, std::size_t dimension,
                                   const std::vector<double>& values) {
  const Trajectories<T, Exec> result("trajectories", times, samples, dimension);
  const auto host = Kokkos::create_mirror_view(result);
  for (std::size_t k = 0; k < values.size(); ++k)
    host(k / dimension / samples, k / dimension % samples, k % dimension) =
        static_cast<T>(values[k]);
  Kokkos::deep_copy(result, host);
  return result;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("straight paths at constant speed are straight", "[metrics][path]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  // Multiples of 1/4, exact in both types; the last sample stays where it is.
  const std::vector<double> times = {0, 0.25, 0.75, 1};
  std::vector<double> values;
  for (const double t : times) values.insert(values.end(), {1 + 3 * t, 4 * t, -t, 2 * t, 5, 5});
  const auto result = path_statistics(Exec(), trajectories<T, Exec>(4, 3, 2, values), times);
  CHECK(result.straightness <= 64 * epsilon<double>);
  CHECK(std::fabs(result.mean_ratio - 1) <= 4 * epsilon<double>);
  CHECK(std::fabs(result.median_ratio - 1) <= 4 * epsilon<double>);
}

TEMPLATE_LIST_TEST_CASE("uneven speed is not straight though its path is", "[metrics][path]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  // Speeds 1 and 3 for a half each: v - d is -1, then 1.
  const auto result =
      path_statistics(Exec(), trajectories<T, Exec>(3, 1, 1, {0, 0.5, 2}), {0, 0.5, 1});
  CHECK(result.straightness == 1);
  CHECK(result.mean_ratio == 1);
  CHECK(result.median_ratio == 1);
}

TEMPLATE_LIST_TEST_CASE("a quarter circle", "[metrics][path]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const double pi = std::acos(-1.0);
  constexpr int segments = 512;
  const auto point = [&](int k) {
    const double angle = pi / 2 * k / segments;
    return test::table<T, Exec>(1, 2, {std::cos(angle), std::sin(angle)});
  };
  PathStatistics<T, Exec> statistics(exec, point(0), 0);
  for (int k = 1; k <= segments; ++k) statistics.add(exec, point(k), double(k) / segments);
  const auto result = statistics.summary(exec);
  // A chord of angle a is shorter than its arc by a^2 / 24 of it; rounding moves each of its ends
  // by epsilon.
  const double angle = pi / 2 / segments;
  const double relative = angle * angle / 24 + 2 * epsilon<T> / angle;
  const double ratio = pi / 2 / std::sqrt(2.0);
  CHECK(std::fabs(result.median_ratio - ratio) <= relative * ratio + 4 * epsilon<T>);
  CHECK(result.mean_ratio == result.median_ratio);
  // |v|^2 - |d|^2 = (pi / 2)^2 - 2.
  const double speed = pi * pi / 4;
  CHECK(std::fabs(result.straightness - (speed - 2)) <= 2 * relative * speed + 8 * epsilon<T>);
}

TEMPLATE_LIST_TEST_CASE("path statistics of random walks agree with NumPy", "[metrics][path]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const auto walks = trajectories<T, Exec>(5, 64, 3, Numbers(7).take(5 * 64 * 3));
  const auto result = path_statistics(Exec(), walks, {0, 0.125, 0.25, 0.625, 1.5});
  // The numbers are exact in T, all else is double.
  const auto agrees = [](double actual, double expected) {
    return std::fabs(actual - expected) <= 64 * epsilon<double> * expected;
  };
  CHECK(agrees(result.straightness, test::expected::walk_straightness));
  CHECK(agrees(result.mean_ratio, test::expected::walk_mean_ratio));
  CHECK(agrees(result.median_ratio, test::expected::walk_median_ratio));
}

TEMPLATE_LIST_TEST_CASE("ratios per sample, and a closed path", "[metrics][path]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  PathStatistics<T, Exec> statistics(exec, test::table<T, Exec>(3, 1, {0, 0, 0}), -1);
  statistics.add(exec, test::table<T, Exec>(3, 1, {1, 2, 4}), 0);
  statistics.add(exec, test::table<T, Exec>(3, 1, {2, 1, 0}), 2);
  const auto ratios = statistics.ratios(exec);
  exec.fence();
  const auto host = Kokkos::create_mirror_view(ratios);
  Kokkos::deep_copy(host, ratios);
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(host(0) == 1);
  CHECK(host(1) == 3);
  CHECK(host(2) == infinity);
  const auto result = statistics.summary(exec);
  CHECK(result.median_ratio == 3);
  CHECK(result.mean_ratio == infinity);
}

TEST_CASE("path statistics check their arguments", "[metrics][path]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto good = test::table<float, Exec>(2, 1, {1, 2});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto bad = test::table<float, Exec>(2, 1, {1, nan});
  PathStatistics<float, Exec> statistics(exec, good, 0);
  CHECK(error([&] { statistics.summary(exec); }) ==
        "vrfm: PathStatistics: expected at least one segment, but got none");
  CHECK(error([&] { statistics.add(exec, good, 0); }) ==
        "vrfm: PathStatistics: expected a time after 0, but got 0");
  CHECK(test::contains(error([&] { statistics.add(exec, good, nan); }), "expected a time after 0"));
  CHECK(error([&] { statistics.add(exec, test::table<float, Exec>(1, 1, {1}), 1); }) ==
        "vrfm: x has 1 rows but the path's start has 2 rows");
  CHECK(error([&] {
          statistics.add(exec, test::table<float, Exec>(2, 2, {1, 2, 3, 4}), 1);
        }) == "vrfm: x has 2 columns but the path's start has 1 columns");
  statistics.add(exec, bad, 0.5);
  statistics.add(exec, good, 1);
  CHECK(error([&] { statistics.summary(exec); }) ==
        "vrfm: PathStatistics: the path of sample 1 is not finite");
  CHECK(error([&] { PathStatistics<float, Exec>(exec, bad, 0); }) ==
        "vrfm: PathStatistics: x: row 1 holds a number that is not finite");
  const auto two = trajectories<float, Exec>(2, 1, 1, {0, 1});
  CHECK(error([&] {
          path_statistics(exec, two, {0, 0.5, 1});
        }) == "vrfm: trajectories has 2 points in time but times has 3 points in time");
  CHECK(error([&] { path_statistics(exec, trajectories<float, Exec>(1, 1, 1, {0}), {0}); }) ==
        "vrfm: path_statistics: expected at least two points in time, but got 1");
}
