// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Inception score: its bounds, SciPy's values, logits of any size.
#include <cmath>
#include <cstddef>
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

#include <vrfm/metrics/inception_score.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

TEMPLATE_LIST_TEST_CASE("inception score by hand", "[metrics][inception]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // No class says more than another: 1. Each split with each class, for certain: their number. The
  // largest logits there are: the exponentials of their differences are 0 and 1.
  const double large = static_cast<double>(std::numeric_limits<T>::max());
  std::vector<double> certain(20 * 5, -large);
  for (std::size_t i = 0; i < 20; ++i) certain[i * 5 + i % 5] = large;
  const auto score = inception_score(exec, test::table<T, Exec>(20, 5, certain), 4);
  CHECK(std::fabs(score.mean - 5) <= 32 * epsilon<double>);
  CHECK(score.deviation <= 32 * epsilon<double>);
  const std::vector<double> flat(20 * 5, 3.0);
  const auto none = inception_score(exec, test::table<T, Exec>(20, 5, flat));
  CHECK(std::fabs(none.mean - 1) <= 16 * epsilon<double>);
  CHECK(none.deviation <= 16 * epsilon<double>);
  // Splits of one sample each know no other.
  const auto single = inception_score(exec, test::table<T, Exec>(20, 5, certain), 20);
  CHECK(std::fabs(single.mean - 1) <= 16 * epsilon<double>);
  CHECK(inception_score(exec, test::table<T, Exec>(3, 1, {1, 2, 3}), 3).mean == 1);
}

TEMPLATE_LIST_TEST_CASE("inception score agrees with SciPy", "[metrics][inception]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto check = [&](double factor, int splits, const std::vector<double>& expected) {
    auto values = Numbers(17).take(1003 * 7);
    for (double& value : values) value *= factor;
    const auto score = inception_score(exec, test::table<T, Exec>(1003, 7, values), splits);
    // The logits are exact in T, all sums are in double.
    CHECK(std::fabs(score.mean - expected[0]) <= 64 * epsilon<double> * expected[0]);
    CHECK(std::fabs(score.deviation - expected[1]) <= 64 * epsilon<double> * expected[0]);
  };
  check(1, 10, test::expected::inception_flat);
  check(64, 4, test::expected::inception_sharp);
  check(8, 1, test::expected::inception_one_split);
}

TEST_CASE("inception score checks its arguments", "[metrics][inception]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto few = test::table<float, Exec>(9, 2, std::vector<double>(18, 1));
  CHECK(error([&] { inception_score(exec, few); }) ==
        "vrfm: inception_score: expected one to 9 splits of as many rows, but got 10");
  CHECK(error([&] { inception_score(exec, few, 0); }) ==
        "vrfm: inception_score: expected one to 9 splits of as many rows, but got 0");
  CHECK(error([&] { inception_score(exec, Table<float, Exec>("empty", 0, 2)); }) ==
        "vrfm: inception_score: logits: expected at least one sample, but got 0 rows of 2 columns");
  const auto bad = test::table<float, Exec>(1, 2, {0, std::numeric_limits<double>::infinity()});
  CHECK(error([&] { inception_score(exec, bad, 1); }) ==
        "vrfm: inception_score: logits: row 0 holds a number that is not finite");
}
