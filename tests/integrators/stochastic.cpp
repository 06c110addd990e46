// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Stochastic solvers: strong and weak order on a linear equation whose exact solution is built on
// the very increments that the solver used, the exact use of every increment, and the marginals of
// the score form.
#include <numeric>

#include <tests/integrators/fields.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/integrators/stochastic.hpp>
#include <vrfm/sampling/sample.hpp>

namespace vrfm::test {

/// v = -x
struct Relaxation {
  template <class T>
  KOKKOS_FUNCTION void operator()(T, const T* x, T* v) const {
    v[0] = -x[0];
  }
};

struct Zero {
  int dimension = 1;
  template <class T>
  KOKKOS_FUNCTION void operator()(T, const T*, T* v) const {
    for (int j = 0; j < dimension; ++j) v[j] = T(0);
  }
};

/// g(t) = 1 + 2 t
struct Growing {
  template <class T>
  KOKKOS_FUNCTION T operator()(T t) const {
    return T(1) + T(2) * t;
  }
};

inline constexpr std::uint32_t noise_seed = 11;

/// The standard normal number behind column `j` of the increment of (sample, step).
inline double normal_number(std::uint64_t sample, int step, std::uint32_t j = 0) {
  double pair[2];
  RandomStream(noise_seed, purpose_of(Use::sampling, Purpose::diffusion))
      .normal(sample, static_cast<std::uint32_t>(step), j / 2 * 2, 2, pair);
  return pair[j % 2];
}

/// dx = -x dt + g dW from 2, to time 1: what a solver found and what is exact for the same dW.
struct Linear {
  static constexpr double g = 0.5, start = 2;
  std::vector<double> found, exact;

  template <class Exec, class Solver>
  static Linear run(const Exec& exec, const Solver& solver, std::size_t samples) {
    const int steps = solver.steps;
    const auto x = table<double, Exec>(samples, 1, std::vector<double>(samples, start));
    const StochasticVelocity field(pointwise<double>(Relaxation{}, 1),
                                   AdditiveNoise<Constant>{{g}});
    CHECK(integrate_all(exec, field, x, solver, {.seed = noise_seed}).finished());
    Linear result{numbers_of(x), {}};
    // Over a step, the integral I of e^(s - h) dW given dW is normal.
    const double h = 1.0 / steps, decay = std::exp(-h);
    const double mean = (1 - decay) / h;
    const double deviation = std::sqrt((1 - decay * decay) / 2 - (1 - decay) * (1 - decay) / h);
    const RandomStream extra(noise_seed, Purpose::user);
    for (std::size_t i = 0; i < samples; ++i) {
      double y = start;
      for (int n = 0; n < steps; ++n) {
        double pair[2];
        extra.normal(i, static_cast<std::uint32_t>(n), 0, 2, pair);
        const double integral = mean * std::sqrt(h) * normal_number(i, n) + deviation * pair[0];
        y = decay * y + g * integral;
      }
      result.exact.push_back(y);
    }
    return result;
  }

  /// E |x - exact|
  double strong_error() const {
    double sum = 0;
    for (std::size_t i = 0; i < found.size(); ++i) sum += std::fabs(found[i] - exact[i]);
    return sum / static_cast<double>(found.size());
  }

  /// |E f(x) - E f(exact)| for f = x^power; the common noise cancels most of the statistical error.
  double weak_error(int power) const {
    double sum = 0;
    for (std::size_t i = 0; i < found.size(); ++i)
      sum += std::pow(found[i], power) - std::pow(exact[i], power);
    return std::fabs(sum) / static_cast<double>(found.size());
  }
};

struct Moments {
  double mean = 0, variance = 0;
};

inline Moments moments(const std::vector<double>& x) {
  Moments m;
  m.mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
  for (const double value : x) m.variance += (value - m.mean) * (value - m.mean);
  m.variance /= static_cast<double>(x.size());
  return m;
}

}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEST_CASE("strong order 1", "[integrators][stochastic]") {
  // The statistical error of a mean of |e| over n samples is about 0.75 / sqrt(n) of it: 0.02 in
  // the order between 16 and 64 steps for 4000 samples.
  const Kokkos::DefaultExecutionSpace exec;
  const auto order = [&](const auto& coarse, const auto& fine) {
    return order_of(Linear::run(exec, coarse, 4000).strong_error(),
                    Linear::run(exec, fine, 4000).strong_error()) /
           2;
  };
  CHECK(std::fabs(order(EulerMaruyama{16}, EulerMaruyama{64}) - 1) < 0.1);
  CHECK(std::fabs(order(StochasticHeun{16}, StochasticHeun{64}) - 1) < 0.1);
}

