// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Schedules: derivatives against central differences, values at both ends, unit variance of the two
// that claim it, and precision in float near t = 1.
#include <cmath>
#include <limits>
#include <type_traits>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>

#include <vrfm/paths/schedule.hpp>

using vrfm::LinearSchedule;
using vrfm::TrigonometricSchedule;
using vrfm::VariancePreservingSchedule;
using vrfm::test::epsilon;

static_assert(vrfm::Schedule<LinearSchedule> && vrfm::Schedule<TrigonometricSchedule> &&
              vrfm::Schedule<VariancePreservingSchedule>);

TEMPLATE_TEST_CASE("a schedule's rates are its derivatives", "[paths][schedule]", LinearSchedule,
                   TrigonometricSchedule, VariancePreservingSchedule) {
  const TestType schedule;
  const double root = std::cbrt(epsilon<double>);
  for (int k = 1; k < 200; ++k) {
    const double t = k / 200.0, border = std::fmin(t, 1 - t), h = root * border;
    const auto low = schedule.at(t - h), high = schedule.at(t + h), here = schedule.at(t);
    const double width = (t + h) - (t - h);
    // h^2 from the difference quotient, eps / h from its cancellation.
    const auto tolerance = [&](double rate) {
      return 100 * root * root * (1 + std::fabs(rate)) / border;
    };
    INFO("t = " << t);
    CHECK(std::fabs((high.alpha - low.alpha) / width - here.alpha_rate) <=
          tolerance(here.alpha_rate));
    CHECK(std::fabs((high.sigma - low.sigma) / width - here.sigma_rate) <=
          tolerance(here.sigma_rate));
  }
}

TEMPLATE_TEST_CASE("a schedule's curvature is the derivative of its rates", "[paths][schedule]",
                   LinearSchedule, TrigonometricSchedule, VariancePreservingSchedule) {
  static_assert(vrfm::DifferentiableSchedule<TestType>);
  const TestType schedule;
  const double root = std::cbrt(epsilon<double>);
  for (int k = 1; k < 200; ++k) {
    const double t = k / 200.0, border = std::fmin(t, 1 - t), h = root * border;
    const auto low = schedule.at(t - h), high = schedule.at(t + h);
    const auto here = schedule.curvature(t);
    const double width = (t + h) - (t - h);
    // As above, of functions that are larger by their rates.
    const auto tolerance = [&](double rate, double curvature) {
      return 100 * root * root * (1 + std::fabs(rate) + std::fabs(curvature)) / border;
    };
    INFO("t = " << t);
    CHECK(std::fabs((high.alpha_rate - low.alpha_rate) / width - here.alpha) <=
          tolerance(low.alpha_rate, here.alpha));
    CHECK(std::fabs((high.sigma_rate - low.sigma_rate) / width - here.sigma) <=
          tolerance(low.sigma_rate, here.sigma));
    // And in float, as the values that it is made of.
    const auto single = schedule.curvature(static_cast<float>(t));
    const auto same = schedule.curvature(static_cast<double>(static_cast<float>(t)));
    CHECK(std::fabs(static_cast<double>(single.alpha) - same.alpha) <=
          64 * epsilon<float> * (1 + 100 * std::fabs(same.alpha)));
    CHECK(std::fabs(static_cast<double>(single.sigma) - same.sigma) <=
          64 * epsilon<float> * (1 + 100 * std::fabs(same.sigma)));
  }
}

TEMPLATE_TEST_CASE("schedules go from noise to data", "[paths][schedule]", float, double) {
  using T = TestType;
  const double eps = epsilon<T>;

  const auto linear0 = LinearSchedule{}.at(T(0)), linear1 = LinearSchedule{}.at(T(1));
  CHECK((linear0.alpha == 0 && linear0.sigma == 1 && linear1.alpha == 1 && linear1.sigma == 0));
  CHECK((linear0.alpha_rate == 1 && linear0.sigma_rate == -1));

  const auto trigonometric0 = TrigonometricSchedule{}.at(T(0));
  const auto trigonometric1 = TrigonometricSchedule{}.at(T(1));
  CHECK((trigonometric0.alpha == 0 && trigonometric0.sigma == 1));
  CHECK((trigonometric1.alpha == 1 && trigonometric1.sigma == 0));

  const VariancePreservingSchedule preserving;
  const auto preserving0 = preserving.at(T(0)), preserving1 = preserving.at(T(1));
  const double alpha0 = std::exp(-(20.0 - 0.1) / 4 - 0.1 / 2);
  CHECK(std::fabs(static_cast<double>(preserving0.alpha) - alpha0) <= 16 * eps * alpha0);
  CHECK(std::fabs(static_cast<double>(preserving0.sigma) - std::sqrt(1 - alpha0 * alpha0)) <=
        4 * eps);
  CHECK((preserving1.alpha == 1 && preserving1.sigma == 0));
  CHECK(preserving1.sigma_rate == -std::numeric_limits<T>::infinity());
}

TEMPLATE_TEST_CASE("alpha^2 + sigma^2 = 1", "[paths][schedule]", float, double) {
  using T = TestType;
  const auto check = [](const auto& schedule) {
    for (int k = 0; k <= 1000; ++k) {
      const auto s = schedule.at(T(k) / T(1000));
      const double alpha = static_cast<double>(s.alpha), sigma = static_cast<double>(s.sigma);
      INFO("t = " << k / 1000.0);
      CHECK(std::fabs(alpha * alpha + sigma * sigma - 1) <= 8 * epsilon<T>);
    }
  };
  check(TrigonometricSchedule{});
  check(VariancePreservingSchedule{});
  check(VariancePreservingSchedule{.beta_min = 0.5, .beta_max = 4});
}

TEST_CASE("the variance-preserving sigma keeps float precision near t = 1", "[paths][schedule]") {
  const VariancePreservingSchedule schedule;
  for (float r = 0.5f; r > 1e-7f; r /= 2) {
    const float t = 1.0f - r;
    const auto single = schedule.at(t);
    const auto reference = schedule.at(static_cast<double>(t));
    INFO("1 - t = " << r);
    CHECK(std::fabs(static_cast<double>(single.sigma) - reference.sigma) <=
          8 * epsilon<float> * reference.sigma);
    CHECK(std::fabs(static_cast<double>(single.sigma_rate) - reference.sigma_rate) <=
          16 * epsilon<float> * std::fabs(reference.sigma_rate));
  }
}
