// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Separation power: by hand, NumPy's histograms, standard errors against the spread of repeated sets.
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include <tests/golden/ensembles.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/histogram_separation.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

TEMPLATE_LIST_TEST_CASE("separation power by hand", "[metrics][separation]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const std::vector<double> edges = {0, 1, 2, 4};
  // Bins keep their lower edge, the last one both.
  const auto a = test::table<T, Exec>(5, 2, {9, 0, 9, 1, 9, 1.5, 9, 4, 9, 5});
  const auto b = test::table<T, Exec>(3, 2, {9, -1, 9, 0.5, 9, 0.75});
  const auto found = histogram_separation(exec, a, b, edges, 1);
  CHECK(found.a == std::vector<std::int64_t>{1, 2, 1});
  CHECK(found.b == std::vector<std::int64_t>{2, 0, 0});
  CHECK(found.outside_a == 1);
  CHECK(found.outside_b == 1);
  // (1/4 - 1)^2 / (5/4) + 1/2 + 1/4, halved
  CHECK(std::fabs(found.separation.value - 0.6) <= 4 * epsilon<double>);
  CHECK(std::fabs(found.if_alike - 0.5 * 0.75) <= 4 * epsilon<double>);
  CHECK(std::fabs(found.separation.standard_error - std::sqrt(2.0 / 8) * 0.75) <=
        4 * epsilon<double>);
  // Of a hundred times as many the first order prevails. Gradients by p: -0.75 (0.25 + 3) / (2 (5/4)^2) = -0.78, 1/2,
  // 1/2; by q in the first bin, where all of b is, no variance.
  HistogramSeparation many;
  many.a = {100, 200, 100};
  many.b = {200, 0, 0};
  detail::metrics::separate(many);
  CHECK(many.separation.value == found.separation.value);
  const double square = 0.25 * 0.78 * 0.78 + 0.75 * 0.25, slope = -0.25 * 0.78 + 0.75 * 0.5;
  const double variance = (square - slope * slope) / 400 - 2.0 / 8 * 0.0075 * 0.0075;
  CHECK(std::fabs(many.separation.standard_error - std::sqrt(variance)) <= 8 * epsilon<double>);
  CHECK(histogram_separation(exec, a, a, edges, 1).separation.value == 0);
}

TEMPLATE_LIST_TEST_CASE("separation power agrees with NumPy", "[metrics][separation]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  auto cubes = Numbers(42).take(700);
  for (double& value : cubes) value *= value * value;
  const auto found = histogram_separation(
      Exec(), test::table<T, Exec>(500, 1, Numbers(41).take(500)),
      test::table<T, Exec>(700, 1, cubes), {-0.9, -0.5, -0.1, 0, 0.3, 0.35, 0.95});
  CHECK(test::difference({found.separation.value}, test::expected::separation,
                         8 * epsilon<double>) == "");
}

TEST_CASE("the separation power's standard error is its deviation", "[metrics][separation]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  Numbers numbers(5);
  const std::vector<double> edges = {-1, -0.6, -0.2, 0.2, 0.6, 1};
  constexpr int sets = 400;
  for (const double power : {1.0, 2.0}) {
    double mean = 0, squares = 0, claimed = 0, if_alike = 0;
    for (int k = 0; k < sets; ++k) {
      auto b = numbers.take(300);
      for (double& value : b) value = std::copysign(std::pow(std::fabs(value), power), value);
      const auto found =
          histogram_separation(exec, test::table<double, Exec>(200, 1, numbers.take(200)),
                               test::table<double, Exec>(300, 1, b), edges);
      const double s = found.separation.value, error = found.separation.standard_error;
      mean += s / sets;
      squares += s * s / sets;
      claimed += error * error / sets;
      if_alike = found.if_alike;
    }
    const double variance = squares - mean * mean;
    // Of equal distributions A / B is half a chi-square number of four degrees, so the larger of A - B and B is
    // 1.54 B on average. S is a sum of four squares, of kurtosis 6: the variance's deviation is sqrt(5 / 400).
    CHECK(claimed > (1 - 4 * std::sqrt(5.0 / sets)) * variance);
    CHECK(claimed < (power == 1 ? 1.54 + 4 * std::sqrt(5.0 / sets) : 1.5) * variance);
    if (power == 1) {
      CHECK(std::fabs(mean - if_alike) < 4 * std::sqrt(variance / sets));
    } else {
      CHECK(mean > 5 * if_alike);
    }
  }
}

TEST_CASE("separation power checks its arguments", "[metrics][separation]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto a = test::table<float, Exec>(2, 1, {1, 2});
  CHECK(error([&] {
          histogram_separation(exec, a, a, {0, 3}, 1);
        }) == "vrfm: histogram_separation: expected one of 1 columns, but got number 1");
  CHECK(error([&] { histogram_separation(exec, a, a, {0}); }) ==
        "vrfm: histogram_separation: expected at least two edges, but got 1");
  CHECK(error([&] {
          histogram_separation(exec, a, a, {0, 3, 3});
        }) ==
        "vrfm: histogram_separation: expected edges that are finite and increase, but edge 2 is 3");
  CHECK(error([&] {
          histogram_separation(exec, a, test::table<float, Exec>(1, 1, {4}), {0, 3});
        }) ==
        "vrfm: histogram_separation: expected samples of both sets between the edges 0 and 3, but "
        "0 of 2 and 1 of 1 "
        "are outside");
}
