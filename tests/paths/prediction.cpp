// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The factors of predictions: v = a x + b o is the conversion of affine_path.hpp, and rates are derivatives.
#include <cmath>
#include <stdexcept>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/paths/prediction.hpp>

namespace vrfm::test {
namespace {

template <Prediction prediction, class S>
double converted(const S& s, double x, double o) {
  if constexpr (prediction == Prediction::data) {
    return velocity_from_data(s, x, o);
  } else if constexpr (prediction == Prediction::noise) {
    return velocity_from_noise(s, x, o);
  } else {
    return velocity_from_score(s, x, o);
  }
}

template <Prediction prediction, class Path>
void check(const Path& path) {
  Numbers numbers(8);
  const double root = std::cbrt(epsilon<double>);
  for (int k = 1; k < 100; ++k) {
    const double t = k / 100.0, x = numbers.next(), o = numbers.next();
    INFO("t = " << t << ", prediction " << static_cast<int>(prediction));
    const auto s = path.at(t);
    const auto f = velocity_factors<prediction>(s);
    const double terms = std::fabs(f.x) + std::fabs(f.output) +
                         std::fabs(s.alpha * s.sigma_rate / s.sigma) + std::fabs(s.alpha_rate) +
                         std::fabs(s.alpha_rate * s.sigma / s.alpha) + std::fabs(s.sigma_rate);
    CHECK(std::fabs(f.x * x + f.output * o - converted<prediction>(s, x, o)) <=
          16 * epsilon<double> * terms);

    const double border = std::fmin(t, 1 - t), h = root * border, width = (t + h) - (t - h);
    const auto low = velocity_factors<prediction>(path.at(t - h));
    const auto high = velocity_factors<prediction>(path.at(t + h));
    const auto rates = velocity_factor_rates<prediction>(s, path.curvature(t));
    const auto tolerance = [&](double value, double rate) {
      return 100 * root * root * (1 + std::fabs(value) + std::fabs(rate)) / border;
    };
    CHECK(std::fabs((high.x - low.x) / width - rates.x) <= tolerance(f.x, rates.x));
    CHECK(std::fabs((high.output - low.output) / width - rates.output) <=
          tolerance(f.output, rates.output));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("factors of predictions are the conversions'", "[paths][prediction]",
                   LinearSchedule, TrigonometricSchedule, VariancePreservingSchedule) {
  check<Prediction::data>(TestType{});
  check<Prediction::noise>(TestType{});
  check<Prediction::score>(TestType{});
}

TEST_CASE("times of predictions are kept within", "[paths][prediction]") {
  using Data = PredictionTimes<Prediction::data>;
  using Noise = PredictionTimes<Prediction::noise>;
  using Score = PredictionTimes<Prediction::score>;
  using Preserving = PredictionTimes<Prediction::noise, VariancePreservingSchedule>;
  const Score times{.first = 0.25, .last = 0.75};
  CHECK((times.within(0.0f) == 0.25f && times.within(0.5f) == 0.5f && times.within(1.0f) == 0.75f));
  // At the defaults, all factors are numbers.
  const LinearSchedule linear;
  CHECK(velocity_factors<Prediction::data>(linear.at(Data{}.first)).output == 1);
  CHECK(velocity_factors<Prediction::noise>(linear.at(Noise{}.last)).output == -1);
  const VariancePreservingSchedule preserving;
  CHECK(math::is_finite(
      velocity_factors<Prediction::noise>(preserving.at(Preserving{}.last)).output));

  const auto error = [](const auto& wrong) {
    return thrown<std::invalid_argument>([&] { wrong.check(); });
  };
  CHECK(error(Data{.first = -1}) ==
        "vrfm: this prediction needs times 0 <= first < last < 1, got -1 and 0.999");
  CHECK(error(Data{.last = 1}) ==
        "vrfm: this prediction needs times 0 <= first < last < 1, got 0 and 1");
  CHECK(error(Noise{.first = 0}) ==
        "vrfm: this prediction needs times 0 < first < last <= 1, got 0 and 1");
  CHECK(error(Score{.last = 1}) ==
        "vrfm: this prediction needs times 0 < first < last < 1, got 0.001 and 1");
  CHECK(error(Preserving{.last = 1}) ==
        "vrfm: this prediction needs times 0 < first < last < 1, got 0.001 and 1");
  CHECK(error(Data{}) + error(Noise{}) + error(Score{}) + error(Preserving{}) ==
        "(nothing thrown)(nothing thrown)(nothing thrown)(nothing thrown)");
}

}  // namespace vrfm::test
