// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Standardizations: fits to hand-made columns and to many rows; forth and back; the density of what was mapped; discrete
// columns; the same in kernels and on the host; what has no place in a domain.
#include <cmath>
#include <cstdint>
#include <numbers>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include "scaled_columns.hpp"

using namespace vrfm;
using test::columns;
using test::data_of;
using test::difference;
using test::epsilon;
using test::every_kind;
using test::fit;
using test::numbers_of;
using test::thrown;

namespace {

double normal_density(double y) { return -0.5 * y * y - 0.5 * std::log(2 * std::numbers::pi); }

}  // namespace

TEST_CASE("a standardization is fitted", "[data][standardization]") {
  const std::vector<double> numbers = {1, 8, 5, 1, 2, 4,  5, 2,   3, 2,
                                       5, 4, 4, 1, 5, 40, 5, 0.5, 5, 3};
  const auto of = fit(numbers, 4,
                      {.columns = {{.kind = ScaleKind::deviation},
                                   {.kind = ScaleKind::log},
                                   {.kind = ScaleKind::deviation},
                                   {.kind = ScaleKind::quantiles}}});
  const double rounding = 16 * epsilon<double>;
  const auto check = [&](int k, double centre, double deviation) {
    INFO(k);
    CHECK(std::fabs(of.scale(k).centre - centre) <= rounding * std::fabs(centre));
    CHECK(std::fabs(of.scale(k).deviation - deviation) <= rounding * deviation);
  };
  check(0, 3, std::sqrt(2.0));
  check(1, std::log(2.0), std::sqrt(2.0) * std::log(2.0));
  check(2, 5, 1);
  check(3, 3, 2 / 1.3489795003921634);
  CHECK(of.constant() == std::vector<int>{2});
  // Channels: the columns of two pixels are one.
  const auto channels = fit(numbers, 4, {.channels = 2});
  CHECK(channels.scales().size() == 2);
  CHECK(std::fabs(channels.scale(2).centre - 4) <= 4 * rounding);
  CHECK(channels.scale(0).centre == channels.scale(2).centre);
  // A discrete column is fitted at n + 1/2.
  const auto discrete = fit({1, 2, 3}, 1, {.columns = {{.discrete = true}}});
  CHECK(std::fabs(discrete.scale(0).centre - 2.5) <= 2.5 * rounding);
}

TEST_CASE("many rows are fitted as a plain loop does, quantiles of a subset",
          "[data][standardization]") {
  const std::size_t rows = 20'000;
  const auto numbers = data_of(rows);
  const auto all = fit(numbers, columns, {.columns = every_kind});
  double mean = 0, squares = 0;
  for (std::size_t n = 0; n < rows; ++n) mean += numbers[n * columns + 1] / rows;
  for (std::size_t n = 0; n < rows; ++n)
    squares += (numbers[n * columns + 1] - mean) * (numbers[n * columns + 1] - mean) / rows;
  const double rounding = static_cast<double>(rows) * epsilon<double>;
  CHECK(std::fabs(all.scale(1).centre - mean) <= rounding * mean);
  CHECK(std::fabs(all.scale(1).deviation - std::sqrt(squares)) <= rounding * 7);
  CHECK(all.constant().empty());
  // All columns but the identity's came from normal numbers; deviations of estimates: 1 / sqrt(2 n),
  // of quartiles 1.17 / sqrt(n), of every third row sqrt(3) times as much.
  const double likely = 5 * 1.17 / std::sqrt(static_cast<double>(rows));
  CHECK(std::fabs(all.scale(2).deviation / 0.01 - 1) < likely);
  CHECK(std::fabs(all.scale(3).deviation / 2 - 1) < likely);
  CHECK(std::fabs(all.scale(4).deviation / 3 - 1) < likely);
  const auto subset = fit(numbers, columns, {.columns = every_kind, .quantile_rows = 7000});
  CHECK(subset.scale(2).deviation != all.scale(2).deviation);
  CHECK(std::fabs(subset.scale(2).deviation / 0.01 - 1) < likely * std::sqrt(3.0));
  CHECK(subset.scale(4).deviation == all.scale(4).deviation);
}

