// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Wasserstein-1: shifts, SciPy's values, projections by hand, the sorting network.
#include <algorithm>
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

#include <vrfm/metrics/wasserstein.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers, test::thrown;

TEMPLATE_LIST_TEST_CASE("W1 of shifted samples is the shift", "[metrics][wasserstein]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  auto values = Numbers(1).take(501);
  const auto x = test::table<T, Exec>(501, 1, values);
  // Shifted and in another order: only the sets matter. The sums are exact in both types.
  std::reverse(values.begin(), values.end());
  for (double& value : values) value += 0.25;
  const auto y = test::table<T, Exec>(501, 1, values);
  CHECK(std::fabs(wasserstein1(exec, x, y) - 0.25) <= 4 * epsilon<T>);
  CHECK(wasserstein1(exec, x, x) == 0);
  CHECK(std::fabs(sliced_wasserstein1(exec, x, y, 3) - 0.25) <= 4 * epsilon<T>);
}

TEMPLATE_LIST_TEST_CASE("W1 by hand", "[metrics][wasserstein]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // Half of each outer sample goes 1, the middle one is split: 0 | 0 1 | 1.
  const auto three = test::table<T, Exec>(3, 1, {2, 0, 1}),
             two = test::table<T, Exec>(2, 1, {1, 0});
  const double expected = (2.0 * 0 + 1 * 1 + 1 * 0 + 2 * 1) / 6;
  CHECK(std::fabs(wasserstein1(exec, three, two) - expected) <= epsilon<double>);
  CHECK(std::fabs(wasserstein1(exec, two, three) - expected) <= epsilon<double>);
  const auto one = test::table<T, Exec>(1, 1, {5});
  CHECK(std::fabs(wasserstein1(exec, one, three) - 4) <= 4 * epsilon<double>);
  CHECK(wasserstein1(exec, one, one) == 0);
}

TEMPLATE_LIST_TEST_CASE("W1 agrees with SciPy", "[metrics][wasserstein]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto values = Numbers(5).take(100);
  auto squares = Numbers(6).take(37);
  const auto a = test::table<T, Exec>(100, 1, values), some = test::table<T, Exec>(37, 1, values);
  const auto b = test::table<T, Exec>(37, 1, squares);
  for (double& value : squares) value *= value;
  const auto c = test::table<T, Exec>(37, 1, squares);
  CHECK(std::fabs(wasserstein1(exec, some, b) - test::expected::wasserstein_equal) <= epsilon<T>);
  CHECK(std::fabs(wasserstein1(exec, a, c) - test::expected::wasserstein_unequal) <= epsilon<T>);
}

TEMPLATE_LIST_TEST_CASE("sliced W1 is the mean over random projections", "[metrics][wasserstein]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  constexpr std::size_t n = 60;
  const auto a = Numbers(1).take(3 * n), b = Numbers(2).take(3 * n);
  const auto x = test::table<T, Exec>(n, 3, a), y = test::table<T, Exec>(n, 3, b);
  // More directions than are projected at a time.
  constexpr int directions = 45;
  const RandomStream stream(17, Purpose::projection);
  double expected = 0;
  for (int k = 0; k < directions; ++k) {
    T direction[3];
    stream.normal<T>(static_cast<std::uint64_t>(k), 0, 0, 3, direction);
    const auto project = [&](const std::vector<double>& values) {
      double length = 0;
      for (const T d : direction) length += static_cast<double>(d) * static_cast<double>(d);
      std::vector<double> result(n);
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t d = 0; d < 3; ++d)
          result[i] += values[3 * i + d] * static_cast<double>(direction[d]) / std::sqrt(length);
      std::sort(result.begin(), result.end());
      return result;
    };
    const auto p = project(a), q = project(b);
    for (std::size_t i = 0; i < n; ++i) expected += std::fabs(p[i] - q[i]) / n / directions;
  }
  CHECK(std::fabs(sliced_wasserstein1(exec, x, y, directions, 17) - expected) <= 4 * epsilon<T>);
  CHECK(sliced_wasserstein1(exec, x, y, directions, 18) !=
        sliced_wasserstein1(exec, x, y, directions, 17));
  CHECK(sliced_wasserstein1(exec, x, x) == 0);
}

TEMPLATE_LIST_TEST_CASE("sliced W1 of a shift in the plane", "[metrics][wasserstein]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  auto values = Numbers(3).take(2 * 20);
  const auto x = test::table<T, Exec>(20, 2, values);
  for (std::size_t i = 0; i < values.size(); i += 2) {
    values[i] += 3;
    values[i + 1] += 4;
  }
  const auto y = test::table<T, Exec>(20, 2, values);
  // |shift . direction| = 5 |cos|: mean 5 * 2 / pi, variance 25 (1/2 - 4 / pi^2).
  const double pi = std::acos(-1.0);
  constexpr int directions = 4096;
  const double error = 5 * std::sqrt((0.5 - 4 / (pi * pi)) / directions);
  CHECK(std::fabs(sliced_wasserstein1(exec, x, y, directions) - 10 / pi) <= 5 * error);
}

TEMPLATE_LIST_TEST_CASE("the sorting network sorts", "[metrics][wasserstein]", test::Spaces) {
  using Exec = TestType;
  for (const std::size_t cols : {1u, 2u, 8u, 256u}) {
    auto values = Numbers(4).take(5 * cols);
    for (std::size_t i = 0; i < cols; ++i) values[i] = static_cast<double>(i % 3);  // ties
    values.back() = std::numeric_limits<double>::infinity();
    const auto table = test::table<double, Exec>(5, cols, values);
    detail::metrics::bitonic_sort_rows(Exec(), matrix(table));
    for (std::size_t row = 0; row < 5; ++row) {
      const auto first = values.begin() + static_cast<std::ptrdiff_t>(row * cols);
      std::sort(first, first + static_cast<std::ptrdiff_t>(cols));
    }
    CHECK(test::numbers_of(table) == values);
  }
}

TEST_CASE("Wasserstein distances check their arguments", "[metrics][wasserstein]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return thrown<std::invalid_argument>(call); };
  const auto line = test::table<float, Exec>(2, 1, {1, 2});
  const auto plane = test::table<float, Exec>(1, 2, {1, 2});
  const Table<float, Exec> empty("empty", 0, 1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto bad = test::table<float, Exec>(2, 1, {1, nan});
  CHECK(error([&] { wasserstein1(exec, line, empty); }) ==
        "vrfm: wasserstein1: b: expected at least one sample, but got 0 rows of 1 columns");
  CHECK(error([&] { wasserstein1(exec, bad, line); }) ==
        "vrfm: wasserstein1: a: row 1 holds a number that is not finite");
  CHECK(error([&] { wasserstein1(exec, line, plane); }) ==
        "vrfm: wasserstein1: expected one column, but a has 1 and b has 2 (for more, "
        "sliced_wasserstein1)");
  CHECK(error([&] { sliced_wasserstein1(exec, line, plane); }) ==
        "vrfm: a has 1 columns but b has 2 columns");
  CHECK(error([&] { sliced_wasserstein1(exec, line, bad); }) ==
        "vrfm: sliced_wasserstein1: b: row 1 holds a number that is not finite");
  CHECK(error([&] { sliced_wasserstein1(exec, line, line, 0); }) ==
        "vrfm: sliced_wasserstein1: expected at least one direction, but got 0");
  CHECK(error([&] { sliced_wasserstein1(exec, line, line, 8, std::uint64_t{1} << 40); }) ==
        "vrfm: sliced_wasserstein1: the seed is 1099511627776, but must be in 0 to 4294967295");
}
