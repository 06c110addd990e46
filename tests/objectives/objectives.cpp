// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Both objectives: values against plain loops on the host, reductions, gradient modes, the two
// contexts and every execution space against each other, empty batches, extreme posteriors, and
// flows that do not fit.
#include <cmath>
#include <limits>
#include <string>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "problem.hpp"

#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>

using vrfm::Elbo;
using vrfm::Matrix;
using vrfm::Reduction;
using vrfm::VelocityLoss;
using vrfm::test::contains;
using vrfm::test::difference;
using vrfm::test::epsilon;
using vrfm::test::Evaluation;
using vrfm::test::largest;
using vrfm::test::Mode;
using vrfm::test::Problem;
using vrfm::test::thrown;
using vrfm::test::tiny_flow;
using vrfm::test::Where;
using Host = Kokkos::DefaultHostExecutionSpace;

namespace {

/// A distance d(e) and a weight over t, as plain functions.
struct Formula {
  double (*distance)(double) = [](double e) { return e * e; };
  double (*weight)(double) = [](double) { return 1.0; };
  double free_bits = 0;
};

/// The points of a linear path at times of U(0, 1), in plain loops.
struct Points {
  std::vector<double> t, x, u;
};

Points expected_points(const Problem<double, Host>& problem, int rows) {
  Points points;
  const auto x0 = problem.x0(), x1 = problem.x1();
  const auto stream = problem.draws.stream(vrfm::Purpose::time);
  for (int i = 0; i < rows; ++i) {
    const double t = stream.uniform<double>(problem.draws.sample(i), problem.draws.step, 0);
    points.t.push_back(t);
    for (int j = 0; j < x0.cols; ++j) {
      points.x.push_back(t * x1(i, j) + (1 - t) * x0(i, j));
      points.u.push_back(x1(i, j) - x0(i, j));
    }
  }
  return points;
}

/// Velocity loss and KL, both summed over dimensions, of each row: the networks are the library's,
/// everything around them is plain loops.
std::vector<double> expected_losses(Problem<double, Host>& problem, int rows,
                                    const Formula& formula = {}) {
  const auto& networks = problem.flow().networks();
  const int latent = problem.flow().latent(), dimension = problem.flow().dimension();
  const double* p = problem.flow().values().data();
  const vrfm::TileContext<Host> ctx;
  std::vector<double> block(1u << 20);
  vrfm::Arena<double> arena(block.data(), block.size());
  Points points = expected_points(problem, rows);
  const Matrix<double> t(points.t.data(), rows, 1, 1);
  const Matrix<double> x(points.x.data(), rows, dimension, dimension);
  const Matrix<double> u(points.u.data(), rows, dimension, dimension);
  const Matrix<double> moments = arena.take(rows, 2 * latent), z = arena.take(rows, latent);
  const Matrix<double> v = arena.take(rows, dimension);
  std::vector<double> losses(2 * static_cast<std::size_t>(rows));
  vrfm::Condition<double> condition = problem.condition();
  if (latent > 0) {
    vrfm::MlpPosterior<>::Saved<double>* const unsaved = nullptr;
    networks.posterior.moments(
        ctx, p, vrfm::LatentInputs<double>{problem.x0(), problem.x1(), x, t, condition}, moments,
        unsaved, arena);
    const auto stream = problem.draws.stream(vrfm::Purpose::posterior);
    for (int i = 0; i < rows; ++i) {
      std::vector<double> e(static_cast<std::size_t>(latent));
      stream.normal<double>(problem.draws.sample(i), problem.draws.step, 0, latent, e.data());
      for (int j = 0; j < latent; ++j) {
        const double mu = moments(i, j), s = moments(i, latent + j);
        z(i, j) = mu + std::exp(s / 2) * e[static_cast<std::size_t>(j)];
        const double kl = (mu * mu + std::exp(s) - 1 - s) / 2;
        losses[2 * static_cast<std::size_t>(i) + 1] += std::fmax(kl, formula.free_bits);
      }
    }
    condition.z = z;
  }
  const int cols = networks.velocity.prepared_cols();
  const Matrix<double> prepared = cols > 0 ? arena.take(rows, cols) : Matrix<double>();
  vrfm::MlpVelocity<>::PreparedSaved<double>* const nothing = nullptr;
  vrfm::MlpVelocity<>::Saved<double>* const none = nullptr;
  networks.velocity.prepare(ctx, p, condition, prepared, nothing, arena);
  networks.velocity.forward(ctx, p, vrfm::Query<double>{t, x, {}}, Matrix<const double>(prepared),
                            nullptr, v, none, arena);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < dimension; ++j)
      losses[2 * static_cast<std::size_t>(i)] +=
          formula.weight(t(i, 0)) * formula.distance(v(i, j) - u(i, j));
  return losses;
}

