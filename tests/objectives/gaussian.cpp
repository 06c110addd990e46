// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The Gaussian posterior: KL against known values and numerical integration, the draw against its
// formula, and extreme log-variances, which may neither reach sigma = 0 nor overflow nor hide a NaN.
#include <cmath>
#include <limits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/objectives/gaussian.hpp>

using vrfm::Purpose;
using vrfm::RandomStream;
using vrfm::test::difference;
using vrfm::test::epsilon;
using vrfm::test::Padded;

namespace {

struct Draws {
  std::vector<double> z, noise, kl, dmoments;
};

constexpr double dz = 0.375, kl_weight = 0.5;

/// Draws and gradients of `rows` posteriors with `latent` dimensions.
template <class T, class Exec>
Draws reparameterize(const std::vector<double>& moments, int rows, int latent, double factor) {
  const Exec exec;
  const vrfm::BatchContext<Exec> ctx(exec);
  const Padded<T, Exec> in(rows, 2 * latent, moments);
  const Padded<T, Exec> dz_in(
      rows, latent,
      std::vector<double>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(latent), dz));
  Padded<T, Exec> z(rows, latent), noise(rows, latent), kl(rows, 1), dmoments(rows, 2 * latent);
  ctx.each_row(rows, vrfm::Reparameterize<T>{in.matrix(), z.matrix(), noise.matrix(), kl.matrix(),
                                             static_cast<T>(factor),
                                             RandomStream(4, Purpose::posterior), 8, 100});
  ctx.map(rows, latent,
          vrfm::ReparameterizeBackward<T>{in.matrix(), noise.matrix(), dz_in.matrix(),
                                          dmoments.matrix(), static_cast<T>(kl_weight)});
  return {z.read(), noise.read(), kl.read(), dmoments.read()};
}

/// KL(N(mu, exp(s)) || N(0, 1)) by the trapezoidal rule, which converges exponentially here.
double integrated_kl(double mu, double s) {
  const double sigma = std::exp(s / 2), log_normal = 0.5 * std::log(2 * std::acos(-1.0));
  const int points = 4000;
  const double first = mu - 14 * sigma, width = 28 * sigma / points;
  double sum = 0;
  for (int k = 0; k <= points; ++k) {
    const double x = first + k * width, e = (x - mu) / sigma;
    const double log_q = -e * e / 2 - s / 2 - log_normal, log_p = -x * x / 2 - log_normal;
    sum += width * std::exp(log_q) * (log_q - log_p);
  }
  return sum;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the KL divergence is the integral it stands for", "[objectives][gaussian]",
                        vrfm::test::Spaces) {
  const std::vector<double> moments{0, 0, 1, 0, -2, 1.5, 0.3, -4, 3, 2};
  const auto draws = reparameterize<double, TestType>(moments, 5, 1, 1.0);
  CHECK(draws.kl[0] == 0);
  CHECK(draws.kl[1] == 0.5);
  for (std::size_t i = 0; i < 5; ++i) {
    const double expected = integrated_kl(moments[2 * i], moments[2 * i + 1]);
    INFO("mu = " << moments[2 * i] << ", s = " << moments[2 * i + 1]);
    CHECK(std::fabs(draws.kl[i] - expected) <= 4000 * epsilon<double> * (1 + expected));
  }
}

TEMPLATE_LIST_TEST_CASE("the KL divergence adds dimensions and carries its factor",
                        "[objectives][gaussian]", vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  // Two rows of three dimensions: mu and then s.
  const std::vector<double> moments{1, 0, -0.5, 0, -1, 2, 0.25, 2, -1, 1, 0.5, -3};
  const auto draws = reparameterize<T, typename TestType::Exec>(moments, 2, 3, 1.0 / 3);
  for (std::size_t i = 0; i < 2; ++i) {
    double sum = 0, terms = 0;
    for (std::size_t j = 6 * i; j < 6 * i + 3; ++j) {
      const double mu = moments[j], s = moments[j + 3];
      sum += (mu * mu + std::exp(s) - 1 - s) / 6;
      terms += (mu * mu + std::exp(s) + 1 + std::fabs(s)) / 6;
    }
    CHECK(std::fabs(draws.kl[i] - sum) <= 16 * epsilon<T> * terms);
  }
}

