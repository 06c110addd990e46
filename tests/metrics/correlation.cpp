// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Correlations: NumPy's values, standard errors against the spread of repeated sets, the largest difference.
#include <cmath>
#include <stdexcept>
#include <vector>

#include <tests/golden/ensembles.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/correlation.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

namespace {

/// Rows of three dependent columns.
std::vector<double> dependent(Numbers& numbers, std::size_t rows) {
  auto values = numbers.take(3 * rows);
  for (std::size_t i = 0; i < values.size(); i += 3) {
    values[i + 1] += values[i];
    values[i + 2] *= values[i + 1];
  }
  return values;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("correlations agree with NumPy", "[metrics][correlation]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  Numbers numbers(43);
  const auto found = correlations(exec, test::table<T, Exec>(300, 3, dependent(numbers, 300)));
  CHECK(test::difference(found.correlation, test::expected::correlations, 100 * epsilon<T>) == "");
  // By hand: of (0, 0), (2, 0), (0, 2), (2, 2) r = 0 and each influence is one.
  const auto square = correlations(exec, test::table<T, Exec>(4, 2, {0, 0, 2, 0, 0, 2, 2, 2}));
  CHECK(test::difference(square.correlation, {1, 0, 0, 1}, 4 * epsilon<double>) == "");
  CHECK(test::difference(square.standard_error, {0, 0.5, 0.5, 0}, 4 * epsilon<double>) == "");
  // A copy is exactly correlated.
  const auto copy = correlations(exec, test::table<T, Exec>(3, 2, {0, 0, 1, -1, 4, -4}));
  CHECK(test::difference(copy.correlation, {1, -1, -1, 1}, 4 * epsilon<double>) == "");
  CHECK(test::difference(copy.standard_error, {0, 0, 0, 0}, 8 * epsilon<double>) == "");
}

TEST_CASE("the correlations' standard errors are their deviations", "[metrics][correlation]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  Numbers numbers(44);
  constexpr int sets = 400;
  const std::size_t at[] = {1, 2, 5};
  double mean[3] = {}, squares[3] = {}, claimed[3] = {}, most = 0;
  for (int k = 0; k < sets; ++k) {
    const auto a = test::table<double, Exec>(400, 3, dependent(numbers, 400));
    const auto found = correlations(exec, a);
    for (int i = 0; i < 3; ++i) {
      const double r = found.correlation[at[i]], error = found.standard_error[at[i]];
      mean[i] += r / sets;
      squares[i] += r * r / sets;
      claimed[i] += error * error / sets;
    }
    if (k % 4 != 0) continue;
    most +=
        correlation_difference(exec, a, test::table<double, Exec>(400, 3, dependent(numbers, 400)))
            .most_errors /
        (sets / 4);
  }
  for (int i = 0; i < 3; ++i) {
    const double variance = squares[i] - mean[i] * mean[i];
    // Four deviations of a normal number's variance, and a bias of the order of 1 / 400.
    CHECK(std::fabs(claimed[i] / variance - 1) < 4 * std::sqrt(2.0 / sets) + 0.02);
  }
  // The largest of three normal numbers' sizes is 1.33 on average, if they are independent, and of deviation 0.6.
  CHECK((most > 0.8 && most < 1.33 + 4 * 0.06));
}

TEST_CASE("the largest difference of correlations", "[metrics][correlation]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  Numbers numbers(45);
  auto a = dependent(numbers, 500), b = dependent(numbers, 700);
  for (std::size_t i = 0; i < b.size(); i += 3)
    b[i + 2] += b[i] / 4;  // columns 0 and 2, and less 1 and 2
  const auto x = test::table<double, Exec>(500, 3, a), y = test::table<double, Exec>(700, 3, b);
  const auto found = correlation_difference(exec, x, y);
  CHECK(found.row == 2);
  CHECK(found.column == 0);
  const auto of_x = correlations(exec, x), of_y = correlations(exec, y);
  CHECK(found.difference.value == of_x.correlation[2] - of_y.correlation[2]);
  CHECK(found.difference.value < 0);
  CHECK(found.difference.standard_error ==
        std::hypot(of_x.standard_error[2], of_y.standard_error[2]));
  CHECK(found.most_errors > 5);
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  CHECK(error([&] {
          correlation_difference(exec, x, test::table<double, Exec>(2, 1, {1, 2}));
        }) == "vrfm: a has 3 columns but b has 1 columns");
  const auto constant = test::table<double, Exec>(3, 2, {1, 2, 1, 3, 1, 5});
  CHECK(error([&] { correlation_difference(exec, constant, constant); }) ==
        "vrfm: correlation_difference: expected columns that vary, but column 1 or 0 is constant");
}