TEST_CASE("weak order 1 and 2", "[integrators][stochastic]") {
  const Kokkos::DefaultExecutionSpace exec;
  // The difference has a deviation of about g h / sqrt(12), so 1e-4 in the mean at h = 1/4; the
  // errors to be seen are 2e-3 and more.
  const std::size_t samples = 100000;
  const auto em4 = Linear::run(exec, EulerMaruyama{4}, samples);
  const auto em8 = Linear::run(exec, EulerMaruyama{8}, samples);
  const auto heun4 = Linear::run(exec, StochasticHeun{4}, samples);
  const auto heun8 = Linear::run(exec, StochasticHeun{8}, samples);
  for (const int power : {1, 2}) {
    CHECK(std::fabs(order_of(em4.weak_error(power), em8.weak_error(power)) - 1) < 0.2);
    CHECK(std::fabs(order_of(heun4.weak_error(power), heun8.weak_error(power)) - 2) < 0.3);
  }
}

TEMPLATE_LIST_TEST_CASE("every increment is used once, with g at the right times",
                        "[integrators][stochastic]", Spaces) {
  using Exec = TestType;
  const std::size_t samples = 70;
  const int dimension = 5, steps = 6;
  const StochasticVelocity field(pointwise<double>(Zero{dimension}, dimension),
                                 AdditiveNoise<Growing>{});
  const auto check = [&](const auto& solver, double length, const auto& weight, int evaluations) {
    const auto x = table<double, Exec>(samples, 5, std::vector<double>(samples * 5, 0));
    const Result result =
        integrate_all(Exec(), field, x, solver, {.seed = noise_seed, .first_id = 1000});
    CHECK(result.finished());
    CHECK(result.max_evaluations == evaluations);
    const auto found = numbers_of(x);
    std::vector<double> expected;
    const double h = length / steps;
    for (std::size_t i = 0; i < samples; ++i) {
      for (std::uint32_t j = 0; j < 5; ++j) {
        double sum = 0;
        for (int n = 0; n < steps; ++n)
          sum += weight(n * h, h) * std::sqrt(h) * normal_number(1000 + i, n, j);
        expected.push_back(sum);
      }
    }
    CHECK(difference(found, expected, [](std::size_t) { return 100 * epsilon<double>; }) == "");
  };
  const auto left = [](double t, double) { return 1 + 2 * t; };
  const auto middle = [](double t, double h) { return 1 + 2 * t + h; };
  check(EulerMaruyama{steps}, 1, left, steps);
  check(StochasticHeun{steps}, 1, middle, 2 * steps);
  // The last step, of the drift alone, adds nothing to v = 0.
  check(EulerMaruyama{steps, 0.25}, 0.75, left, steps + 1);
  check(StochasticHeun{steps, 0.25}, 0.75, middle, 2 * steps + 1);
}

TEMPLATE_LIST_TEST_CASE("the last step is a drift step of its own length",
                        "[integrators][stochastic]", Spaces) {
  using Exec = TestType;
  const StochasticVelocity field(pointwise<double>(Relaxation{}, 1), AdditiveNoise<Constant>{{0}});
  const auto end = [&](const auto& solver) {
    const auto x = table<double, Exec>(1, 1, {1});
    CHECK(integrate_all(Exec(), field, x, solver).finished());
    return numbers_of(x)[0];
  };
  CHECK(std::fabs(end(EulerMaruyama{1, 0.25}) - 0.25 * 0.75) < epsilon<double>);
  CHECK(std::fabs(end(StochasticHeun{1, 0.25}) - (1 - 0.75 + 0.75 * 0.75 / 2) * 0.75) <
        epsilon<double>);
}

