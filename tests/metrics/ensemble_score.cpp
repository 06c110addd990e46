// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fair scores of ensembles: by hand, closed forms, the package scoringrules.
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <tests/golden/ensembles.hpp>
#include <tests/metrics/ensembles.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/ensemble_score.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

TEMPLATE_LIST_TEST_CASE("scores of ensembles by hand", "[metrics][ensemble]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // Case 0: distances to the truth 1, 1, 2 and between members 2, 3, 1; case 1: all at the truth but one.
  const auto x = test::ensembles<T, Exec>(2, 3, 1, {5, 3, 2, 1, 1, 4});
  const auto y = test::table<T, Exec>(2, 1, {4, 1});
  const double first = 4.0 / 3 - 6.0 / 6, second = 3.0 / 3 - 6.0 / 6;
  const double mean = (first + second) / 2, error = std::fabs(first - second) / 2;
  for (const Estimate& found : {crps(exec, x, y), energy_score(exec, x, y)}) {
    CHECK(std::fabs(found.value - mean) <= 8 * epsilon<double>);
    CHECK(std::fabs(found.standard_error - error) <= 8 * epsilon<double>);
  }
  // Vectors of length 5 and 13 at right angles: their distance is sqrt 194.
  const auto plane = test::ensembles<T, Exec>(1, 2, 2, {3, 4, 12, -5});
  const auto found = energy_score(exec, plane, test::table<T, Exec>(1, 2, {0, 0}));
  const double distance = std::hypot(9.0, 9.0);
  CHECK(std::fabs(found.value - (9 - distance / 2)) <= 32 * epsilon<double>);
  CHECK(std::isnan(found.standard_error));
}

TEMPLATE_LIST_TEST_CASE("scores of ensembles agree with scoringrules", "[metrics][ensemble]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto x = test::ensembles<T, Exec>(40, 11, 3, Numbers(31).take(40 * 11 * 3));
  const auto y = test::table<T, Exec>(40, 3, Numbers(32).take(40 * 3));
  const auto check = [](const Estimate& found, const std::vector<double>& expected) {
    CHECK(test::difference({found.value, found.standard_error}, expected, 100 * epsilon<double>) ==
          "");
  };
  check(crps(exec, x, y), test::expected::crps);
  check(energy_score(exec, x, y), test::expected::energy_score);
}

TEST_CASE("the fair CRPS of any number of members is that of their distribution",
          "[metrics][ensemble]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  // Members and truths uniform in (-1, 1): E|x - y| - E|x - x'| / 2 = 2/3 - 1/3. Also of large numbers: the members
  // count from the truth.
  const std::size_t cases = 4000;
  for (const std::size_t members : {std::size_t(2), std::size_t(5)}) {
    const auto found = crps(
        exec, test::ensembles<double, Exec>(cases, members, 1, Numbers(1).take(cases * members)),
        test::table<double, Exec>(cases, 1, Numbers(2).take(cases)));
    CHECK(std::fabs(found.value - 1.0 / 3) < 4 * found.standard_error);
    CHECK(found.standard_error < 0.01);
  }
  const double large = 0x1p40;
  const auto far_off = crps(exec, test::ensembles<double, Exec>(1, 2, 1, {large + 1, large + 2}),
                            test::table<double, Exec>(1, 1, {large}));
  CHECK(far_off.value == 1);
}

TEST_CASE("scores of ensembles check their arguments", "[metrics][ensemble]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto x = test::ensembles<float, Exec>(2, 2, 1, {1, 2, 3, 4});
  const auto y = test::table<float, Exec>(2, 1, {1, 2});
  CHECK(error([&] { crps(exec, x, test::table<float, Exec>(1, 1, {1})); }) ==
        "vrfm: ensembles has 2 cases but truths has 1 cases");
  CHECK(error([&] {
          crps(exec, x, test::table<float, Exec>(2, 2, {1, 2, 3, 4}));
        }) == "vrfm: ensembles has 1 columns but truths has 2 columns");
  CHECK(error([&] {
          energy_score(exec, test::ensembles<float, Exec>(2, 1, 1, {1, 2}), y);
        }) == "vrfm: energy_score: expected at least 2 members, but got 1");
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(error([&] {
          crps(exec, test::ensembles<float, Exec>(2, 2, 1, {1, 2, infinity, 3}), y);
        }) == "vrfm: crps: ensembles (one row a member): row 2 holds a number that is not finite");
  CHECK(error([&] { mean_of(exec, Array<double, Exec>()); }) ==
        "vrfm: mean_of: expected at least one value, but got none");
}
