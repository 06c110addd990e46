// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Power spectra: one wave, Parseval, NumPy's transform.
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <tests/golden/ensembles.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/power_spectrum.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

TEMPLATE_LIST_TEST_CASE("a wave has its power in its shell", "[metrics][spectrum]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // 3 cos(2 pi (2 j / 8 - 3 k / 12)) and 5 in the second channel of 8 x 12 points, and twice that. Along the longest
  // axis the first index has 3 waves, so |k| = sqrt 18.
  std::vector<double> x;
  for (int field = 0; field < 2; ++field)
    for (int j = 0; j < 8; ++j)
      for (int k = 0; k < 12; ++k) {
        const double wave = 3 * std::cos(2 * M_PI * (2 * j / 8.0 - 3 * k / 12.0));
        x.push_back(7 * k);
        x.push_back((field + 1) * (wave + 5));
      }
  const auto found = power_spectrum(exec, test::table<T, Exec>(2, 192, x),
                                    {.extents = {8, 12}, .channels = 2, .channel = 1});
  std::vector<double> power(9, 0.0), error(9, 0.0);
  power[0] = 25 * 2.5;
  power[4] = 4.5 * 2.5;
  error[0] = 25 * 1.5;
  error[4] = 4.5 * 1.5;
  const double tolerance = 400 * epsilon<T>;
  CHECK(test::difference(found.power, power, tolerance) == "");
  CHECK(test::difference(found.standard_error, error, tolerance) == "");
  CHECK(std::accumulate(found.modes.begin(), found.modes.end(), 0.0) == 96);
  CHECK(found.modes[0] == 1);
  CHECK(found.modes[1] == 2);  // of the longest axis; the other begins at 1.5
}

TEMPLATE_LIST_TEST_CASE("spectra agree with NumPy and add up to the mean square",
                        "[metrics][spectrum]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto check = [&](std::uint32_t seed, std::size_t fields, std::vector<int> extents,
                         const std::vector<double>& expected) {
    std::size_t points = 1;
    for (const int n : extents) points *= static_cast<std::size_t>(n);
    const auto x = Numbers(seed).take(fields * points);
    const auto found = power_spectrum(exec, test::table<T, Exec>(fields, points, x), {extents});
    CHECK(test::difference(found.power, expected, 100 * epsilon<double>) == "");
    const double mean_square =
        std::inner_product(x.begin(), x.end(), x.begin(), 0.0) / double(x.size());
    const double sum = std::accumulate(found.power.begin(), found.power.end(), 0.0);
    CHECK(std::fabs(sum - mean_square) <= 100 * epsilon<double>);
    CHECK(std::accumulate(found.modes.begin(), found.modes.end(), 0.0) == double(points));
  };
  check(51, 5, {15}, test::expected::spectrum_1d);
  check(52, 3, {12, 16}, test::expected::spectrum_2d);
  check(53, 2, {4, 6, 5}, test::expected::spectrum_3d);
}

TEST_CASE("a spectrum of more fields than are transformed together", "[metrics][spectrum]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  // White noise of variance 1/3: each mode has 1/3 / N of it. 2^20 numbers pass at a time.
  const std::size_t fields = 300, n = 64;
  const auto found = power_spectrum(
      exec, test::table<float, Exec>(fields, n * n, Numbers(9).take(fields * n * n)), {{64, 64}});
  for (std::size_t s = 0; s < found.power.size(); ++s) {
    const double expected = found.modes[s] / (3.0 * n * n);
    CHECK(std::fabs(found.power[s] - expected) < 4.5 * found.standard_error[s]);
    CHECK(found.standard_error[s] < 0.15 * expected);
  }
}

TEST_CASE("spectra check their arguments", "[metrics][spectrum]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto x = test::table<float, Exec>(1, 6, {1, 2, 3, 4, 5, 6});
  CHECK(error([&] { power_spectrum(exec, x, {}); }) ==
        "vrfm: power_spectrum: expected one to three axes, but got 0");
  CHECK(error([&] {
          power_spectrum(exec, x, {{2, 2}});
        }) ==
        "vrfm: power_spectrum: the grid has 4 points of 1 channels, but fields have 6 columns");
  CHECK(error([&] {
          power_spectrum(exec, x, {{3, 0}});
        }) ==
        "vrfm: power_spectrum: expected extents of 6 columns, but got one of 0 behind 3 points");
  CHECK(error([&] { power_spectrum(exec, x, {.extents = {3}, .channels = 2, .channel = 2}); }) ==
        "vrfm: power_spectrum: expected a channel of 2, but got number 2");
}
