// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The Gaussian posterior and prior: KL against known values and numerical integration, gradients
// against differences, the draw against its formula, free bits, and extreme log-variances, which may
// neither reach sigma = 0 nor overflow nor hide a NaN.
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
  std::vector<double> z, noise, kl, dmoments, dprior;
};

constexpr double dz = 0.375, kl_weight = 0.5;
const vrfm::DrawAddress address{.seed = 4, .step = 8, .first_sample = 100};

/// Draws and gradients of `rows` posteriors with `latent` dimensions; `prior`: empty or its moments.
template <class T, class Exec>
Draws reparameterize(const std::vector<double>& moments, int rows, int latent, double factor,
                     const std::vector<double>& prior = {}, double free_bits = 0) {
  const Exec exec;
  const vrfm::BatchContext<Exec> ctx(exec);
  const bool learned = !prior.empty();
  const Padded<T, Exec> in(rows, 2 * latent, moments);
  const Padded<T, Exec> prior_in(
      rows, 2 * latent,
      learned ? prior : std::vector<double>(2 * static_cast<std::size_t>(rows * latent)));
  const Padded<T, Exec> dz_in(
      rows, latent,
      std::vector<double>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(latent), dz));
  Padded<T, Exec> z(rows, latent), noise(rows, latent), kl(rows, 1), dmoments(rows, 2 * latent),
      dprior(rows, 2 * latent);
  const vrfm::GaussianDraw<T> draw{in.matrix(), learned ? prior_in.matrix() : vrfm::Matrix<T>(),
                                   z.matrix(), noise.matrix()};
  const vrfm::KlTerm<T> term{kl_weight, factor, static_cast<T>(free_bits), 1.0};
  ctx.each_row(rows, vrfm::Reparameterize<T>{draw, term, kl.matrix(), address});
  ctx.each_row(rows, vrfm::ReparameterizeBackward<T>{draw, term, dz_in.matrix(), dmoments.matrix(),
                                                     learned ? dprior.matrix() : vrfm::Matrix<T>(),
                                                     address.step});
  return {z.read(), noise.read(), kl.read(), dmoments.read(), dprior.read()};
}

