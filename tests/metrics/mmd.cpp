// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Squared MMD: by hand, scikit-learn's values, both estimates; the median distance.
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

#include <vrfm/metrics/mmd.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

namespace {

std::vector<double> squares(std::vector<double> values) {
  for (double& value : values) value *= value;
  return values;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("squared MMD by hand", "[metrics][mmd]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto a = test::table<T, Exec>(2, 1, {0, 1}), b = test::table<T, Exec>(2, 1, {0, 2});
  // Distances within: 1 and 2; between: 0, 2, 1, 1. k(d) = exp(-d^2 / 2)
  const double one = std::exp(-0.5), two = std::exp(-2.0);
  const double between = (1 + two + 2 * one) / 4;
  // A few roundings of kernels that are at most 1.
  const double tolerance = 8 * epsilon<T>;
  CHECK(std::fabs(squared_mmd(exec, a, b, {1}) - ((1 + one) / 2 + (1 + two) / 2 - 2 * between)) <=
        tolerance);
  CHECK(std::fabs(squared_mmd(exec, a, b, {1}, PairEstimate::unbiased) -
                  (one + two - 2 * between)) <= tolerance);
  // Kernels add up.
  CHECK(std::fabs(squared_mmd(exec, a, b, {1, 3}) - squared_mmd(exec, a, b, {1}) -
                  squared_mmd(exec, a, b, {3})) <= 2 * tolerance);
  // Equal tables, of more rows than pass at a time; and samples whose squared distance is infinite.
  const auto x = test::table<T, Exec>(300, 3, Numbers(1).take(900));
  CHECK(squared_mmd(exec, x, x, {0.5, 2}) == 0);
  const double large = static_cast<double>(std::numeric_limits<T>::max()) / 2;
  CHECK(squared_mmd(exec, test::table<T, Exec>(1, 1, {large}), test::table<T, Exec>(1, 1, {-large}),
                    {1, 2}) == 4);
}

TEMPLATE_LIST_TEST_CASE("squared MMD agrees with scikit-learn", "[metrics][mmd]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto a = test::table<T, Exec>(700, 2, Numbers(1).take(1400));
  const auto b = test::table<T, Exec>(300, 2, squares(Numbers(2).take(600)));
  const auto check = [&](const std::vector<double>& bandwidths,
                         const std::vector<double>& expected) {
    const double biased = squared_mmd(exec, a, b, bandwidths);
    const double unbiased = squared_mmd(exec, a, b, bandwidths, PairEstimate::unbiased);
    const double tolerance = 8 * epsilon<T> * static_cast<double>(bandwidths.size());
    CHECK(test::difference({biased, unbiased}, expected, tolerance) == "");
  };
  check({0.25}, test::expected::mmd_one);
  check({0.125, 0.5, 2}, test::expected::mmd_several);
}

TEMPLATE_LIST_TEST_CASE("median distance agrees with SciPy", "[metrics][mmd]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto a = test::table<T, Exec>(700, 2, Numbers(1).take(1400));
  const auto b = test::table<T, Exec>(300, 2, squares(Numbers(2).take(600)));
  CHECK(std::fabs(median_distance(exec, a, b) - test::expected::median_all) <= 4 * epsilon<T>);
  auto wide = Numbers(4).take(511 * 3);
  for (double& value : wide) value *= 2;
  const auto c = test::table<T, Exec>(800, 3, Numbers(3).take(2400));
  const auto d = test::table<T, Exec>(511, 3, wide);
  // These numbers are exact in float, too.
  CHECK(std::fabs(median_distance(exec, c, d, 7) - test::expected::median_drawn) <=
        4 * epsilon<double>);
  CHECK(median_distance(exec, c, d, 8) != median_distance(exec, c, d, 7));
  // Pairs 1, 2, 3 and, with a fourth row, 1, 1, 2, 2, 3, 4.
  const auto pair = test::table<T, Exec>(2, 1, {0, 1}), one = test::table<T, Exec>(1, 1, {3});
  CHECK(median_distance(exec, pair, one) == 2);
  CHECK(median_distance(exec, pair, test::table<T, Exec>(2, 1, {2, 4})) == 2);
  CHECK(median_distance(exec, pair, test::table<T, Exec>(2, 1, {7, 9})) == 6.5);
}

TEST_CASE("squared MMD checks its arguments", "[metrics][mmd]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto line = test::table<float, Exec>(2, 1, {1, 2}),
             one = test::table<float, Exec>(1, 1, {1});
  const auto plane = test::table<float, Exec>(1, 2, {1, 2});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto bad = test::table<float, Exec>(2, 1, {1, nan});
  CHECK(error([&] { squared_mmd(exec, line, plane, {1}); }) ==
        "vrfm: a has 1 columns but b has 2 columns");
  CHECK(error([&] { squared_mmd(exec, line, bad, {1}); }) ==
        "vrfm: squared_mmd: b: row 1 holds a number that is not finite");
  CHECK(error([&] { squared_mmd(exec, Table<float, Exec>("empty", 0, 1), line, {1}); }) ==
        "vrfm: squared_mmd: a: expected at least one sample, but got 0 rows of 1 columns");
  CHECK(error([&] { squared_mmd(exec, line, one, {1}, PairEstimate::unbiased); }) ==
        "vrfm: squared_mmd: the unbiased estimate needs two samples of each, but got 2 and 1");
  CHECK(error([&] { squared_mmd(exec, line, line, {}); }) ==
        "vrfm: squared_mmd: expected one to 16 bandwidths, but got 0");
  CHECK(error([&] { squared_mmd(exec, line, line, std::vector<double>(17, 1)); }) ==
        "vrfm: squared_mmd: expected one to 16 bandwidths, but got 17");
  for (const double bandwidth : {0.0, -1.0, 1e30, 1e-30, nan}) {
    CHECK(test::contains(error([&] {
                           squared_mmd(exec, line, line, {1, bandwidth});
                         }),
                         "vrfm: squared_mmd: a bandwidth must be positive and finite, as its "
                         "inverse square, but is "));
  }
  CHECK(error([&] { median_distance(exec, line, plane); }) ==
        "vrfm: a has 1 columns but b has 2 columns");
  CHECK(error([&] { median_distance(exec, bad, line); }) ==
        "vrfm: median_distance: a: row 1 holds a number that is not finite");
  CHECK(error([&] { median_distance(exec, one, one); }) ==
        "vrfm: median_distance: expected a median that is positive and finite, but it is 0");
  CHECK(test::contains(error([&] { median_distance(exec, line, line, std::uint64_t(1) << 32); }),
                       "median_distance: the seed is 4294967296"));
}
