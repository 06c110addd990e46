// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Classifier two-sample test: by hand, scikit-learn's classifier on the same halves, its level.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include <tests/golden/two_samples.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/classifier_two_sample.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

TEMPLATE_LIST_TEST_CASE("classifier two-sample test by hand", "[metrics][two_sample]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // Far apart: whichever halves are drawn, all held-out samples are recognised.
  const auto a = test::table<T, Exec>(3, 1, {0, 1, 2}),
             b = test::table<T, Exec>(5, 1, {10, 11, 12, 13, 14});
  const auto apart = classifier_two_sample(exec, a, b);
  CHECK(apart.training == 2);
  CHECK(apart.held_out == 4);
  CHECK(apart.neighbours == 1);
  CHECK(apart.accuracy == 1);
  CHECK(apart.standard_error == 0);
  CHECK(std::fabs(apart.p_value - std::erfc(std::sqrt(2.0)) / 2) <= epsilon<double>);
  // All rows equal, so that the first training rows, of a, are nearest: chance.
  const auto same = test::table<T, Exec>(40, 2, std::vector<double>(80, 1));
  const auto chance = classifier_two_sample(exec, same, same);
  CHECK(chance.neighbours == 6);
  CHECK(chance.accuracy == 0.5);
  CHECK(std::fabs(chance.standard_error - std::sqrt(0.25 / 40)) <= epsilon<double>);
  CHECK(chance.p_value == 0.5);
}

TEMPLATE_LIST_TEST_CASE("classifier two-sample test agrees with scikit-learn",
                        "[metrics][two_sample]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto check = [&](const ClassifierTwoSample& result, const std::vector<double>& expected) {
    CHECK(test::difference({result.accuracy, result.p_value}, expected, 16 * epsilon<double>) ==
          "");
  };
  auto narrow_one = Numbers(25).take(331 * 3);
  for (std::size_t i = 2; i < narrow_one.size(); i += 3) narrow_one[i] /= 2;
  check(classifier_two_sample(exec, test::table<T, Exec>(257, 3, Numbers(24).take(257 * 3)),
                              test::table<T, Exec>(331, 3, narrow_one), {.seed = 3}),
        test::expected::two_sample_unlike);
  check(classifier_two_sample(exec, test::table<T, Exec>(300, 3, Numbers(26).take(900)),
                              test::table<T, Exec>(300, 3, Numbers(27).take(900)), {.seed = 4}),
        test::expected::two_sample_alike);
}

TEST_CASE("classifier two-sample test errs as often as its p-value says", "[metrics][two_sample]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  Numbers numbers(41);
  constexpr int tests = 100;
  int below = 0;
  double mean = 0;
  for (int k = 0; k < tests; ++k) {
    const auto a = test::table<float, Exec>(80, 2, numbers.take(160)),
               b = test::table<float, Exec>(80, 2, numbers.take(160));
    const auto result = classifier_two_sample(exec, a, b, {.seed = std::uint64_t(k)});
    below += result.p_value < 0.25 ? 1 : 0;
    mean += result.accuracy / tests;
  }
  // Four deviations: of a binomial share, and of the mean of 80 held-out samples each.
  CHECK(below > 25 - 4 * 5);
  CHECK(below < 25 + 4 * 5);
  CHECK(std::fabs(mean - 0.5) < 4 * 0.5 / std::sqrt(80.0 * tests));
}

TEST_CASE("classifier two-sample test checks its arguments", "[metrics][two_sample]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto line = test::table<float, Exec>(4, 1, {1, 2, 3, 4}),
             one = test::table<float, Exec>(1, 1, {1});
  const auto plane = test::table<float, Exec>(1, 2, {1, 2});
  const auto bad = test::table<float, Exec>(2, 1, {1, std::numeric_limits<double>::quiet_NaN()});
  CHECK(error([&] { classifier_two_sample(exec, line, plane); }) ==
        "vrfm: a has 1 columns but b has 2 columns");
  CHECK(error([&] { classifier_two_sample(exec, line, bad); }) ==
        "vrfm: classifier_two_sample: b: row 1 holds a number that is not finite");
  CHECK(error([&] { classifier_two_sample(exec, line, one); }) ==
        "vrfm: classifier_two_sample: expected at least two samples of each, but got 4 and 1");
  CHECK(error([&] { classifier_two_sample(exec, line, line, {.neighbours = 5}); }) ==
        "vrfm: classifier_two_sample: expected one to 4 neighbours among as many training samples, "
        "but got 5");
  CHECK(error([&] { classifier_two_sample(exec, line, line, {.neighbours = -1}); }) ==
        "vrfm: classifier_two_sample: expected one to 4 neighbours among as many training samples, "
        "but got -1");
  CHECK(test::contains(
      error([&] { classifier_two_sample(exec, line, line, {.seed = std::uint64_t(1) << 32}); }),
      "classifier_two_sample: the seed is 4294967296"));
}
