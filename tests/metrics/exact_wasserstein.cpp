// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exact Wasserstein distances: SciPy's values, shifts, one dimension by sorting, arguments.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/golden_numbers.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/exact_wasserstein.hpp>
#include <vrfm/metrics/wasserstein.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers, test::thrown;

TEMPLATE_LIST_TEST_CASE("exact Wasserstein distances are SciPy's", "[metrics][wasserstein]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto file = test::golden_file("transport.safetensors");
  const auto expected = file.at("wasserstein").template values<double>();
  const auto points = Numbers(1001).take(2 * 37 * 3);
  const auto a = test::table<T, Exec>(37, 3, {points.begin(), points.begin() + 37 * 3});
  const auto b = test::table<T, Exec>(37, 3, {points.begin() + 37 * 3, points.end()});
  // The samples are exact in both types, a sum of 37 terms is rounded.
  CHECK(std::fabs(exact_wasserstein1(exec, a, b) - expected[0]) <= 64 * epsilon<double>);
  CHECK(std::fabs(exact_wasserstein2(exec, a, b) - expected[1]) <= 64 * epsilon<double>);
  CHECK(exact_wasserstein1(exec, b, a) >= exact_wasserstein1(exec, a, b) - 64 * epsilon<double>);
  CHECK(exact_wasserstein2(exec, a, a) == 0);
}

TEMPLATE_LIST_TEST_CASE("exact Wasserstein distances of shifts and of lines",
                        "[metrics][wasserstein]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  auto values = Numbers(3).take(2 * 50);
  const auto x = test::table<T, Exec>(50, 2, values);
  std::rotate(values.begin(), values.begin() + 2 * 20, values.end());  // only the sets matter
  for (std::size_t i = 0; i < values.size(); i += 2) {
    values[i] += 0.75;
    values[i + 1] -= 1;
  }
  const auto y = test::table<T, Exec>(50, 2, values);
  // Each element of y is rounded.
  CHECK(std::fabs(exact_wasserstein1(exec, x, y) - 1.25) <= 4 * epsilon<T>);
  CHECK(std::fabs(exact_wasserstein2(exec, x, y) - 1.25) <= 4 * epsilon<T>);
  const auto c = test::table<T, Exec>(101, 1, Numbers(4).take(101));
  const auto d = test::table<T, Exec>(101, 1, Numbers(5).take(101));
  CHECK(std::fabs(exact_wasserstein1(exec, c, d) - wasserstein1(exec, c, d)) <= 4 * epsilon<T>);
}

TEST_CASE("exact Wasserstein distances check their arguments", "[metrics][wasserstein]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return thrown<std::invalid_argument>(call); };
  const auto two = test::table<float, Exec>(2, 1, {1, 2});
  const auto plane = test::table<float, Exec>(2, 2, {1, 2, 3, 4});
  const auto three = test::table<float, Exec>(3, 1, {1, 2, 3});
  const auto bad = test::table<float, Exec>(2, 1, {1, std::numeric_limits<double>::infinity()});
  CHECK(error([&] { exact_wasserstein1(exec, two, three); }) ==
        "vrfm: exact_wasserstein1: expected as many samples in a as in b, but got 2 and 3");
  CHECK(error([&] { exact_wasserstein2(exec, two, plane); }) ==
        "vrfm: a has 1 columns but b has 2 columns");
  CHECK(error([&] { exact_wasserstein2(exec, two, bad); }) ==
        "vrfm: exact_wasserstein2: b: row 1 holds a number that is not finite");
}