/// The velocity losses alone.
std::vector<double> velocities(const std::vector<double>& losses) {
  return Evaluation{{}, losses}.column(0, 2);
}

std::vector<double> scaled(std::vector<double> losses, double velocity, double kl) {
  for (std::size_t i = 0; i < losses.size(); i += 2) {
    losses[i] *= velocity;
    losses[i + 1] *= kl;
  }
  return losses;
}

std::vector<double> scaled(std::vector<double> values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

std::vector<double> zeros(std::size_t count) { return std::vector<double>(count, 0.0); }

/// Sums of `terms` numbers whose parts may cancel to a tenth of what was added.
template <class T>
double rounding(const std::vector<double>& values, int terms) {
  return 10 * (terms + 16) * epsilon<T> * largest(values);
}

}  // namespace

TEST_CASE("losses are the formulas", "[objectives][value]") {
  constexpr int rows = 5;
  for (const auto where : {Where::tile, Where::batch}) {
    Problem<double, Host> plain(tiny_flow(0, 3), rows);
    const auto expected = velocities(expected_losses(plain, rows));
    const double error = 64 * epsilon<double> * largest(expected);
    CHECK(difference(plain.evaluate(VelocityLoss{}, where).losses, expected, error) == "");
    CHECK(difference(plain.evaluate(VelocityLoss{.velocity = Reduction::mean}, where).losses,
                     scaled(expected, 1.0 / 3), error) == "");

    Problem<double, Host> variational(tiny_flow(2, 3), rows);
    const auto both = expected_losses(variational, rows);
    for (std::size_t i = 1; i < both.size(); i += 2) CHECK(both[i] > 0);
    for (const auto velocity : {Reduction::sum, Reduction::mean}) {
      for (const auto kl : {Reduction::sum, Reduction::mean}) {
        const Elbo elbo{.beta = 0.3, .velocity = velocity, .kl = kl};
        CHECK(difference(variational.evaluate(elbo, where).losses,
                         scaled(both, velocity == Reduction::mean ? 1.0 / 3 : 1,
                                kl == Reduction::mean ? 1.0 / 2 : 1),
                         64 * epsilon<double> * largest(both)) == "");
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a mean is a sum divided, in the gradient too", "[objectives][reduction]",
                        vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  constexpr int rows = 5, dimension = 3, latent = 2;
  Problem<T, typename TestType::Exec> problem(tiny_flow(latent, dimension), rows);
  const auto gradient = [&](const Elbo& elbo) {
    return problem.evaluate(elbo, Where::tile).gradient;
  };
  const auto sums = gradient({.beta = 0.5});
  const double error = rounding<T>(sums, rows);
  CHECK(difference(gradient({.beta = 0.5 * latent, .kl = Reduction::mean}), sums, error) == "");
  CHECK(difference(
            scaled(gradient({.beta = 0.5 / dimension, .velocity = Reduction::mean}), dimension),
            sums, error) == "");
  // And the two terms do not mix them up.
  CHECK(difference(gradient({.beta = 0.5, .kl = Reduction::mean}), sums, error) != "");
  CHECK(difference(gradient({.beta = 0.5, .velocity = Reduction::mean}), sums, error) != "");
}

TEMPLATE_LIST_TEST_CASE("gradients are added or replaced as asked", "[objectives][gradient]",
                        vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  Problem<T, typename TestType::Exec> problem(tiny_flow(2), 5);
  for (const auto where : {Where::tile, Where::batch}) {
    const auto once = problem.evaluate(Elbo{}, where).gradient;
    CHECK(problem.evaluate(Elbo{}, where, Mode::overwrite, 8).gradient == once);
    auto more = problem.evaluate(Elbo{}, where, Mode::accumulate, 8).gradient;
    for (double& g : more) g -= 8;
    CHECK(difference(more, once, rounding<T>(once, 5) + 64 * epsilon<T>) == "");
  }
}

TEMPLATE_LIST_TEST_CASE("every context and space computes the same", "[objectives][context]",
                        vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  for (const int rows : {1, 63, 64, 65, 130}) {
    INFO(rows << " rows");
    const auto compare = [&](const auto& objective, int latent) {
      Problem<T, Host> reference(tiny_flow(latent), rows);
      Problem<T, Exec> problem(tiny_flow(latent), rows);
      const Evaluation expected = reference.evaluate(objective, Where::tile);
      for (const auto where : {Where::tile, Where::batch}) {
        const Evaluation actual = problem.evaluate(objective, where);
        CHECK(difference(actual.gradient, expected.gradient,
                         rounding<T>(expected.gradient, rows)) == "");
        CHECK(difference(actual.losses, expected.losses, rounding<T>(expected.losses, 1)) == "");
      }
    };
    compare(VelocityLoss{}, 0);
    compare(Elbo{.beta = 0.1}, 2);
  }
}

TEMPLATE_LIST_TEST_CASE("an empty batch has a gradient of zero", "[objectives][empty]",
                        vrfm::test::SpacesAndReals) {
  const auto check = [](const auto& objective, int latent) {
    Problem<typename TestType::Real, typename TestType::Exec> problem(tiny_flow(latent), 0);
    const auto count = static_cast<std::size_t>(problem.count());
    for (const auto where : {Where::tile, Where::batch}) {
      CHECK(problem.evaluate(objective, where, Mode::overwrite, 3).gradient == zeros(count));
      CHECK(problem.evaluate(objective, where, Mode::accumulate, 3).gradient ==
            std::vector<double>(count, 3.0));
    }
  };
  check(VelocityLoss{}, 0);
  check(Elbo{}, 2);
}

TEMPLATE_LIST_TEST_CASE("a posterior with extreme variances has finite losses and gradients",
                        "[objectives][extreme]", vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  constexpr int latent = 2;
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double s : {-infinity, -1e3, 1e3, infinity}) {
    INFO("log-variance " << s);
    Problem<T, typename TestType::Exec> problem(tiny_flow(latent), 4);
    const auto& slot = problem.flow().parameters().slots().back();
    REQUIRE(slot.name == "posterior.head.1.bias");
    for (std::size_t k = latent; k < 2 * latent; ++k) problem.set_parameter(slot.offset + k, s);
    for (const auto where : {Where::tile, Where::batch}) {
      const auto result = problem.evaluate(Elbo{}, where);
      for (const double loss : result.losses) CHECK(std::isfinite(loss));
      for (const double g : result.gradient) CHECK(std::isfinite(g));
      for (std::size_t k = latent; k < 2 * latent; ++k)
        CHECK(result.gradient[slot.offset + k] == 0);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a NaN in the posterior reaches losses and gradients",
                        "[objectives][extreme]", vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  constexpr int latent = 2;
  for (std::size_t moment = 0; moment < 2 * latent; ++moment) {
    Problem<T, typename TestType::Exec> problem(tiny_flow(latent), 1);
    const auto& slot = problem.flow().parameters().slots().back();
    problem.set_parameter(slot.offset + moment, std::numeric_limits<double>::quiet_NaN());
    for (const auto where : {Where::tile, Where::batch}) {
      const auto result = problem.evaluate(Elbo{}, where);
      INFO("moment " << moment);
      CHECK(std::isnan(result.losses[0]));
      CHECK(std::isnan(result.losses[1]));
      CHECK(std::isnan(result.gradient[slot.offset + moment]));
    }
  }
}

TEST_CASE("an objective refuses a flow that it cannot train", "[objectives][check]") {
  using Invalid = std::invalid_argument;
  const vrfm::Flow<float, Host> plain(Host(), tiny_flow(0), 1);
  const vrfm::Flow<float, Host> variational(Host(), tiny_flow(2), 1);
  CHECK_NOTHROW(VelocityLoss{}.check(plain.networks()));
  CHECK_NOTHROW(Elbo{.beta = 0}.check(variational.networks()));
  CHECK(thrown<Invalid>([&] { Elbo{}.check(plain.networks()); }) ==
        "vrfm: Elbo trains a flow with a latent variable, got latent = 0; use VelocityLoss");
  CHECK(thrown<Invalid>([&] { VelocityLoss{}.check(variational.networks()); }) ==
        "vrfm: VelocityLoss trains a flow without latent variable, got latent = 2; use Elbo");
  for (const double beta :
       {-0.5, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(contains(thrown<Invalid>([&] { Elbo{.beta = beta}.check(variational.networks()); }),
                   "Elbo's beta must be a finite number >= 0, got "));
  }
  auto mixed = variational.networks();
  mixed.posterior = vrfm::Flow<float, Host>(Host(), tiny_flow(3), 1).networks().posterior;
  CHECK(thrown<Invalid>([&] { Elbo{}.check(mixed); }) ==
        "vrfm: the velocity network has 2 latent dimensions but the posterior has 3 latent "
        "dimensions");
}