TEMPLATE_LIST_TEST_CASE("draw and gradient follow their formulas", "[objectives][gaussian]",
                        vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  const std::vector<double> moments{0.5, -1.5, -0.75, 1.25};
  const auto draws = reparameterize<T, typename TestType::Exec>(moments, 1, 2, 1.0);
  T noise[2];
  RandomStream(4, Purpose::posterior).normal<T>(100, 8, 0, 2, noise);
  for (std::size_t j = 0; j < 2; ++j) {
    const double mu = moments[j], sigma = std::exp(moments[2 + j] / 2);
    const double e = draws.noise[j];
    INFO("dimension " << j);
    CHECK(std::fabs(e - static_cast<double>(noise[j])) <= 16 * epsilon<T> * (1 + std::fabs(e)));
    const double size = std::fabs(mu) + sigma * std::fabs(e);
    CHECK(std::fabs(draws.z[j] - (mu + sigma * e)) <= 8 * epsilon<T> * size);
    CHECK(std::fabs(draws.dmoments[j] - (dz + kl_weight * mu)) <= 4 * epsilon<T>);
    const double ds = (dz * e * sigma + kl_weight * (sigma * sigma - 1)) / 2;
    CHECK(std::fabs(draws.dmoments[2 + j] - ds) <= 16 * epsilon<T> * (1 + size + sigma * sigma));
  }
}

TEMPLATE_LIST_TEST_CASE("sigma neither vanishes nor overflows", "[objectives][gaussian]",
                        vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double s :
       {-infinity, -1e30, -1e3, -20.5, -20.0, -19.5, 0.0, 19.5, 20.0, 20.5, 1e3, 1e30, infinity}) {
    INFO("s = " << s);
    const auto draws = reparameterize<T, typename TestType::Exec>({0, s}, 1, 1, 1.0);
    const double limited = std::fmax(-20.0, std::fmin(20.0, s));
    const double sigma = draws.z[0] / draws.noise[0], expected = std::exp(limited / 2);
    CHECK(std::fabs(sigma - expected) <= 16 * epsilon<T> * expected);
    CHECK((sigma > 0 && std::isfinite(sigma)));
    const double kl = 0.5 * (std::exp(limited) - 1 - limited);
    CHECK(std::fabs(draws.kl[0] - kl) <= 32 * epsilon<T> * (1 + std::fabs(kl)));

    CHECK(draws.dmoments[0] == dz);
    const double inside =
        (dz * draws.noise[0] * expected + kl_weight * (std::exp(limited) - 1)) / 2;
    if (std::fabs(s) > 20) {
      CHECK(draws.dmoments[1] == 0);
    } else {
      CHECK(std::fabs(draws.dmoments[1] - inside) <=
            32 * epsilon<T> * (1 + expected + expected * expected));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("moments that are not finite are seen", "[objectives][gaussian]",
                        vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();

  const auto no_variance = reparameterize<T, typename TestType::Exec>({0.5, nan}, 1, 1, 1.0);
  CHECK(std::isnan(no_variance.z[0]));
  CHECK(std::isnan(no_variance.kl[0]));
  CHECK(std::isnan(no_variance.dmoments[1]));

  const auto no_mean = reparameterize<T, typename TestType::Exec>({nan, 0.5}, 1, 1, 1.0);
  CHECK(std::isnan(no_mean.z[0]));
  CHECK(std::isnan(no_mean.kl[0]));
  CHECK(std::isnan(no_mean.dmoments[0]));

  const auto far = reparameterize<T, typename TestType::Exec>({-infinity, 0.5}, 1, 1, 1.0);
  CHECK(far.z[0] == -infinity);
  CHECK(far.kl[0] == infinity);
  CHECK(far.dmoments[0] == -infinity);
}
