// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Energy distance: by hand, SciPy's values, the two estimates.
#include <cmath>
#include <limits>
#include <stdexcept>

#include <tests/golden/metrics.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/energy_distance.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

TEMPLATE_LIST_TEST_CASE("energy distance by hand", "[metrics][energy]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto a = test::table<T, Exec>(2, 2, {0, 0, 3, 4}),
             b = test::table<T, Exec>(2, 2, {0, 0, 0, 1});
  // Distances between: 0, 1, 5, sqrt 18; within: 5 and 1.
  const double between = (6 + std::sqrt(18.0)) / 4;
  CHECK(std::fabs(energy_distance(exec, a, b) - (2 * between - 5.0 / 2 - 1.0 / 2)) <=
        8 * epsilon<T>);
  CHECK(std::fabs(energy_distance(exec, a, b, EnergyEstimate::unbiased) - (2 * between - 5 - 1)) <=
        8 * epsilon<T>);
  const auto x = test::table<T, Exec>(300, 3, Numbers(1).take(900));
  CHECK(energy_distance(exec, x, x) == 0);
  // Two points: twice their distance.
  const auto p = test::table<T, Exec>(1, 1, {1}), q = test::table<T, Exec>(1, 1, {-2});
  CHECK(energy_distance(exec, p, q) == 6);
}

TEMPLATE_LIST_TEST_CASE("energy distance agrees with SciPy", "[metrics][energy]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  auto line = Numbers(6).take(37), plane = Numbers(2).take(600);
  for (double& value : line) value *= value;
  for (double& value : plane) value *= value;
  const auto a1 = test::table<T, Exec>(100, 1, Numbers(5).take(100));
  const auto b1 = test::table<T, Exec>(37, 1, line);
  const auto a2 = test::table<T, Exec>(700, 2, Numbers(1).take(1400));
  const auto b2 = test::table<T, Exec>(300, 2, plane);
  const double tolerance = 4 * epsilon<T>;
  CHECK(std::fabs(energy_distance(exec, a1, b1) - test::expected::energy_1d) <= tolerance);
  CHECK(std::fabs(energy_distance(exec, a2, b2) - test::expected::energy_2d) <= tolerance);
  CHECK(std::fabs(energy_distance(exec, a2, b2, EnergyEstimate::unbiased) -
                  test::expected::energy_2d_unbiased) <= tolerance);
}

TEST_CASE("energy distance checks its arguments", "[metrics][energy]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto line = test::table<float, Exec>(2, 1, {1, 2}),
             one = test::table<float, Exec>(1, 1, {1});
  const auto plane = test::table<float, Exec>(1, 2, {1, 2});
  const double infinity = std::numeric_limits<double>::infinity();
  const auto bad = test::table<float, Exec>(2, 1, {-infinity, 1});
  CHECK(error([&] { energy_distance(exec, line, plane); }) ==
        "vrfm: a has 1 columns but b has 2 columns");
  CHECK(error([&] { energy_distance(exec, bad, line); }) ==
        "vrfm: energy_distance: a: row 0 holds a number that is not finite");
  CHECK(error([&] { energy_distance(exec, line, Table<float, Exec>("empty", 0, 1)); }) ==
        "vrfm: energy_distance: b: expected at least one sample, but got 0 rows of 1 columns");
  CHECK(error([&] { energy_distance(exec, line, one, EnergyEstimate::unbiased); }) ==
        "vrfm: energy_distance: the unbiased estimate needs two samples of each, but got 2 and 1");
}