/// KL(N(mu, exp(s)) || N(m, exp(r))) by the trapezoidal rule, which converges exponentially here.
double integrated_kl(double mu, double s, double m = 0, double r = 0) {
  const double sigma = std::exp(s / 2), log_normal = 0.5 * std::log(2 * std::acos(-1.0));
  const int points = 4000;
  const double first = mu - 14 * sigma, width = 28 * sigma / points;
  double sum = 0;
  for (int k = 0; k <= points; ++k) {
    const double x = first + k * width, e = (x - mu) / sigma, f = (x - m) / std::exp(r / 2);
    const double log_q = -e * e / 2 - s / 2 - log_normal, log_p = -f * f / 2 - r / 2 - log_normal;
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

TEMPLATE_LIST_TEST_CASE("the KL divergence from a learned prior is the integral it stands for",
                        "[objectives][gaussian]", vrfm::test::Spaces) {
  const std::vector<double> moments{0, 0, 1, 0, -2, 1.5, 0.3, -4, 3, 2};
  const std::vector<double> prior{0, 0, 1, 0, 0.5, -0.75, -0.2, -3, 3, 2.5};
  const auto draws = reparameterize<double, TestType>(moments, 5, 1, 1.0, prior);
  CHECK(draws.kl[0] == 0);
  CHECK(draws.kl[1] == 0);
  for (std::size_t i = 0; i < 5; ++i) {
    const double mu = moments[2 * i], s = moments[2 * i + 1];
    const double m = prior[2 * i], r = prior[2 * i + 1];
    const double expected = integrated_kl(mu, s, m, r);
    INFO("mu = " << mu << ", s = " << s << "; prior " << m << ", " << r);
    CHECK(std::fabs(draws.kl[i] - expected) <= 4000 * epsilon<double> * (1 + expected));
  }
}

TEMPLATE_LIST_TEST_CASE("a prior of N(0, I) that is told is the one that is not",
                        "[objectives][gaussian]", vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  const std::vector<double> moments{1, -0.5, -1, 2, 0.25, 2, 1, 0.5};
  const auto plain = reparameterize<T, typename TestType::Exec>(moments, 2, 2, 0.5);
  const auto told =
      reparameterize<T, typename TestType::Exec>(moments, 2, 2, 0.5, std::vector<double>(8, 0.0));
  CHECK(told.z == plain.z);
  const auto size = [](const std::vector<double>& values) {
    return 64 * epsilon<T> * (1 + vrfm::test::largest(values));
  };
  CHECK(difference(told.kl, plain.kl, size(plain.kl)) == "");
  CHECK(difference(told.dmoments, plain.dmoments, size(plain.dmoments)) == "");
}

TEMPLATE_LIST_TEST_CASE("the gradients of the KL divergence are its differences",
                        "[objectives][gaussian]", vrfm::test::Spaces) {
  const std::vector<double> moments{0.5, -1.5, -0.75, 1.25}, prior{-0.25, 0.5, 0.5, -1};
  for (const bool learned : {false, true}) {
    const auto given = learned ? prior : std::vector<double>();
    const auto at = reparameterize<double, TestType>(moments, 1, 2, 0.7, given);
    const double h = std::cbrt(epsilon<double>);
    // What the draw of z passes to the moments goes beside the KL's part.
    const auto difference_of = [&](std::vector<double> q, std::vector<double> p, bool of_prior,
                                   std::size_t k) {
      auto& x = of_prior ? p : q;
      const double middle = x[k];
      x[k] = middle + h;
      const auto high = reparameterize<double, TestType>(q, 1, 2, 0.7, p);
      x[k] = middle - h;
      const auto low = reparameterize<double, TestType>(q, 1, 2, 0.7, p);
      const double width = (middle + h) - (middle - h);
      double result = kl_weight * (high.kl[0] - low.kl[0]) / width;
      for (std::size_t j = 0; j < 2; ++j) result += dz * (high.z[j] - low.z[j]) / width;
      return result;
    };
    for (std::size_t k = 0; k < 4; ++k) {
      INFO("moment " << k << (learned ? ", learned prior" : ""));
      CHECK(std::fabs(at.dmoments[k] - difference_of(moments, given, false, k)) <= 100 * h * h);
      if (learned) {
        CHECK(at.dprior[k] != 0);
        CHECK(std::fabs(at.dprior[k] - difference_of(moments, given, true, k)) <= 100 * h * h);
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a dimension within its free bits counts them and passes no gradient",
                        "[objectives][gaussian]", vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  // KL: 0.125, 0.5 and 4.5 nats.
  const std::vector<double> moments{0.5, 1, 3, 0, 0, 0};
  const auto at = [&](double free_bits, const std::vector<double>& prior = {}) {
    return reparameterize<T, typename TestType::Exec>(moments, 1, 3, 1.0, prior, free_bits);
  };
  const auto none = at(0), few = at(0.25), all = at(10);
  CHECK(none.kl[0] == 0.125 + 0.5 + 4.5);
  CHECK(few.kl[0] == 0.25 + 0.5 + 4.5);
  CHECK(all.kl[0] == 30);
  CHECK(few.z == none.z);
  for (std::size_t j = 0; j < 3; ++j) {
    INFO("dimension " << j);
    // Only the draw's gradient is left where the bits are free.
    const double drawn = dz * none.noise[j] / 2;
    CHECK(few.dmoments[j] == (j == 0 ? dz : none.dmoments[j]));
    CHECK(all.dmoments[j] == dz);
    CHECK(std::fabs(all.dmoments[3 + j] - drawn) <= 4 * epsilon<T>);
  }
  const std::vector<double> prior(6, 0.25);
  for (const double d : at(10, prior).dprior) CHECK(d == 0);
  for (const double d : at(0, prior).dprior) CHECK(d != 0);
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
    // Descent goes against the gradient: outside of the limits it may lead back alone.
    double gradient = (dz * draws.noise[0] * expected + kl_weight * (std::exp(limited) - 1)) / 2;
    if ((s > 20 && gradient < 0) || (s < -20 && gradient > 0)) gradient = 0;
    CHECK(std::fabs(draws.dmoments[1] - gradient) <=
          32 * epsilon<T> * (1 + expected + expected * expected));
  }
}

TEMPLATE_LIST_TEST_CASE("a log-variance beyond its limits comes back", "[objectives][gaussian]",
                        vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  // Of large variances the KL alone leads back whatever the draw; of small ones too, but for dz.
  for (const double s : {-25.0, 25.0}) {
    const auto draws = reparameterize<T, typename TestType::Exec>({0, s}, 1, 1, 1.0);
    CHECK(draws.dmoments[1] * s > 0);
  }
}

TEMPLATE_LIST_TEST_CASE("a small KL divergence is not rounding", "[objectives][gaussian]",
                        vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  std::vector<double> moments;
  for (int k = -200; k <= 200; ++k) {
    moments.insert(moments.end(), {0, static_cast<double>(static_cast<T>(k * 1e-5))});
  }
  const auto count = static_cast<int>(moments.size() / 2);
  const auto draws = reparameterize<T, typename TestType::Exec>(moments, count, 1, 1.0);
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const double s = moments[2 * i + 1];
    // Its series; the rounding of exp(s) - 1, which is near s, is what remains.
    const double kl = s * s / 4 * (1 + s / 3 * (1 + s / 4 * (1 + s / 5 * (1 + s / 6))));
    INFO("s = " << s);
    CHECK(draws.kl[i] >= 0);
    CHECK(std::fabs(draws.kl[i] - kl) <= 2 * epsilon<T> * std::fabs(s) + 1e-12 * kl);
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

TEMPLATE_LIST_TEST_CASE("a prior of any variance has finite losses, and one that is NaN is seen",
                        "[objectives][gaussian]", vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double s : {-infinity, -1e3, -20.5, 20.5, 1e3, infinity}) {
    for (const double r : {-infinity, -1e3, -20.5, 20.5, 1e3, infinity}) {
      INFO("s = " << s << ", prior's " << r);
      const auto draws = reparameterize<T, typename TestType::Exec>({0.5, s}, 1, 1, 1.0, {-1, r});
      CHECK(std::isfinite(draws.kl[0]));
      for (const double d : draws.dmoments) CHECK(std::isfinite(d));
      CHECK(std::isfinite(draws.dprior[0]));
      // Outside of the limits a gradient is zero or leads back.
      CHECK((draws.dprior[1] == 0 || (std::isfinite(draws.dprior[1]) && draws.dprior[1] * r > 0)));
      CHECK((draws.dmoments[1] == 0 ||
             (std::isfinite(draws.dmoments[1]) && draws.dmoments[1] * s > 0)));
    }
  }
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double free_bits : {0.0, 0.5}) {
    for (std::size_t k = 0; k < 2; ++k) {
      std::vector<double> bad{0.5, 0.5};
      bad[k] = nan;
      const auto prior =
          reparameterize<T, typename TestType::Exec>({0, 0}, 1, 1, 1.0, bad, free_bits);
      CHECK(std::isnan(prior.kl[0]));
      CHECK(std::isnan(prior.dprior[k]));
      const auto posterior =
          reparameterize<T, typename TestType::Exec>(bad, 1, 1, 1.0, {0, 0}, free_bits);
      CHECK(std::isnan(posterior.kl[0]));
      CHECK(std::isnan(posterior.dmoments[k]));
    }
  }
}
