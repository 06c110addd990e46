// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernel distance (KID): by hand, scikit-learn's values on the same random subsets, equal distributions.
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <stdexcept>
#include <vector>

#include <tests/golden/two_samples.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/kernel_distance.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

TEMPLATE_LIST_TEST_CASE("kernel distance by hand", "[metrics][kernel_distance]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const auto a = test::table<T, Exec>(2, 2, {1, 0, 0, 2}),
             b = test::table<T, Exec>(2, 2, {1, 2, 0, 0});
  // Products within: 0 and 0, so k = 1; between: 1, 0, 4, 0, so k = 3.375, 1, 27, 1.
  const auto distance = kernel_distance(Exec(), a, b, {.subsets = 5, .subset_size = 2});
  CHECK(std::fabs(distance.mean - (2 - 32.375 / 2)) <= 8 * epsilon<double>);
  CHECK(distance.deviation <= 8 * epsilon<double>);
}

TEMPLATE_LIST_TEST_CASE("kernel distance agrees with scikit-learn", "[metrics][kernel_distance]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  auto x = Numbers(20).take(300 * 7), y = Numbers(21).take(210 * 7);
  for (double& value : x) value *= 2;
  for (double& value : y) value *= 3 * value;
  const auto a = test::table<T, Exec>(300, 7, x), b = test::table<T, Exec>(210, 7, y);
  const auto distance = kernel_distance(exec, a, b, {.subsets = 6, .subset_size = 150, .seed = 9});
  // Kernels here are below 64 and grow by the third power of what the features lose to T.
  CHECK(test::difference({distance.mean, distance.deviation}, test::expected::kernel_distance,
                         64 * 8 * epsilon<T>) == "");
  const auto other = kernel_distance(exec, a, b, {.subsets = 6, .subset_size = 150, .seed = 10});
  CHECK(other.mean != distance.mean);
}

TEST_CASE("kernel distance of one distribution is about zero", "[metrics][kernel_distance]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto a = test::table<double, Exec>(400, 4, Numbers(1).take(1600));
  const auto b = test::table<double, Exec>(400, 4, Numbers(2).take(1600));
  auto moved = Numbers(3).take(1600);
  for (double& value : moved) value += 0.25;
  const KernelDistanceOptions options{.subsets = 20, .subset_size = 200};
  const auto alike = kernel_distance(exec, a, b, options),
             unlike = kernel_distance(exec, a, test::table<double, Exec>(400, 4, moved), options);
  CHECK(std::fabs(alike.mean) < 4 * alike.deviation);
  CHECK(unlike.mean > 4 * unlike.deviation);
  // The U-statistic of all rows of equal tables: the diagonal is missing within, not between.
  CHECK(kernel_distance(exec, a, a, {.subsets = 1, .subset_size = 400}).mean < 0);
}

TEST_CASE("subsets are without replacement and reach all rows", "[metrics][kernel_distance]") {
  const RandomStream stream(5, Purpose::subset);
  std::set<int> seen;
  for (std::uint64_t subset = 0; subset < 40; ++subset) {
    const auto rows = detail::metrics::draw_subset(stream, subset, 0, 23, 7);
    CHECK(std::set<int>(rows.begin(), rows.end()).size() == 7);
    seen.insert(rows.begin(), rows.end());
    CHECK(rows != detail::metrics::draw_subset(stream, subset, 1, 23, 7));
  }
  CHECK(seen.size() == 23);
  CHECK(*seen.begin() == 0);
  CHECK(*seen.rbegin() == 22);
}

TEST_CASE("kernel distance checks its arguments", "[metrics][kernel_distance]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto a = test::table<float, Exec>(3, 1, {1, 2, 3}),
             b = test::table<float, Exec>(2, 1, {1, 2}), c = test::table<float, Exec>(1, 2, {1, 2});
  const auto bad = test::table<float, Exec>(2, 1, {std::numeric_limits<double>::infinity(), 0});
  CHECK(error([&] { kernel_distance(exec, a, c); }) == "vrfm: a has 1 columns but b has 2 columns");
  CHECK(error([&] { kernel_distance(exec, a, bad); }) ==
        "vrfm: kernel_distance: b: row 0 holds a number that is not finite");
  CHECK(error([&] { kernel_distance(exec, a, b); }) ==
        "vrfm: kernel_distance: expected subsets of two to all rows, but got subsets of 1000 of "
        "the 3 rows of a and the 2 rows of b");
  CHECK(error([&] { kernel_distance(exec, a, b, {.subset_size = 1}); }) ==
        "vrfm: kernel_distance: expected subsets of two to all rows, but got subsets of 1 of "
        "the 3 rows of a and the 2 rows of b");
  CHECK(error([&] { kernel_distance(exec, a, b, {.subsets = 0, .subset_size = 2}); }) ==
        "vrfm: kernel_distance: expected at least one subset, but got 0");
  CHECK(test::contains(error([&] {
                         kernel_distance(exec, a, b,
                                         {.subset_size = 2, .seed = std::uint64_t(1) << 32});
                       }),
                       "kernel_distance: the seed is 4294967296"));
}
