// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Time samplers, drawn in kernels with a fixed seed: range, moments within five standard errors,
// and the whole distribution by Kolmogorov's test.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/paths/schedule.hpp>
#include <vrfm/paths/time_sampler.hpp>

using vrfm::FixedTime;
using vrfm::LogitNormalTime;
using vrfm::TimesWithin;
using vrfm::UniformTime;

static_assert(vrfm::TimeSampler<UniformTime> && vrfm::TimeSampler<LogitNormalTime>);

namespace vrfm::test {

template <class T, class Sampler>
struct DrawTime {
  Sampler sampler;
  RandomStream stream;
  std::uint32_t step;
  Matrix<T> out;
  KOKKOS_FUNCTION void operator()(int i) const {
    out(i, 0) = sampler.template draw<T>(stream, static_cast<std::uint64_t>(i), step);
  }
};

template <class T, class Exec, class Sampler>
std::vector<double> draw_times(const Exec& exec, const Sampler& sampler, int count,
                               std::uint32_t step = 5) {
  Padded<T, Exec> out(count, 1);
  BatchContext<Exec>(exec).each_row(
      count, DrawTime<T, Sampler>{sampler, RandomStream(2026, Purpose::time), step, out.matrix()});
  return out.read();
}

struct Moments {
  double mean = 0, variance = 0;
};

inline Moments moments(const std::vector<double>& values) {
  Moments m;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) m.mean += value / n;
  for (const double value : values) m.variance += (value - m.mean) * (value - m.mean) / (n - 1);
  return m;
}

/// Kolmogorov's statistic sqrt(n) sup |F_n - F|, `cdf` being F. Above 2.2 with probability 1e-4.
template <class F>
double kolmogorov(std::vector<double> values, const F& cdf) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double p = cdf(values[i]), k = static_cast<double>(i);
    worst = std::max({worst, std::fabs(p - k / n), std::fabs(p - (k + 1) / n)});
  }
  return worst * std::sqrt(n);
}

inline bool inside_unit_interval(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double t) { return t > 0 && t < 1; });
}

}  // namespace vrfm::test

using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("uniform times", "[paths][time]", SpacesAndReals) {
  constexpr int count = 40000;
  const auto t =
      draw_times<typename TestType::Real>(typename TestType::Exec{}, UniformTime{}, count);
  CHECK(inside_unit_interval(t));
  const Moments m = moments(t);
  CHECK(std::fabs(m.mean - 0.5) <= 5 * std::sqrt(1.0 / 12 / count));
  // The variance of the sample variance is (mu_4 - sigma^4) / n = 1 / 180 n.
  CHECK(std::fabs(m.variance - 1.0 / 12) <= 5 * std::sqrt(1.0 / 180 / count));
  CHECK(kolmogorov(t, [](double x) { return x; }) < 2.2);
}

TEMPLATE_LIST_TEST_CASE("logit-normal times", "[paths][time]", SpacesAndReals) {
  constexpr int count = 40000;
  const LogitNormalTime sampler{.mean = -0.5, .deviation = 1.3};
  const auto t = draw_times<typename TestType::Real>(typename TestType::Exec{}, sampler, count);
  CHECK(inside_unit_interval(t));
  std::vector<double> normal;
  for (const double time : t)
    normal.push_back((std::log(time / (1 - time)) - sampler.mean) / sampler.deviation);
  const Moments m = moments(normal);
  CHECK(std::fabs(m.mean) <= 5 * std::sqrt(1.0 / count));
  CHECK(std::fabs(m.variance - 1) <= 5 * std::sqrt(2.0 / count));
  CHECK(kolmogorov(normal, [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }) < 2.2);
}

TEMPLATE_LIST_TEST_CASE("times stay inside (0, 1) however extreme the distribution",
                        "[paths][time]", SpacesAndReals) {
  using T = typename TestType::Real;
  const typename TestType::Exec exec;
  for (const double mean : {-1000.0, -50.0, 50.0, 1000.0})
    CHECK(inside_unit_interval(draw_times<T>(exec, LogitNormalTime{.mean = mean}, 100)));
  CHECK(inside_unit_interval(draw_times<T>(exec, LogitNormalTime{.deviation = 1000}, 1000)));
}

TEMPLATE_LIST_TEST_CASE("times are kept away from an end", "[paths][time]", SpacesAndReals) {
  using T = typename TestType::Real;
  const typename TestType::Exec exec;
  const TimesWithin<LogitNormalTime> within{
      .first = 0.25, .last = 0.75, .times = {.mean = -0.5, .deviation = 1.3}};
  const auto moved = draw_times<T>(exec, within, 1000);
  const auto t = draw_times<T>(exec, within.times, 1000);
  for (std::size_t i = 0; i < t.size(); ++i)
    CHECK(std::fabs(moved[i] - (0.25 + 0.5 * t[i])) <= 2 * std::numeric_limits<T>::epsilon());
  const auto last = draw_times<T>(exec, TimesWithin<FixedTime>{.times = {.t = 1}}, 1);
  CHECK(last.front() == static_cast<double>(static_cast<T>(1 - 1e-5)));

  using vrfm::test::thrown;
  CHECK(thrown<std::invalid_argument>([] { TimesWithin<>{.first = 0.5, .last = 0.5}.check(); }) ==
        "vrfm: TimesWithin needs 0 <= first < last <= 1, got 0.5 and 0.5");
  CHECK(thrown<std::invalid_argument>([] { TimesWithin<>{.last = 1.5}.check(); }) ==
        "vrfm: TimesWithin needs 0 <= first < last <= 1, got 0 and 1.5");
  CHECK(thrown<std::invalid_argument>([] { TimesWithin<FixedTime>{.times = {.t = 2}}.check(); }) ==
        "vrfm: FixedTime needs t in [0, 1], got 2");
}

// sigma'^2 of the variance preserving path is beta_min / (4 (1 - t)) near t = 1: its integral has no bound
// there, and is (beta_min / 4) log(1e5) from t = 0 on to the default's end, up to terms without it.
TEST_CASE("the times of a path of infinite rate stay away from it", "[paths][time]") {
  using Preserving = vrfm::VariancePreservingSchedule;
  static_assert(std::same_as<vrfm::DefaultTimes<Preserving>, TimesWithin<UniformTime>>);
  static_assert(std::same_as<vrfm::DefaultTimes<vrfm::LinearSchedule>, UniformTime>);
  const Preserving path;
  const double at_last =
      path.at(static_cast<float>(vrfm::DefaultTimes<Preserving>{}.last)).sigma_rate;
  const auto t = draw_times<float>(Kokkos::DefaultHostExecutionSpace(),
                                   vrfm::DefaultTimes<Preserving>{}, 1'000'000);
  double worst = 0;
  for (const double time : t)
    worst = std::max(worst,
                     std::fabs(static_cast<double>(path.at(static_cast<float>(time)).sigma_rate)));
  CHECK(worst <= std::fabs(at_last));
  CHECK(std::fabs(at_last) < 60);  // sqrt(0.1 / 4e-5) = 50
}

TEMPLATE_LIST_TEST_CASE("each step has times of its own", "[paths][time]", SpacesAndReals) {
  using T = typename TestType::Real;
  const typename TestType::Exec exec;
  const auto first = draw_times<T>(exec, UniformTime{}, 1000, 0);
  const auto second = draw_times<T>(exec, UniformTime{}, 1000, 1);
  CHECK(first == draw_times<T>(exec, UniformTime{}, 1000, 0));
  for (std::size_t i = 0; i < first.size(); ++i) CHECK(first[i] != second[i]);
}