TEMPLATE_LIST_TEST_CASE("tables are standardised and restored, in kernels as on the host",
                        "[data][standardization]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  constexpr std::size_t rows = 300;
  // What T holds of the numbers.
  std::vector<double> numbers;
  for (const double x : data_of(rows)) numbers.push_back(static_cast<double>(static_cast<T>(x)));
  const auto of = fit(numbers, columns, {.columns = every_kind});
  const auto table = test::table<T, Exec>(rows, columns, numbers);
  const DrawAddress address{.seed = 9, .step = 2, .first_sample = 5};
  of.standardize(exec, table, address);
  const auto mapped = numbers_of(table);
  std::vector<double> expected, noisy;
  const RandomStream stream = address.stream(Purpose::target);
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    const int j = static_cast<int>(k % columns);
    double x = numbers[k];
    if (of.scale(j).options.discrete) {
      const float u =
          stream.uniform<float>(5 + k / columns, 2, (1u << 24) + static_cast<unsigned>(j));
      x += dequantisation(static_cast<double>(u));
      CHECK((x > numbers[k] && x < numbers[k] + 1));
    }
    noisy.push_back(x);
    expected.push_back(of.scale(j).forward(x));
  }
  // One rounding to T; besides, logarithms of another library.
  CHECK(difference(mapped, expected, [&](std::size_t k) {
          return (epsilon<T> + 8 * epsilon<double>)*(std::fabs(expected[k]) +
                                                     1e3 * epsilon<double>);
        }) == "");
  const Table<double, Exec> wide = test::table<double, Exec>(rows, columns, noisy);
  const auto slopes = of.log_slope(exec, wide);
  std::vector<double> sums(rows);
  for (std::size_t k = 0; k < noisy.size(); ++k)
    sums[k / columns] += of.scale(static_cast<int>(k % columns)).log_slope(noisy[k]);
  std::vector<double> found;
  const auto host = to_host(exec, slopes);
  for (std::size_t i = 0; i < rows; ++i) found.push_back(host(i));
  CHECK(difference(found, sums, 100 * epsilon<double>) == "");
  of.restore(exec, table);
  // The map's error, half an epsilon of y or so, comes back times dx/dy; discrete columns are exact.
  CHECK(difference(numbers_of(table), numbers, [&](std::size_t k) {
          const ColumnScale& scale = of.scale(static_cast<int>(k % columns));
          if (scale.options.discrete) return 0.0;
          const double slope = std::exp(-scale.log_slope(numbers[k]));
          return 2 * (epsilon<T> + 8 * epsilon<double>)*(std::fabs(expected[k]) * slope +
                                                         std::fabs(numbers[k]) +
                                                         std::fabs(scale.options.shift));
        }) == "");
}

TEST_CASE("discrete columns of float come back whole, at the ends of u too",
          "[data][standardization]") {
  const double centre = GENERATE(0.3, 500.7), deviation = GENERATE(0.7, 33.3);
  const ColumnScale scale{{.kind = ScaleKind::deviation, .discrete = true}, centre, deviation};
  for (const double uniform : {0.0, 1 - 0x1p-24}) {
    CHECK((dequantisation(uniform) >= 0x1p-13 && dequantisation(uniform) <= 1 - 0x1p-13));
    for (int n = -900; n <= 900; ++n) {
      const double x = n + dequantisation(uniform);
      const auto y = static_cast<float>(scale.forward(x));
      // Half an epsilon of y is this much of x.
      REQUIRE(std::fabs(x - centre) * epsilon<float> / 2 < 0x1p-13);
      CHECK(static_cast<float>(scale.restored(static_cast<double>(y))) == static_cast<float>(n));
    }
  }
}

