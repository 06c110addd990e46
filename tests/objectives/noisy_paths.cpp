// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Objectives on paths with noise. Without noise they are what they are on the plain path, to the bit. With it, a row's
// point (x_t, u) is that of the plain path between x_t - t u and x_t + (1 - t) u: each objective must say the same
// of those pairs, to rounding. For constant noise these are x0 + n e and x1 + n e, at all times, so objectives that ask
// for further points of a path say so too only if they hold e.
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>

#include "problem.hpp"

#include <vrfm/objectives/consistency_loss.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/mean_flow.hpp>
#include <vrfm/objectives/so_flow.hpp>
#include <vrfm/objectives/velocity_loss.hpp>

namespace vrfm::test {
namespace {

using Host = Kokkos::DefaultHostExecutionSpace;
using Constant = StochasticPath<ConstantNoise>;
using Bridge = StochasticPath<BridgeNoise>;
constexpr int rows = 40, dimension = 3;

FlowOptions options_of(int latent, bool second_time) {
  auto options = tiny_flow(latent, dimension);
  options.second_time = second_time;
  return options;
}

/// The times that an objective draws.
template <class Times>
void draw_times(const Times& times, const DrawAddress& draws, int row, Matrix<double> t) {
  DrawTime<double, Times>{times, draws, t}(row);
}
template <class Times>
void draw_times(const TimePairs<Times>& times, const DrawAddress& draws, int row,
                Matrix<double> t) {
  std::vector<double> s(rows);
  DrawTimePair<double, Times>{times, draws, t, Matrix<double>(s.data(), rows, 1, 1)}(row);
}

/// Pairs of a plain path with the same points.
template <class Objective>
void shift_pairs(Problem<double, Host>& problem, const Objective& objective) {
  constexpr std::size_t count = rows * dimension;
  std::vector<double> t(rows), x(count), u(count), x0(count), x1(count);
  const PathPoint<double> point{{t.data(), rows, 1, 1},
                                {x.data(), rows, dimension, dimension},
                                {u.data(), rows, dimension, dimension}};
  for (int i = 0; i < rows; ++i) draw_times(objective.times, problem.draws, i, point.t);
  complete_point<TileContext<Host>, double>(TileContext<Host>(), objective.path, problem.draws,
                                            problem.x0(), problem.x1(), point);
  for (std::size_t k = 0; k < count; ++k) {
    const double time = t[k / dimension];
    x0[k] = x[k] - time * u[k];
    x1[k] = x[k] + (1 - time) * u[k];
  }
  problem.set_pairs(x0, x1);
}

/// `noisy` on the problem's pairs, and `plain`, its like, on those of the same points.
template <class Noisy, class Plain>
void check_shifted(const Noisy& noisy, const Plain& plain, bool second_time) {
  Problem<double, Host> problem(options_of(0, second_time), rows);
  problem.draw_parameters();
  for (const auto where : {Where::tile, Where::batch}) {
    Problem<double, Host> shifted(options_of(0, second_time), rows);
    shifted.draw_parameters();
    const auto without = shifted.evaluate(plain, where);
    shift_pairs(shifted, noisy);
    const auto expected = shifted.evaluate(plain, where), actual = problem.evaluate(noisy, where);
    // A bridge's velocities are up to 1e2, and so are errors of x0 and x1 in units of the last place.
    const double rounding = 1e5 * epsilon<double>;
    CHECK(difference(actual.losses, expected.losses, rounding * largest(expected.losses)) == "");
    CHECK(difference(actual.gradient, expected.gradient, rounding * largest(expected.gradient)) ==
          "");
    CHECK(difference(without.losses, expected.losses, 1e-4) != "");  // and noise matters
  }
}

template <class Objective, class Plain>
void check_silent(const Objective& noisy, const Plain& plain, int latent, bool second_time) {
  Problem<float, Host> problem(options_of(latent, second_time), rows);
  problem.draw_parameters();
  for (const auto where : {Where::tile, Where::batch}) {
    const auto expected = problem.evaluate(plain, where), actual = problem.evaluate(noisy, where);
    CHECK(actual.losses == expected.losses);
    CHECK(actual.gradient == expected.gradient);
  }
}

}  // namespace

TEST_CASE("objectives without noise are those of the plain path to the bit",
          "[objectives][stochastic]") {
  const Constant none{{0}};
  check_silent(BasicVelocityLoss<Constant>{.path = none}, VelocityLoss{}, 0, false);
  check_silent(BasicElbo<Constant>{.path = none}, Elbo{}, 2, false);
  check_silent(BasicMeanFlow<true, Constant>{.path = none}, MeanFlow{}, 0, true);
  check_silent(BasicSoFlow<Constant>{.rho = 0.5, .path = none}, SoFlow{.rho = 0.5}, 0, true);
  check_silent(BasicConsistencyLoss<Constant>{.boundary = 0.9, .path = none},
               ConsistencyLoss{.boundary = 0.9}, 0, false);
}

TEST_CASE("objectives on a path of constant noise are those of pairs that it moves",
          "[objectives][stochastic]") {
  const Constant path{{0.5}};
  check_shifted(BasicVelocityLoss<Constant>{.path = path}, VelocityLoss{}, false);
  check_shifted(BasicMeanFlow<true, Constant>{.path = path}, MeanFlow{}, true);
  check_shifted(BasicMeanFlow<false, Constant>{.path = path}, PlainMeanFlow{}, true);
  for (const double rho : {1.0, 0.25, 1e-3}) {
    check_shifted(BasicSoFlow<Constant>{.rho = rho, .path = path}, SoFlow{.rho = rho}, true);
  }
  for (const double boundary : {0.0, 0.9}) {
    // alpha so large that both terms count.
    const double alpha = 0.1, delta = 0.1;
    check_shifted(
        BasicConsistencyLoss<Constant>{
            .boundary = boundary, .delta = delta, .alpha = alpha, .path = path},
        ConsistencyLoss{.boundary = boundary, .delta = delta, .alpha = alpha}, false);
  }
}

TEST_CASE("objectives on a bridge are those of pairs with its points", "[objectives][stochastic]") {
  using Times = DefaultTimes<Bridge>;
  const Bridge path{{0.5}};
  check_shifted(BasicVelocityLoss<Bridge>{.path = path}, BasicVelocityLoss<LinearSchedule, Times>{},
                false);
  check_shifted(BasicMeanFlow<true, Bridge>{.path = path},
                BasicMeanFlow<true, LinearSchedule, Times>{}, true);
  check_shifted(BasicMeanFlow<false, Bridge>{.path = path},
                BasicMeanFlow<false, LinearSchedule, Times>{}, true);
}

}  // namespace vrfm::test
