// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What z does: closed forms of Gaussian posteriors, draws of known distributions, the sentences.
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/core/random.hpp>
#include <vrfm/metrics/latent_diagnostics.hpp>

using namespace vrfm;
using test::epsilon;

namespace {

/// `rows` x `columns` draws of N(shift, scale^2).
template <class Exec>
Table<double, Exec> normal_draws(std::uint32_t seed, std::size_t rows, int columns, double shift,
                                 double scale) {
  std::vector<double> values;
  for (std::size_t i = 0; i < rows; ++i) {
    std::vector<double> e(static_cast<std::size_t>(columns) + 1);
    RandomStream(seed, Purpose::user).normal(i, 0, 0, columns, e.data());
    for (int j = 0; j < columns; ++j)
      values.push_back(shift + scale * e[static_cast<std::size_t>(j)]);
  }
  return test::table<double, Exec>(rows, static_cast<std::size_t>(columns), values);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("KL and active columns by hand", "[metrics][latent]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const auto mean = test::table<T, Exec>(2, 3, {1, 0.0625, 0, -2, -0.0625, 0});
  const auto s = test::table<T, Exec>(2, 3, {0, -1, 0, 2, -1, 0});
  const auto usage = latent_usage(Exec(), mean, s);
  const double first = 0.5, second = (4 + std::exp(2.0) - 3) / 2;
  const double narrow_one = (0.00390625 + std::exp(-1.0)) / 2;
  CHECK(test::difference({usage.kl[0].value, usage.kl[1].value, usage.kl[2].value},
                         {(first + second) / 2, narrow_one, 0}, 16 * epsilon<double>) == "");
  CHECK(std::fabs(usage.kl[0].standard_error - (second - first) / 2) <= 16 * epsilon<double>);
  CHECK(test::difference(usage.mean_variance, {4.5, 0.0078125, 0}, 16 * epsilon<double>) == "");
  CHECK(usage.active == 1);
  CHECK(latent_usage(Exec(), mean, s, 0.005).active == 2);
}

TEST_CASE("the KL of normal distributions", "[metrics][latent]") {
  using detail::metrics::gaussian_kl;
  CHECK(std::fabs(gaussian_kl({{1}, {4}}, {{0}, {1}}) - (2 - std::log(2))) <= 8 * epsilon<double>);
  // By the inverse of a matrix of two rows.
  const double a = 2, b = 0.5, c = 1, determinant = a * c - b * b;
  const std::vector<double> p = {a, b, b, c}, q = {1, -0.25, -0.25, 3};
  const double trace = (c * q[0] - 2 * b * q[1] + a * q[3]) / determinant;
  const double x = 1, y = -2, square = (c * x * x - 2 * b * x * y + a * y * y) / determinant;
  const double kl = (trace + square - 2 + std::log(determinant / (3 - 0.0625))) / 2;
  CHECK(std::fabs(gaussian_kl({{3, -1}, q}, {{2, 1}, p}) - kl) <= 32 * epsilon<double>);
  CHECK(std::fabs(gaussian_kl({{2, 1}, p}, {{2, 1}, p})) <= 8 * epsilon<double>);
  CHECK(std::isinf(gaussian_kl({{0, 0}, {1, 1, 1, 1}}, {{2, 1}, p})));
}

TEST_CASE("the aggregated posterior against the prior", "[metrics][latent]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto prior = normal_draws<Exec>(1, 3000, 3, 0, 1);
  SECTION("alike") {
    const auto same = aggregated_posterior(exec, normal_draws<Exec>(2, 2000, 3, 0, 1), prior);
    CHECK(std::fabs(same.kl_if_alike - 4.5 * (1.0 / 2000 + 1.0 / 3000)) <= epsilon<double>);
    // Half a chi-square number of 9 degrees, in these units of 2 / 9: 4 deviations.
    CHECK(std::fabs(same.gaussian_kl / same.kl_if_alike - 1) < 4 * std::sqrt(2.0 / 9));
    CHECK(std::fabs(same.energy.value) < 4 * same.energy.standard_error);
    CHECK(std::fabs(same.energy_scale - std::sqrt(6)) < 0.1);
    LatentUsage usage{std::vector<Estimate>(3), {1, 1, 0}, 2};
    CHECK(describe_latents(usage, same) ==
          "2 of 3 dimensions active; aggregated posterior near the prior");
    usage.active = 0;
    CHECK(describe_latents(usage, same) ==
          "0 of 3 dimensions active: z is ignored; smaller beta, or a posterior that sees x1, "
          "makes it tell something");
  }
  SECTION("of another mean and width") {
    const double shift = 0.5, scale = 0.8;
    const auto other = aggregated_posterior(exec, normal_draws<Exec>(2, 2000, 1, shift, scale),
                                            normal_draws<Exec>(1, 3000, 1, 0, 1));
    const double kl = (scale * scale + shift * shift - 1) / 2 - std::log(scale);
    CHECK(std::fabs(other.gaussian_kl - kl) < 0.05);
    // E|N(m, s^2)| = s sqrt(2 / pi) exp(-m^2 / (2 s^2)) + m erf(m / (s sqrt 2))
    const auto distance = [](double m, double s) {
      return s * std::sqrt(2 / M_PI) * std::exp(-m * m / (2 * s * s)) +
             m * std::erf(m / s / std::sqrt(2));
    };
    const double energy = 2 * distance(shift, std::hypot(1, scale)) - distance(0, std::sqrt(2)) -
                          distance(0, scale * std::sqrt(2));
    CHECK(std::fabs(other.energy.value - energy) < 4 * other.energy.standard_error);
    CHECK(other.energy.standard_error < energy / 5);
    CHECK(other.energy.value < 2 * other.energy_scale);
    CHECK(describe_latents({{Estimate{}}, {1}, 1}, other) ==
          "1 of 1 dimensions active; aggregated posterior far from prior: larger beta, or a "
          "learned prior");
  }
  SECTION("of the same moments, but two points a column") {
    std::vector<double> signs;
    for (std::size_t i = 0; i < 2000; ++i) signs.push_back(i % 2 == 0 ? 1 : -1);
    const auto other = aggregated_posterior(exec, test::table<double, Exec>(2000, 1, signs),
                                            normal_draws<Exec>(1, 3000, 1, 0, 1));
    CHECK(other.gaussian_kl < 0.05);
    CHECK(describe_latents({{Estimate{}}, {1}, 1}, other) ==
          "1 of 1 dimensions active; aggregated posterior far from prior: larger beta, or a "
          "learned prior");
  }
}

TEST_CASE("latent diagnostics check their arguments", "[metrics][latent]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto two = normal_draws<Exec>(1, 20, 2, 0, 1), one = normal_draws<Exec>(1, 15, 1, 0, 1);
  CHECK(error([&] { latent_usage(exec, two, one); }) ==
        "vrfm: mean has 20 rows but log_variance has 15 rows");
  CHECK(error([&] { aggregated_posterior(exec, two, one); }) ==
        "vrfm: posterior has 2 columns but prior has 1 columns");
  CHECK(error([&] { aggregated_posterior(exec, one, one); }) ==
        "vrfm: aggregated_posterior: expected at least 16 draws of each, but got 15 and 15");
}