TEST_CASE("the density of what was mapped is exact", "[data][standardization]") {
  // x of a standard normal y by each inverse has a density that is known in closed form.
  const auto of = fit(data_of(500), columns, {.columns = every_kind});
  const RandomStream stream(2, Purpose::user);
  for (int k = 0; k < columns; ++k) {
    const ColumnScale& scale = of.scale(k);
    for (std::uint64_t n = 0; n < 200; ++n) {
      double y[2];
      stream.normal(n, 0, 0, 2, y);
      const double x = scale.inverse(y[0]), m = scale.centre, s = scale.deviation;
      double g = x, rate = 1;  // of g(x)
      if (scale.options.kind == ScaleKind::log) {
        g = std::log(x + scale.options.shift);
        rate = 1 / (x + scale.options.shift);
      } else if (scale.options.kind == ScaleKind::logit) {
        const double low = scale.options.low, high = scale.options.high,
                     p = (x - low) / (high - low);
        g = std::log(p / (1 - p));
        rate = 1 / (p * (1 - p) * (high - low));
      }
      const double density = std::log(rate) - std::log(s) + normal_density((g - m) / s);
      INFO("scale " << k << ", y " << y[0]);
      CHECK(std::fabs(normal_density(scale.forward(x)) + scale.log_slope(x) - density) < 1e-12);
      CHECK(std::fabs(scale.forward(x) - y[0]) < 1e-12);
    }
  }
}

TEST_CASE("numbers outside a domain are refused, and named", "[data][standardization]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  using Invalid = std::invalid_argument;
  const Exec exec;
  const auto good = data_of(40);
  const auto of = fit(good, columns, {.columns = every_kind});
  const auto refused = [&](std::size_t row, std::size_t column, double x) {
    auto numbers = good;
    numbers[row * columns + column] = x;
    const auto table = test::table<double, Exec>(40, columns, numbers);
    const auto message = thrown<Invalid>([&] { of.standardize(exec, table); });
    CHECK(numbers_of(table)[0] == numbers[0]);  // unchanged
    // The fit says the same.
    CHECK(thrown<std::runtime_error>([&] { fit(numbers, columns, {.columns = every_kind}); }) ==
          message);
    return message;
  };
  CHECK(refused(7, 3, -0.5) ==
        "vrfm: row 7, column 3: expected a finite number above -0.5 (log), found -0.5");
  CHECK(refused(39, 4, 5) ==
        "vrfm: row 39, column 4: expected a finite number between -2 and 5 (logit), found 5");
  CHECK(refused(2, 5, 1.5) == "vrfm: row 2, column 5: expected a whole number, found 1.5");
  CHECK(refused(2, 6, -1) ==
        "vrfm: row 2, column 6: expected a whole number of at least 0 (log), found -1");
  CHECK(refused(1, 7, 10) ==
        "vrfm: row 1, column 7: expected a whole number of 0 to 9 (logit), found 10");
  CHECK(refused(3, 0, INFINITY) == "vrfm: row 3, column 0: expected a finite number, found inf");
  const auto narrow_table = test::table<double, Exec>(5, 2, std::vector<double>(10));
  CHECK(thrown<Invalid>([&] { of.restore(exec, narrow_table); }) ==
        "vrfm: the standardization is of 8 columns, but the rows have 2");
  const auto made = [&](const StandardizationOptions& options) {
    return thrown<Invalid>([&] { StandardizationFit(4, 10, options); });
  };
  CHECK(made({.channels = 3}) ==
        "vrfm: a standardization's channels must divide the columns, got 3 of 4");
  CHECK(made({.columns = {{}, {}, {}}}) ==
        "vrfm: a standardization needs options of one or of 4 columns, got 3");
  CHECK(made({.columns = {{.kind = ScaleKind::logit, .low = 2, .high = 2}}}) ==
        "vrfm: a logit needs bounds low < high, got 2 and 2");
  CHECK(made({.quantile_rows = 0}) == "vrfm: quantile_rows must be positive, got 0");
  CHECK(thrown<std::runtime_error>([&] { StandardizationFit(4, 10, {}).finish(); }) ==
        "vrfm: a standardization is fitted to rows, got none");
}
