// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Calibration of ensembles: by hand, NumPy's values, levels of tests and intervals for exchangeable truths.
#include <cmath>
#include <cstdint>
#include <numeric>
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

#include <vrfm/metrics/calibration.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

using Counts = std::vector<std::int64_t>;

TEMPLATE_LIST_TEST_CASE("calibration by hand", "[metrics][calibration]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // Ranks 0, 1, 3, 3 among three members.
  const auto x = test::ensembles<T, Exec>(4, 3, 1, {5, 6, 7, 9, 2, 8, 1, 2, 3, 0, 4, 2});
  const auto y = test::table<T, Exec>(4, 1, {4, 3, 9, 5});
  const auto ranks = rank_histogram(exec, x, y);
  CHECK(ranks.count == Counts{1, 1, 0, 2});
  CHECK(ranks.chi_square == 2);
  CHECK(ranks.design_effect == 1);
  // The central half of four parts is ranks 1 and 2; of level 0.9 the outermost weigh 0.8.
  const auto coverage = interval_coverage(exec, x, y, {0.5, 0.9});
  CHECK(coverage[0].coverage.value == 0.25);
  CHECK(std::fabs(coverage[0].coverage.standard_error - 0.25) <= epsilon<double>);
  CHECK(std::fabs(coverage[1].coverage.value - (1 + 3 * 0.8) / 4) <= 4 * epsilon<double>);
  // Means 0 and 3, variances 1 and 4; errors 2 and 1.
  const auto spread =
      spread_against_error(exec, test::ensembles<T, Exec>(2, 3, 1, {-1, 0, 1, 1, 3, 5}),
                           test::table<T, Exec>(2, 1, {2, 4}));
  CHECK(std::fabs(spread.spread.value - std::sqrt(4.0 / 3 * 2.5)) <= 8 * epsilon<double>);
  CHECK(std::fabs(spread.error.value - std::sqrt(2.5)) <= 8 * epsilon<double>);
  CHECK(std::fabs(spread.ratio.value - std::sqrt(4.0 / 3)) <= 8 * epsilon<double>);
  // Of the squares: 4/3 (1 and 4) has the error 2, (4 and 1) has 1.5; with R = 4/3, 4/3 (1 - 4) and 4/3 (4 - 1)
  // have the error 4, over 2.5.
  const double half_spread = 2 / (2 * std::sqrt(4.0 / 3 * 2.5));
  CHECK(std::fabs(spread.spread.standard_error - half_spread) <= 8 * epsilon<double>);
  CHECK(std::fabs(spread.error.standard_error - 1.5 / (2 * std::sqrt(2.5))) <= 8 * epsilon<double>);
  CHECK(std::fabs(spread.ratio.standard_error - 4 / 2.5 / (2 * std::sqrt(4.0 / 3))) <=
        8 * epsilon<double>);
}

TEMPLATE_LIST_TEST_CASE("calibration agrees with NumPy", "[metrics][calibration]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  auto members = Numbers(31).take(40 * 11 * 3), truths = Numbers(32).take(40 * 3);
  const auto spread = spread_against_error(exec, test::ensembles<T, Exec>(40, 11, 3, members),
                                           test::table<T, Exec>(40, 3, truths));
  CHECK(test::difference({spread.spread.value, spread.error.value, spread.ratio.value},
                         test::expected::spread, 32 * epsilon<double>) == "");
  for (auto* values : {&members, &truths})
    for (double& value : *values) value = std::floor(4 * value) / 4;
  const auto found = interval_coverage(exec, test::ensembles<T, Exec>(40, 11, 3, members),
                                       test::table<T, Exec>(40, 3, truths));
  CHECK(test::difference({found[0].coverage.value, found[0].coverage.standard_error,
                          found[1].coverage.value, found[1].coverage.standard_error},
                         test::expected::coverage, 64 * epsilon<double>) == "");
}

TEST_CASE("tails of the chi-square distribution agree with SciPy", "[metrics][calibration]") {
  std::vector<double> found;
  const double at[][2] = {{0.5, 1},   {3, 7},    {20, 7},    {9.5, 10},
                          {150, 100}, {60, 100}, {700, 500}, {8.1, 2.5}};
  for (const auto& [x, k] : at) found.push_back(detail::metrics::chi_square_tail(x, k));
  // The exponent's terms are up to 2000 long, so that their rounding errors are up to 2000 epsilon.
  const auto tolerance = [](std::size_t i) {
    return 4000 * epsilon<double> * test::expected::chi_square_tails[i];
  };
  CHECK(test::difference(found, test::expected::chi_square_tails, tolerance) == "");
  CHECK(detail::metrics::chi_square_tail(0, 3) == 1);
}

