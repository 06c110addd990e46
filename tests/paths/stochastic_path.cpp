// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Paths with noise of their own: points and velocities beside torchcfm's (tests/golden/make_paths.py), moments within
// five standard errors, no noise as the plain path to the bit, draws that do not see how rows are split, and times that
// stay away from both ends of a bridge.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/golden_numbers.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/paths/path_point.hpp>

namespace vrfm::test {
namespace {

using Constant = StochasticPath<ConstantNoise>;
using Bridge = StochasticPath<BridgeNoise>;
using Host = Kokkos::DefaultHostExecutionSpace;

static_assert(ConditionalPath<LinearSchedule> && ConditionalPath<Constant> &&
              !ConditionalPath<ConstantNoise>);
static_assert(NoisyPath<Bridge> && !NoisyPath<LinearSchedule> && !Schedule<Bridge>);

/// Pairs and times of some rows.
struct Rows {
  int rows, cols;
  std::vector<double> t, x0, x1;
};

struct Points {
  std::vector<double> x, u;
};

/// Where these rows are on a path; `split` rows by one call and the others by another.
template <class T, class Exec, class Path>
Points points_of(const Path& path, const Rows& given, const DrawAddress& draws, int split = 0) {
  const Exec exec;
  const BatchContext<Exec> ctx(exec);
  const Padded<T, Exec> x0(given.rows, given.cols, given.x0), x1(given.rows, given.cols, given.x1);
  Padded<T, Exec> t(given.rows, 1, given.t), x(given.rows, given.cols), u(given.rows, given.cols);
  const auto part = [&](int first, int count) {
    const PathPoint<T> point{t.matrix().row_range(first, count), x.matrix().row_range(first, count),
                             u.matrix().row_range(first, count)};
    complete_point<BatchContext<Exec>, T>(ctx, path, draws.from(first),
                                          x0.matrix().row_range(first, count),
                                          x1.matrix().row_range(first, count), point);
  };
  if (split > 0) part(0, split);
  part(split, given.rows - split);
  return {x.read(), u.read()};
}

/// Different pairs, at times from 0.05 to 0.95.
Rows some_rows(int rows, int cols) {
  Numbers numbers(4);
  const auto n = static_cast<std::size_t>(rows), d = static_cast<std::size_t>(cols);
  Rows given{rows, cols, numbers.take(n), numbers.take(n * d), numbers.take(n * d)};
  for (double& t : given.t) t = 0.5 + 0.45 * t;
  return given;
}

/// `count` times the same pair at one time.
Rows repeated(int count, double t, const std::vector<double>& x0, const std::vector<double>& x1) {
  Rows given{count, static_cast<int>(x0.size()), {}, {}, {}};
  for (int i = 0; i < count; ++i) {
    given.t.push_back(t);
    given.x0.insert(given.x0.end(), x0.begin(), x0.end());
    given.x1.insert(given.x1.end(), x1.begin(), x1.end());
  }
  return given;
}

/// Means of two columns and of their products with each other.
struct Pair {
  double a = 0, b = 0, aa = 0, bb = 0, ab = 0;
};

Pair moments(const std::vector<double>& a, std::size_t ja, const std::vector<double>& b,
             std::size_t jb, std::size_t cols) {
  Pair m;
  const std::size_t rows = a.size() / cols;
  const auto n = static_cast<double>(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    m.a += a[i * cols + ja] / n;
    m.b += b[i * cols + jb] / n;
  }
  for (std::size_t i = 0; i < rows; ++i) {
    const double p = a[i * cols + ja] - m.a, q = b[i * cols + jb] - m.b;
    m.aa += p * p / n;
    m.bb += q * q / n;
    m.ab += p * q / n;
  }
  return m;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("points with noise are torchcfm's", "[paths][stochastic]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  constexpr std::size_t rows = 24, cols = 5;
  constexpr double sigma = 0.75;
  const auto file = golden_file("paths.safetensors");
  const auto read = [&](const std::string& name, std::size_t width) {
    const auto values = file.template values<double>(name, std::vector<std::size_t>{rows, width});
    return std::vector<double>(values.begin(), values.end());
  };
  const std::string kind = sizeof(T) == 4 ? ".float" : ".double";
  const Rows given{rows, cols, read("t", 1), read("x0", cols), read("x1", cols)};
  const auto e = read("e" + kind, cols);
  const DrawAddress draws{2026, 11, (std::uint64_t(1) << 32) - 10};
  const double eps = epsilon<T>, drawn = 32 * eps;  // of e, which is below 4
  CHECK(largest(e) < 4);

  const auto check = [&](const auto& path, const std::string& name, bool bridge) {
    const auto point = points_of<T, Exec>(path, given, draws);
    const auto x = read(name + ".x" + kind, cols), u = read(name + ".u" + kind, cols);
    const auto span = [&](std::size_t k) { return given.t[k / cols] * (1 - given.t[k / cols]); };
    CHECK(difference(point.x, x, [&](std::size_t k) {
            return drawn * sigma + 8 * eps * (std::fabs(given.x0[k]) + std::fabs(given.x1[k]) + 4);
          }) == "");
    CHECK(difference(point.u, u, [&](std::size_t k) {
            const double rate =
                bridge ? sigma * std::fabs(1 - 2 * given.t[k / cols]) / (2 * std::sqrt(span(k)))
                       : 0;
            // torchcfm adds 1e-8 to 2 t (1 - t).
            return rate * (drawn + std::fabs(e[k]) * (16 * eps + 1e-8 / (2 * span(k)))) +
                   8 * eps * (std::fabs(given.x0[k]) + std::fabs(given.x1[k]));
          }) == "");
    // And it is not the plain path.
    CHECK(difference(points_of<T, Exec>(LinearSchedule{}, given, draws).x, x, 0.01) != "");
  };
  check(Constant{{sigma}}, "constant", false);
  check(Bridge{{sigma}}, "bridge", true);
}

TEMPLATE_LIST_TEST_CASE("moments of points with noise are the formulas'", "[paths][stochastic]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  constexpr int count = 40000;
  constexpr std::size_t cols = 5;  // a block of four draws, and one more
  const std::vector<double> x0 = {0.5, -1, 0.25, 2, -0.125}, x1 = {1, 0.75, -2, 0.5, 1.5};
  const auto check = [&](const auto& path, double t, double n, double rate) {
    INFO("t = " << t);
    const auto point = points_of<T, Exec>(path, repeated(count, t, x0, x1), {7, 3, 100});
    const auto s = path.schedule.at(t);
    // A mean errs by deviation / sqrt(count), a variance by sqrt(2 / count) of itself.
    const double error = 5 / std::sqrt(double(count)),
                 rounding = 64 * epsilon<T> + count * epsilon<double>;
    for (std::size_t j = 0; j < cols; ++j) {
      const Pair m = moments(point.x, j, point.u, j, cols);
      CHECK(std::fabs(m.a - (s.alpha * x1[j] + s.sigma * x0[j])) <= error * n + rounding);
      CHECK(std::fabs(m.b - (s.alpha_rate * x1[j] + s.sigma_rate * x0[j])) <=
            error * std::fabs(rate) + rounding);
      CHECK(std::fabs(m.aa - n * n) <= std::sqrt(2.0) * error * n * n + rounding);
      CHECK(std::fabs(m.bb - rate * rate) <= std::sqrt(2.0) * error * rate * rate + rounding);
      // One e in both: u - u_mean = n' / n (x - x_mean).
      CHECK(std::fabs(m.ab * n - rate * m.aa) <=
            rounding * (1 + n + std::fabs(rate)) * (1 + n + std::fabs(rate)));
      // Another in each column.
      const Pair beside = moments(point.x, j, point.x, (j + 1) % cols, cols);
      CHECK(std::fabs(beside.ab) <= error * n * n + rounding);
    }
  };
  check(Constant{{0.5}}, 0.25, 0.5, 0);
  for (const double t : {0.0625, 0.5, 0.75}) {
    const double root = std::sqrt(t * (1 - t));
    check(Bridge{{0.5}}, t, 0.5 * root, 0.5 * (1 - 2 * t) / (2 * root));
    check(StochasticPath<BridgeNoise, TrigonometricSchedule>{{2}, {}}, t, 2 * root,
          (1 - 2 * t) / root);
  }
}

TEMPLATE_LIST_TEST_CASE("no noise is the plain path to the bit", "[paths][stochastic]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Rows given = some_rows(130, 7);
  const auto check = [&](const auto& schedule) {
    using S = std::remove_cvref_t<decltype(schedule)>;
    const auto plain = points_of<T, Exec>(schedule, given, {1, 2, 3});
    const auto constant =
        points_of<T, Exec>(StochasticPath<ConstantNoise, S>{{0}, schedule}, given, {1, 2, 3});
    const auto bridge =
        points_of<T, Exec>(StochasticPath<BridgeNoise, S>{{0}, schedule}, given, {1, 2, 3});
    CHECK((constant.x == plain.x && constant.u == plain.u));
    CHECK((bridge.x == plain.x && bridge.u == plain.u));
  };
  check(LinearSchedule{});
  check(TrigonometricSchedule{});
  check(VariancePreservingSchedule{});
}

TEMPLATE_LIST_TEST_CASE("noise is a function of its address", "[paths][stochastic]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Rows given = some_rows(70, 3);
  const Bridge path{{1}};
  const DrawAddress draws{1, 2, 3};
  const auto whole = points_of<T, Exec>(path, given, draws);
  for (const int split : {1, 33, 69}) {
    const auto parts = points_of<T, Exec>(path, given, draws, split);
    CHECK((parts.x == whole.x && parts.u == whole.u));
  }
  // Another seed, step, sample or use is other noise in every element.
  for (const DrawAddress other : {DrawAddress{2, 2, 3}, DrawAddress{1, 3, 3}, DrawAddress{1, 2, 4},
                                  DrawAddress{1, 2, 3, Use::held_out}}) {
    const auto moved = points_of<T, Exec>(path, given, other);
    for (std::size_t k = 0; k < whole.x.size(); ++k) CHECK(moved.x[k] != whole.x[k]);
  }
}

// n'^2 = sigma^2 (1 - 2 t)^2 / (4 t (1 - t)): its integral has no bound at either end.
TEST_CASE("the times of a bridge stay away from both ends", "[paths][stochastic][time]") {
  static_assert(std::same_as<DefaultTimes<Constant>, UniformTime>);
  static_assert(std::same_as<DefaultTimes<Bridge>, TimesWithin<UniformTime, true>>);
  static_assert(
      std::same_as<DefaultTimes<StochasticPath<ConstantNoise, VariancePreservingSchedule>>,
                   TimesWithin<UniformTime>>);
  const DefaultTimes<Bridge> times;
  CHECK(times.first == 1e-5);
  CHECK(times.last == 1 - 1e-5);
  const BridgeNoise noise{1};
  const RandomStream stream(1, Purpose::time);
  float least = 1, last = 0;
  double square = 0;
  constexpr int count = 1'000'000;
  for (int i = 0; i < count; ++i) {
    const float t = times.draw<float>(stream, static_cast<std::uint64_t>(i), 0);
    least = std::min(least, t);
    last = std::max(last, t);
    square += double(noise.at(t).rate) * double(noise.at(t).rate) / count;
  }
  CHECK(least >= static_cast<float>(times.first));
  CHECK(last <= static_cast<float>(times.last));
  // (1 - 2 t)^2 / (4 t (1 - t)) = 1 / (4 t (1 - t)) - 1, whose square has the mean 1 / (8 * 1e-5) to first order.
  const double expected = (std::log((1 - 1e-5) / 1e-5) / 2 - (1 - 2e-5)) / (1 - 2e-5);
  CHECK(std::fabs(square - expected) <= 5 * std::sqrt(1 / (8e-5 * count)));
}

TEST_CASE("noise out of range is refused in words", "[paths][stochastic]") {
  CHECK(thrown<std::invalid_argument>([] { Constant{{-1}}.check(); }) ==
        "vrfm: ConstantNoise needs a finite sigma >= 0, got -1");
  CHECK(thrown<std::invalid_argument>([] { Bridge{{INFINITY}}.check(); }) ==
        "vrfm: BridgeNoise needs a finite sigma >= 0, got inf");
  CHECK(thrown<std::invalid_argument>([] {
          StochasticPath<ConstantNoise, VariancePreservingSchedule>{{1}, {.beta_min = 0}}.check();
        }) ==
        "vrfm: VariancePreservingSchedule needs 0 < beta_min <= beta_max, finite, got 0 and 20");
}

}  // namespace vrfm::test
