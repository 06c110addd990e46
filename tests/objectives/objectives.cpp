// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The objectives: values against plain loops on the host, reductions, gradient modes, the two
// contexts and every execution space against each other, empty batches, extreme posteriors, beta as
// a function of the step, sums of objectives, held-out draws, and flows that do not fit.
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "problem.hpp"

#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/sum.hpp>
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

namespace vrfm::test {

/// An objective that asks for a teacher's answer. Not unnamed: nvcc misses the concept's use of its members.
struct AsksTeacher {
  static constexpr std::array<const char*, 1> terms = {"teacher"};
  static constexpr bool uses_teacher = true;
};

}  // namespace vrfm::test

namespace {

double square(double e) { return e * e; }
double one(double) { return 1; }

/// A distance d(e) and a weight over t, as plain functions.
struct Formula {
  double (*distance)(double) = square;
  double (*weight)(double) = one;
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

/// 0.5 + t^2.
struct LateWeight {
  template <class T>
  KOKKOS_INLINE_FUNCTION T operator()(T t) const {
    return T(0.5) + t * t;
  }
};

double late_weight(double t) { return 0.5 + t * t; }
double absolute(double e) { return std::fabs(e); }
/// Huber's distance of delta = 0.5.
double huber(double e) { return std::fabs(e) > 0.5 ? 0.5 * (std::fabs(e) - 0.25) : e * e / 2; }

template <class D>
using VelocityBy = vrfm::BasicVelocityLoss<vrfm::LinearSchedule, vrfm::UniformTime, D, LateWeight>;
template <class D>
using ElboBy = vrfm::BasicElbo<vrfm::LinearSchedule, vrfm::UniformTime, D, LateWeight>;

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

TEST_CASE("losses by other distances and weights are the formulas", "[objectives][value]") {
  constexpr int rows = 40;
  const auto close = [](const std::vector<double>& actual, const std::vector<double>& expected) {
    return difference(actual, expected, 64 * epsilon<double> * largest(expected)) == "";
  };
  const Formula l1{absolute, late_weight}, piecewise{huber, late_weight};
  for (const auto where : {Where::tile, Where::batch}) {
    Problem<double, Host> plain(tiny_flow(0, 3), rows);
    const auto expected_l1 = velocities(expected_losses(plain, rows, l1));
    const auto expected_huber = velocities(expected_losses(plain, rows, piecewise));
    CHECK(close(plain.evaluate(VelocityBy<vrfm::AbsoluteDistance>{}, where).losses, expected_l1));
    CHECK(close(plain
                    .evaluate(VelocityBy<vrfm::HuberDistance>{.velocity = Reduction::mean,
                                                              .distance = {0.5}},
                              where)
                    .losses,
                scaled(expected_huber, 1.0 / 3)));
    // At a fixed time the weight is one number.
    const vrfm::BasicVelocityLoss<vrfm::LinearSchedule, vrfm::FixedTime> fixed{.times = {0.25}};
    const vrfm::BasicVelocityLoss<vrfm::LinearSchedule, vrfm::FixedTime, vrfm::SquaredDistance,
                                  LateWeight>
        weighted{.times = {0.25}};
    CHECK(close(plain.evaluate(weighted, where).losses,
                scaled(plain.evaluate(fixed, where).losses, late_weight(0.25))));

    Problem<double, Host> variational(tiny_flow(2, 3), rows);
    CHECK(close(variational.evaluate(ElboBy<vrfm::AbsoluteDistance>{.beta = 0.3}, where).losses,
                expected_losses(variational, rows, l1)));
    CHECK(close(
        variational.evaluate(ElboBy<vrfm::HuberDistance>{.beta = 0.3, .distance = {0.5}}, where)
            .losses,
        expected_losses(variational, rows, piecewise)));
  }
}

TEST_CASE("losses with free bits are the formulas", "[objectives][value]") {
  constexpr int rows = 40;
  for (const auto where : {Where::tile, Where::batch}) {
    Problem<double, Host> problem(tiny_flow(2), rows);
    problem.draw_parameters();
    const auto none = problem.evaluate(Elbo{}, where);
    const auto some = problem.evaluate(Elbo{.free_bits = 0.05}, where);
    const auto all = problem.evaluate(Elbo{.free_bits = 50}, where);
    const auto expected = expected_losses(problem, rows, {.free_bits = 0.05});
    CHECK(difference(some.losses, expected, 64 * epsilon<double> * largest(expected)) == "");
    // Neither all dimensions nor none are within 0.05 nats.
    CHECK(some.losses != none.losses);
    CHECK(some.gradient != none.gradient);
    CHECK(some.gradient != all.gradient);
    CHECK(all.column(1, 2) == std::vector<double>(rows, 100.0));
    CHECK(all.column(0, 2) == none.column(0, 2));
    // Without its KL the bound is that of beta = 0.
    CHECK(all.gradient == problem.evaluate(Elbo{.beta = 0}, where).gradient);
  }
}

TEST_CASE("path and times are the objective's", "[objectives][value]") {
  constexpr int rows = 6, dimension = 2;
  using Path = vrfm::TrigonometricSchedule;
  using Times = vrfm::LogitNormalTime;
  Problem<double, Host> problem(tiny_flow(0, dimension), rows);
  // A network that answers 0: the loss is |u|^2.
  for (int k = 0; k < problem.count(); ++k) problem.set_parameter(static_cast<std::size_t>(k), 0);
  const Times times{.mean = 0.5, .deviation = 0.75};
  const vrfm::BasicVelocityLoss<Path, Times> objective{.times = times};
  std::vector<double> expected;
  const auto x0 = problem.x0(), x1 = problem.x1();
  for (int i = 0; i < rows; ++i) {
    double n;
    problem.draws.stream(vrfm::Purpose::time)
        .normal(problem.draws.sample(i), problem.draws.step, 0, 1, &n);
    const double angle = std::acos(0.0) / (1 + std::exp(-(0.5 + 0.75 * n)));
    double sum = 0;
    for (int j = 0; j < dimension; ++j) {
      const double u = std::acos(0.0) * (std::cos(angle) * x1(i, j) - std::sin(angle) * x0(i, j));
      sum += u * u;
    }
    expected.push_back(sum);
  }
  for (const auto where : {Where::tile, Where::batch}) {
    CHECK(difference(problem.evaluate(objective, where).losses, expected,
                     64 * epsilon<double> * largest(expected)) == "");
  }
}

TEMPLATE_LIST_TEST_CASE("beta follows the step that a counter holds", "[objectives][beta]",
                        vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  using vrfm::StepFunction;
  auto options = tiny_flow(2);
  options.prior = vrfm::PriorKind::given_source;
  Problem<T, Exec> counted(options, 5), numbered(options, 5);
  counted.draw_parameters();
  numbered.draw_parameters();
  const vrfm::Array<std::int64_t, Exec> counter("counter", 1);
  counted.draws.step = vrfm::StepNumber(counter.data());
  const StepFunction functions[] = {StepFunction::warmup(0.75, 10),
                                    StepFunction::cyclic(0.75, 8, 0.5),
                                    StepFunction::cosine(0.75, 2, 12, 0.25)};
  const auto expected_at = [](int k, int step) {
    if (k == 0) return step < 10 ? 0.75 * step / 10 : 0.75;
    if (k == 1) return step % 8 < 4 ? 0.75 * (step % 8) / 4 : 0.75;
    if (step < 2) return 0.75 * step / 2;
    const double progress = step >= 12 ? 1 : (step - 2) / 10.0;
    return 0.75 * (0.25 + 0.75 * (1 + std::cos(std::acos(-1.0) * progress)) / 2);
  };
  for (int k = 0; k < 3; ++k) {
    for (const int step : {0, 1, 3, 7, 9, 10, 13, 24}) {
      INFO("function " << k << ", step " << step);
      const double beta = expected_at(k, step);
      CHECK(std::fabs(functions[k].at(step) - beta) <= 8 * epsilon<double>);
      Kokkos::deep_copy(counter, step);
      numbered.draws.step = vrfm::StepNumber(static_cast<std::uint32_t>(step));
      for (const auto where : {Where::tile, Where::batch}) {
        const auto actual = counted.evaluate(Elbo{.beta = functions[k]}, where);
        const auto expected = numbered.evaluate(Elbo{.beta = beta}, where);
        CHECK(actual.losses == expected.losses);
        CHECK(difference(actual.gradient, expected.gradient, rounding<T>(expected.gradient, 1)) ==
              "");
        // The step's draws are others too.
        if (step == 3) {
          numbered.draws.step = 4;
          CHECK(numbered.evaluate(Elbo{.beta = beta}, where).losses != expected.losses);
          numbered.draws.step = 3;
        }
      }
    }
  }
  // And beta matters.
  CHECK(counted.evaluate(Elbo{.beta = 0.25}, Where::tile).gradient !=
        counted.evaluate(Elbo{.beta = 0.75}, Where::tile).gradient);
}

TEMPLATE_LIST_TEST_CASE("a sum of objectives is both of them at the same draws",
                        "[objectives][sum]", vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  const Elbo first{.beta = 0.3};
  const ElboBy<vrfm::AbsoluteDistance> second{.beta = 0.5, .kl = Reduction::mean};
  const auto both = vrfm::sum_of(first, second);
  using Sum = std::decay_t<decltype(both)>;
  static_assert(vrfm::Objective<Sum, vrfm::MlpNetworks<>>);
  static_assert(vrfm::term_count<Sum> == 4);
  static_assert(!vrfm::uses_teacher<Sum>);
  static_assert(vrfm::uses_teacher<vrfm::SumOf<Elbo, vrfm::test::AsksTeacher>>);
  static_assert(vrfm::uses_teacher<vrfm::SumOf<vrfm::test::AsksTeacher, Elbo>>);
  const std::vector<std::string> terms(Sum::terms.begin(), Sum::terms.end());
  CHECK(terms == std::vector<std::string>{"velocity", "kl", "velocity", "kl"});

  Problem<T, typename TestType::Exec> problem(tiny_flow(2), 5);
  for (const auto where : {Where::tile, Where::batch}) {
    const auto one = problem.evaluate(first, where), other = problem.evaluate(second, where);
    const auto sum = problem.evaluate(both, where);
    CHECK(sum.column(0, 4) == one.column(0, 2));
    CHECK(sum.column(1, 4) == one.column(1, 2));
    CHECK(sum.column(2, 4) == other.column(0, 2));
    CHECK(sum.column(3, 4) == other.column(1, 2));
    std::vector<double> expected = one.gradient;
    for (std::size_t k = 0; k < expected.size(); ++k) expected[k] += other.gradient[k];
    CHECK(difference(sum.gradient, expected, rounding<T>(expected, 5)) == "");
    // What was there before is replaced once, or kept.
    CHECK(problem.evaluate(both, where, Mode::overwrite, 8).gradient == sum.gradient);
    auto more = problem.evaluate(both, where, Mode::accumulate, 8).gradient;
    for (double& g : more) g -= 8;
    CHECK(difference(more, expected, rounding<T>(expected, 5) + 64 * epsilon<T>) == "");
  }
  const vrfm::Flow<float, Host> plain(Host(), tiny_flow(0), 1);
  CHECK(contains(thrown<std::invalid_argument>([&] { both.check(plain.networks()); }),
                 "Elbo trains a flow with a latent variable"));
}

TEMPLATE_LIST_TEST_CASE("losses are the same without a gradient", "[objectives][gradient]",
                        vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  auto options = tiny_flow(2);
  options.prior = vrfm::PriorKind::given_source;
  options.classes = 2;
  options.condition_columns = 2;
  Problem<T, typename TestType::Exec> problem(options, 5);
  const auto sum = vrfm::sum_of(Elbo{}, Elbo{.beta = 0.5});
  for (const auto where : {Where::tile, Where::batch}) {
    const auto ignored = problem.evaluate(sum, where, Mode::ignore, 3);
    CHECK(ignored.losses == problem.evaluate(sum, where).losses);
    CHECK(ignored.gradient == std::vector<double>(static_cast<std::size_t>(problem.count()), 3.0));
  }
}

TEST_CASE("held-out losses have draws of their own", "[objectives][use]") {
  Problem<double, Host> problem(tiny_flow(2), 5);
  const auto training = problem.evaluate(Elbo{}, Where::tile).losses;
  problem.draws.use = vrfm::Use::held_out;
  const auto expected = expected_losses(problem, 5);
  for (const auto where : {Where::tile, Where::batch}) {
    const auto held_out = problem.evaluate(Elbo{}, where).losses;
    CHECK(difference(held_out, expected, 64 * epsilon<double> * largest(expected)) == "");
    for (std::size_t i = 0; i < held_out.size(); ++i) CHECK(held_out[i] != training[i]);
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
    compare(ElboBy<vrfm::HuberDistance>{.beta = 0.1, .free_bits = 0.01, .distance = {0.5}}, 2);
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
    const auto& slot = problem.flow().parameters().entries().back();
    REQUIRE(slot.name == "posterior.head.1.bias");
    for (std::size_t k = latent; k < 2 * latent; ++k) problem.set_parameter(slot.offset + k, s);
    for (const auto where : {Where::tile, Where::batch}) {
      const auto result = problem.evaluate(Elbo{}, where);
      for (const double loss : result.losses) CHECK(std::isfinite(loss));
      for (const double g : result.gradient) CHECK(std::isfinite(g));
      for (std::size_t k = latent; k < 2 * latent; ++k) {
        const double d = result.gradient[slot.offset + k];
        CHECK((d == 0 || d * s > 0));  // leads back
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a NaN in the posterior reaches losses and gradients",
                        "[objectives][extreme]", vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  constexpr int latent = 2;
  for (std::size_t moment = 0; moment < 2 * latent; ++moment) {
    Problem<T, typename TestType::Exec> problem(tiny_flow(latent), 1);
    const auto& slot = problem.flow().parameters().entries().back();
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
  auto without = tiny_flow(2);
  without.encoder_input = vrfm::EncoderInput::none;
  const vrfm::Flow<float, Host> given(Host(), without, 1);
  CHECK_NOTHROW(VelocityLoss{}.check(given.networks()));
  CHECK(thrown<Invalid>([&] { Elbo{}.check(given.networks()); }) ==
        "vrfm: Elbo trains a posterior, but this flow has none; use VelocityLoss on pairs that "
        "give z");
  for (const double beta :
       {-0.5, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(contains(thrown<Invalid>([&] { Elbo{.beta = beta}.check(variational.networks()); }),
                   "Elbo's beta must be a finite number >= 0, got "));
  }
  CHECK(contains(thrown<Invalid>([&] { Elbo{.free_bits = -1}.check(variational.networks()); }),
                 "Elbo needs finite free_bits >= 0, got -1"));
  auto mixed = variational.networks();
  mixed.posterior = vrfm::Flow<float, Host>(Host(), tiny_flow(3), 1).networks().posterior;
  CHECK(thrown<Invalid>([&] { Elbo{}.check(mixed); }) ==
        "vrfm: the velocity network has 2 latent dimensions but the posterior has 3 latent "
        "dimensions");
  mixed = variational.networks();
  mixed.prior = vrfm::Flow<float, Host>(Host(), tiny_flow(4), 1).networks().prior;
  CHECK(thrown<Invalid>([&] { Elbo{}.check(mixed); }) ==
        "vrfm: the velocity network has 2 latent dimensions but the prior has 4 latent dimensions");
}