TEST_CASE("truths that are like the members are calibrated", "[metrics][calibration]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  // Coarse numbers, so that there are ties: three columns, the third a copy of the second.
  Numbers numbers(7);
  constexpr std::size_t cases = 3000, members = 4, columns = 3;
  std::vector<double> x, y;
  const auto draw = [&](std::vector<double>& to) {
    for (std::size_t d = 0; d < 2; ++d) to.push_back(std::floor(4 * numbers.next()));
    to.push_back(to.back());
  };
  for (std::size_t n = 0; n < cases; ++n) {
    for (std::size_t m = 0; m < members; ++m) draw(x);
    draw(y);
  }
  const auto ensembles = test::ensembles<float, Exec>(cases, members, columns, x);
  const auto truths = test::table<float, Exec>(cases, columns, y);
  const auto ranks = rank_histogram(exec, ensembles, truths, 5);
  CHECK(std::accumulate(ranks.count.begin(), ranks.count.end(), std::int64_t(0)) ==
        std::int64_t(cases * columns));
  CHECK(ranks.p_value > 0.001);
  // A copy of a column, but with ties of its own: more variance than of independent ranks, less than of doubled ones
  // (1 + 2 / 3).
  CHECK((ranks.design_effect > 1.2 && ranks.design_effect < 1.7));
  CHECK(rank_histogram(exec, ensembles, truths, 5).count == ranks.count);
  CHECK(rank_histogram(exec, ensembles, truths, 6).count != ranks.count);
  for (const auto& [level, coverage] :
       interval_coverage(exec, ensembles, truths, {0.1, 0.5, 0.6, 0.97})) {
    CHECK(std::fabs(coverage.value - level) < 4 * coverage.standard_error);
    CHECK(coverage.standard_error < 0.01);
  }
  const auto spread = spread_against_error(exec, ensembles, truths);
  CHECK(std::fabs(spread.ratio.value - 1) < 4 * spread.ratio.standard_error);
  CHECK(spread.ratio.standard_error < 0.02);

  // Members of half the spread: the truth is too often outside.
  for (double& value : x) value = value / 2;
  const auto narrow = test::ensembles<float, Exec>(cases, members, columns, x);
  CHECK(rank_histogram(exec, narrow, truths).p_value < 1e-10);
  const auto held = interval_coverage(exec, narrow, truths, {0.6})[0].coverage;
  CHECK(held.value < 0.6 - 10 * held.standard_error);
  const auto ratio = spread_against_error(exec, narrow, truths).ratio;
  CHECK(ratio.value < 1 - 10 * ratio.standard_error);
}

TEST_CASE("the rank histogram's p-value is as often small as it says", "[metrics][calibration]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  Numbers numbers(3);
  constexpr std::size_t tests = 200, cases = 100, members = 4;
  int alone = 0, copied = 0;
  for (std::size_t k = 0; k < tests; ++k) {
    const auto x = numbers.take(cases * members), y = numbers.take(cases);
    // Four equal columns: without the design effect the p-value would be far too small.
    std::vector<double> wide_x, wide_y;
    for (const double value : x) wide_x.insert(wide_x.end(), 4, value);
    for (const double value : y) wide_y.insert(wide_y.end(), 4, value);
    const auto p = [&](std::size_t columns, const auto& a, const auto& b) {
      return rank_histogram(exec, test::ensembles<float, Exec>(cases, members, columns, a),
                            test::table<float, Exec>(cases, columns, b))
          .p_value;
    };
    alone += p(1, x, y) < 0.25 ? 1 : 0;
    copied += p(4, wide_x, wide_y) < 0.25 ? 1 : 0;
  }
  // Four deviations of a binomial share.
  const double deviation = std::sqrt(tests * 0.25 * 0.75);
  CHECK(std::fabs(alone - 0.25 * tests) < 4 * deviation);
  CHECK(std::fabs(copied - 0.25 * tests) < 4 * deviation);
}

TEST_CASE("calibration checks its arguments", "[metrics][calibration]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto one = test::ensembles<float, Exec>(2, 1, 1, {1, 2});
  const auto y = test::table<float, Exec>(2, 1, {1, 2});
  CHECK(error([&] {
          interval_coverage(exec, one, y, {0.5, 1});
        }) == "vrfm: interval_coverage: expected levels in (0, 1), but got 1");
  CHECK(error([&] { spread_against_error(exec, one, y); }) ==
        "vrfm: spread_against_error: expected at least 2 members, but got 1");
  CHECK(error([&] { rank_histogram(exec, one, y, std::uint64_t(1) << 32); }) ==
        "vrfm: rank_histogram: the seed is 4294967296, but must be in 0 to 4294967295");
}
