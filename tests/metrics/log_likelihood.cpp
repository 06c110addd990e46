// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Log-likelihoods: closed forms, SciPy's values, extremes, checks.
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

#include <vrfm/data/draw.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/metrics/log_likelihood.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers, test::thrown;

namespace {

constexpr double log_two_pi = 1.83787706640934548356;

}  // namespace

TEMPLATE_LIST_TEST_CASE("exact samples reach minus the entropy", "[metrics][log_likelihood]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const GaussianMixture<T, Exec> normal(exec, 3, {1, 2, 3}, {0.25});
  constexpr int count = 20000;
  const auto x = draw_all(exec, normal, count, 3, Purpose::target);
  // log p = -D/2 (log 2 pi s^2) - |z|^2 / 2, and |z|^2 / 2 has mean D/2 and variance D/2.
  const double entropy = 1.5 * (log_two_pi + 2 * std::log(0.25) + 1);
  CHECK(std::fabs(true_log_likelihood(exec, normal, x) + entropy) <= 5 * std::sqrt(1.5 / count));
}

TEMPLATE_LIST_TEST_CASE("true log-likelihood of two points", "[metrics][log_likelihood]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto x = test::table<T, Exec>(2, 1, {1, -3});
  const double expected = -0.5 * log_two_pi - (0.5 + 4.5) / 2;
  CHECK(std::fabs(true_log_likelihood(exec, standard_normal<T>(exec, 1), x) - expected) <=
        8 * epsilon<T> * std::fabs(expected));
}

TEMPLATE_LIST_TEST_CASE("Parzen of one point is a normal density", "[metrics][log_likelihood]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto x = test::table<T, Exec>(1, 2, {1, -1});
  const auto at = [&](double a, double b) {
    return parzen_log_likelihood(exec, x, test::table<T, Exec>(1, 2, {a, b}), 0.5);
  };
  const double peak = -log_two_pi - 2 * std::log(0.5);
  CHECK(std::fabs(at(1, -1) - peak) <= 8 * epsilon<double>);
  CHECK(std::fabs(at(2, 1) - (peak - 10)) <= 8 * epsilon<T> * 10);
  // exp of this is zero in any type.
  CHECK(std::fabs(at(1001, -1) - (peak - 2e6)) <= 8 * epsilon<T> * 2e6);
  const double huge = static_cast<double>(std::numeric_limits<T>::max()) / 4;
  CHECK(at(huge, 0) == -std::numeric_limits<double>::infinity());
}

TEMPLATE_LIST_TEST_CASE("Parzen agrees with SciPy", "[metrics][log_likelihood]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto a = test::table<T, Exec>(700, 2, Numbers(1).take(1400));
  const auto b = test::table<T, Exec>(300, 2, Numbers(2).take(600));
  const double two = test::expected::parzen_2d;
  CHECK(std::fabs(parzen_log_likelihood(exec, a, b, 0.125) - two) <= 16 * epsilon<T>);

  auto wide = Numbers(4).take(33 * 5);
  for (double& value : wide) value *= 3;
  const auto c = test::table<T, Exec>(40, 5, Numbers(3).take(200));
  const auto d = test::table<T, Exec>(33, 5, wide);
  const double five = test::expected::parzen_5d;
  CHECK(std::fabs(parzen_log_likelihood(exec, c, d, 0.0625) - five) <=
        8 * epsilon<T> * std::fabs(five));
}

TEMPLATE_TEST_CASE("Parzen with a device's chunk agrees with a host's", "[metrics][log_likelihood]",
                   float, double) {
  using T = TestType;
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const auto x = test::table<T, Exec>(700, 2, Numbers(1).take(1400));
  const auto y = test::table<T, Exec>(20, 2, Numbers(2).take(40));
  const auto columns = detail::metrics::transposed<Exec, T>(Exec(), matrix(x));
  Exec().fence();
  const detail::metrics::LogKernelSum<T, 1> narrow{matrix(columns), matrix(y), T(32)};
  const detail::metrics::LogKernelSum<T, 256> wide{matrix(columns), matrix(y), T(32)};
  // Largest exponent 32 * 8.
  for (int row = 0; row < 20; ++row) CHECK(std::fabs(narrow(row) - wide(row)) <= 16 * epsilon<T>);
}

TEST_CASE("log-likelihoods check their arguments", "[metrics][log_likelihood]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto normal = standard_normal<float>(exec, 2);
  const auto error = [](const auto& call) { return thrown<std::invalid_argument>(call); };
  const auto good = test::table<float, Exec>(2, 2, {1, 2, 3, 4});
  const auto wide = test::table<float, Exec>(1, 3, {1, 2, 3});
  const Table<float, Exec> empty("empty", 0, 2);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const auto bad = test::table<float, Exec>(4, 2, {1, 2, 3, 4, 5, nan, infinity, 8});

  CHECK(error([&] { true_log_likelihood(exec, normal, empty); }) ==
        "vrfm: true_log_likelihood: samples: expected at least one sample, but got 0 rows of 2 "
        "columns");
  CHECK(error([&] { true_log_likelihood(exec, normal, bad); }) ==
        "vrfm: true_log_likelihood: samples: row 2 holds a number that is not finite");
  CHECK(error([&] { true_log_likelihood(exec, normal, wide); }) ==
        "vrfm: true_log_likelihood: samples have 3 columns but the density has 2 dimensions");
  CHECK(error([&] { parzen_log_likelihood(exec, empty, good, 1); }) ==
        "vrfm: parzen_log_likelihood: generated: expected at least one sample, but got 0 rows of "
        "2 columns");
  CHECK(error([&] { parzen_log_likelihood(exec, good, bad, 1); }) ==
        "vrfm: parzen_log_likelihood: held_out: row 2 holds a number that is not finite");
  CHECK(error([&] { parzen_log_likelihood(exec, good, wide, 1); }) ==
        "vrfm: generated has 2 columns but held_out has 3 columns");
  for (const double bandwidth : {0.0, -1.0, nan, infinity, 1e-30})
    CHECK(test::contains(error([&] { parzen_log_likelihood(exec, good, good, bandwidth); }),
                         "parzen_log_likelihood: bandwidth must be positive and finite"));
}