TEST_CASE("the score system is v + w s and sqrt(2 w)", "[integrators][stochastic]") {
  const double t = 0.3, x = 0.8, v = -1.7;
  const ScoreDiffusion<> linear;
  CHECK(std::fabs(linear.drift(t, x, v) - (v + (1 - t) * (t * v - x) / (1 - t))) <
        10 * epsilon<double>);
  CHECK(std::fabs(linear.noise(t) - std::sqrt(2 * (1 - t))) < 10 * epsilon<double>);
  CHECK(linear.drift(1.0, x, v) == 2 * v - x);
  CHECK(linear.noise(1.0) == 0);
  const ScoreDiffusion<TrigonometricSchedule, Constant> other{{}, {0.5}};
  const auto s = TrigonometricSchedule{}.at(t);
  const double w = 0.5 * s.sigma;
  CHECK(std::fabs(other.drift(t, x, v) - (v + w * score_from_velocity(s, x, v))) <
        10 * epsilon<double>);
  CHECK(std::fabs(other.noise(t) - std::sqrt(2 * w)) < 10 * epsilon<double>);
}

TEST_CASE("the score form keeps the marginals of the flow", "[integrators][stochastic]") {
  const Kokkos::DefaultExecutionSpace exec;
  const GaussianFlow flow{.m0 = 0, .s0 = 1, .m1 = 2, .s1 = 0.3};
  const StochasticVelocity field(pointwise<double>(flow, 3), ScoreDiffusion<>{});
  const std::size_t samples = 20000;
  const double end = 0.99, count = 3.0 * static_cast<double>(samples);
  const auto start = sample(exec, field, NormalSource{3}, EulerMaruyama{1},
                            {.count = samples, .grid = {0, 1e-12}, .seed = 4});
  const double deviation = std::hypot(1 - end, end * flow.s1);
  const auto check = [&](const auto& solver) {
    const auto x = sample(exec, field, NormalSource{3}, solver,
                          {.count = samples, .grid = {0, end}, .seed = 4});
    const auto found = numbers_of(x), from = numbers_of(start);
    const Moments m = moments(found);
    // Five standard errors, and one part in a hundred for the steps.
    CHECK(std::fabs(m.mean - end * flow.m1) < 5 * deviation / std::sqrt(count) + 0.01 * deviation);
    CHECK(std::fabs(m.variance / (deviation * deviation) - 1) < 5 * std::sqrt(2 / count) + 0.01);
    // The noise has made most of the start forgotten; without noise it would be a line.
    double covariance = 0;
    for (std::size_t i = 0; i < found.size(); ++i) covariance += (found[i] - m.mean) * from[i];
    CHECK(std::fabs(covariance) / count < 0.7 * deviation);
  };
  check(EulerMaruyama{500});
  check(StochasticHeun{100});
}

TEST_CASE("noise needs a field and a solver that have it", "[integrators][stochastic]") {
  using Field = PointwiseVelocity<double, Relaxation>;
  using Noisy = StochasticVelocity<Field, AdditiveNoise<Constant>>;
  CHECK(detail::SolverOf<Euler, Field>);
  CHECK(detail::SolverOf<StochasticHeun, Noisy>);
  CHECK(!detail::SolverOf<Euler, Noisy>);
  CHECK(!detail::SolverOf<DormandPrince, Noisy>);
  CHECK(!detail::SolverOf<EulerMaruyama, Field>);
  CHECK(!detail::SolverOf<Relaxation, Field>);
}

TEST_CASE("stochastic solvers refuse what they cannot do", "[integrators][stochastic]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const StochasticVelocity field(pointwise<double>(Relaxation{}, 1), AdditiveNoise<Constant>{});
  const auto x = table<double, Exec>(1, 1, {1});
  const auto refused = [&](const auto& solver, const TimeGrid& grid) {
    return thrown<std::invalid_argument>(
        [&] { (void)integrate_all(Exec(), field, x, solver, {.grid = grid}); });
  };
  CHECK(contains(refused(EulerMaruyama{4}, {1, 0}), "forward in time"));
  CHECK(contains(refused(StochasticHeun{0}, {0, 1}), "at least 1 step, got 0"));
  CHECK(contains(refused(EulerMaruyama{4, 1}, {0, 1}), "last_step must be in [0, 1)"));
  CHECK(contains(refused(EulerMaruyama{4, -0.1}, {0, 1}), "got -0.1"));
  CHECK(contains(refused(EulerMaruyama{4, 0.5}, {0, 0.75, 1}), "in [0, 0.25)"));
}
