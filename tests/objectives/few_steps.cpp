// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Objectives of few steps: losses and gradients of all parameters against plain loops with frozen constants; s = t is
// the loss of a flow; contexts and spaces agree; what an exact map loses; and flows that do not fit.
#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>

#include <tests/support/catch.hpp>
#include <tests/support/gaussian_map.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "few_steps.hpp"

#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>

using namespace vrfm;
using namespace vrfm::test;
using Host = Kokkos::DefaultHostExecutionSpace;

namespace {

FlowOptions map_flow(int latent, EncoderInput seen = EncoderInput::x0 | EncoderInput::x1) {
  FlowOptions options = tiny_flow(latent);
  options.encoder_input = seen;
  options.second_time = true;
  return options;
}

constexpr int rows = 6;

/// Checks losses and gradient of an objective. Returns the slots that have a gradient of zero somewhere.
template <class O>
std::string check_frozen(const O& objective, const FlowOptions& options) {
  HostProblem problem(options, rows);
  problem.draw_parameters();
  objective.check(problem.flow().networks());
  const Asked asked(problem);
  const Frozen expected = frozen(problem, asked, objective, 0);
  const auto found = problem.evaluate(objective, Where::tile, Mode::overwrite, 12345);
  const double h = std::cbrt(epsilon<double>);
  CHECK(difference(found.losses, expected.losses, 50 * h * h * (1 + largest(expected.losses))) ==
        "");
  CHECK(problem.evaluate(objective, Where::batch, Mode::ignore).losses.size() ==
        expected.losses.size());

  std::vector<double> numeric;
  const auto parameters = problem.parameters();
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    problem.set_parameter(k, parameters[k] + h);
    const double high = expected.total();
    problem.set_parameter(k, parameters[k] - h);
    const double low = expected.total();
    problem.set_parameter(k, parameters[k]);
    numeric.push_back((high - low) / ((parameters[k] + h) - (parameters[k] - h)));
  }
  CHECK(difference(found.gradient, numeric, 50 * h * h * (1 + expected.total())) == "");
  std::string zeros;
  for (const auto& slot : problem.flow().parameters().entries()) {
    const auto first = found.gradient.begin() + static_cast<std::ptrdiff_t>(slot.offset);
    if (std::count(first, first + static_cast<std::ptrdiff_t>(slot.count), 0.0) > 0)
      zeros += slot.name + ' ';
  }
  return zeros;
}

/// The tolerance for sums of `n` rounded terms, whose sizes those of the elements are.
template <class T>
double rounding(const std::vector<double>& values, int n) {
  return 64 * (n + 16) * epsilon<T> * (largest(values) + epsilon<double>);
}

std::vector<double> times(std::vector<double> values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

}  // namespace

TEST_CASE("losses and gradients of mean flows", "[objectives][few_steps]") {
  for (const double power : {0.0, 1.0}) {
    INFO("power " << power);
    const AdaptiveWeight weight{.power = power};
    const MeanFlow improved{.weight = weight};
    const PlainMeanFlow plain{.weight = weight};
    CHECK(check_frozen(improved, map_flow(0)) == "");
    CHECK(check_frozen(plain, map_flow(0)) == "");
    CHECK(check_frozen(variational(improved, 0.7), map_flow(3)) == "");
    CHECK(check_frozen(variational(plain, 0.7), map_flow(2, EncoderInput::x1)) == "");
  }
  CHECK(check_frozen(MeanFlow{.times = {.equal = 0},
                              .weight = {.power = 0.5, .offset = 0.1, .over = Reduction::mean},
                              .velocity = Reduction::mean},
                     map_flow(0)) == "");
}

TEST_CASE("losses and gradients of solution flows", "[objectives][few_steps]") {
  // The step is 3.
  for (const StepFunction& rho : {StepFunction(1.0), StepFunction::exponential(1, 0.01, 6)}) {
    for (const double power : {0.0, 0.75}) {
      const SoFlow objective{.rho = rho, .weight = {.power = power, .over = Reduction::mean}};
      CHECK(check_frozen(objective, map_flow(0)) == "");
      CHECK(check_frozen(variational(objective, 0.7), map_flow(3)) == "");
    }
  }
}

TEST_CASE("losses and gradients of consistency", "[objectives][few_steps]") {
  for (const double boundary : {0.0, 0.6, 1.0}) {
    INFO("boundary " << boundary);
    const ConsistencyLoss objective{
        .boundary = boundary, .segments = 3, .delta = 0.05, .alpha = 0.25};
    CHECK(check_frozen(objective, tiny_flow(0)) == "");
    FlowOptions options = tiny_flow(2);
    options.encoder_input = EncoderInput::x1;
    CHECK(check_frozen(variational(objective, 0.7), options) == "");
  }
}

TEMPLATE_LIST_TEST_CASE("where s = t a map is trained as a flow", "[objectives][few_steps]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const auto compare = [](const auto& map, const auto& flow, int latent, double factor) {
    Problem<T, Exec> problem(map_flow(latent), rows);
    problem.draw_parameters();
    for (const auto where : {Where::tile, Where::batch}) {
      const auto found = problem.evaluate(map, where), expected = problem.evaluate(flow, where);
      const auto terms = static_cast<std::size_t>(term_count<std::decay_t<decltype(map)>>);
      const auto others = static_cast<std::size_t>(term_count<std::decay_t<decltype(flow)>>);
      const auto losses = expected.column(0, others), last = expected.column(others - 1, others);
      CHECK(difference(found.column(0, terms), losses, rounding<T>(losses, 1)) == "");
      CHECK(difference(found.column(terms - 1, terms), last, rounding<T>(last, 1)) == "");
      const auto gradient = times(expected.gradient, factor);
      CHECK(difference(found.gradient, gradient, rounding<T>(gradient, rows)) == "");
    }
  };
  const TimePairs<> equal{.equal = 1};
  const AdaptiveWeight none{.power = 0};
  const PlainMeanFlow plain{.times = equal, .weight = none};
  const MeanFlow improved{.times = equal, .weight = none};
  const SoFlow solution{.rho = 0.01, .times = equal, .weight = none};
  compare(plain, VelocityLoss{}, 0, 1);
  compare(solution, VelocityLoss{}, 0, 1);
  // It has the velocity's loss in both of its terms.
  compare(improved, VelocityLoss{}, 0, 2);
  compare(variational(plain, 0.3), Elbo{.beta = 0.3}, 2, 1);
  compare(variational(solution, 0.3), Elbo{.beta = 0.3}, 2, 1);
  compare(variational(improved, 0.3), Elbo{.beta = 0.15}, 2, 2);
}

TEMPLATE_LIST_TEST_CASE("every context and space computes the same of few steps",
                        "[objectives][few_steps][context]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  for (const int n : {1, 65}) {
    const auto compare = [&](const auto& objective, int latent) {
      Problem<T, Host> reference(map_flow(latent), n);
      Problem<T, Exec> problem(map_flow(latent), n);
      reference.draw_parameters();
      problem.draw_parameters();
      const auto expected = reference.evaluate(objective, Where::tile);
      for (const auto where : {Where::tile, Where::batch}) {
        const auto found = problem.evaluate(objective, where);
        CHECK(difference(found.gradient, expected.gradient, rounding<T>(expected.gradient, n)) ==
              "");
        CHECK(difference(found.losses, expected.losses, rounding<T>(expected.losses, 1)) == "");
        CHECK(problem.evaluate(objective, where, Mode::ignore).losses == found.losses);
        auto more = problem.evaluate(objective, where, Mode::accumulate, 8).gradient;
        for (double& g : more) g -= 8;
        CHECK(difference(more, expected.gradient,
                         rounding<T>(expected.gradient, n) + 64 * epsilon<T>) == "");
      }
    };
    compare(variational(MeanFlow{}, 0.3), 2);
    compare(PlainMeanFlow{}, 0);
    compare(variational(SoFlow{.rho = 0.5}, 0.3), 2);
    compare(variational(ConsistencyLoss{.boundary = 0.9}, 0.3), 2);
  }
}

TEST_CASE("a weight is a factor of each sample's gradient", "[objectives][few_steps]") {
  HostProblem problem(map_flow(0), 1);
  problem.draw_parameters();
  const auto plain = problem.evaluate(PlainMeanFlow{.weight = {.power = 0}}, Where::tile);
  const auto one = problem.evaluate(PlainMeanFlow{.weight = {.power = 1}}, Where::tile);
  CHECK(one.losses == plain.losses);
  const auto expected = times(plain.gradient, 1 / (plain.losses[0] + 0.01));
  CHECK(difference(one.gradient, expected, rounding<double>(expected, 1)) == "");
}

namespace vrfm::test {

/// Element: u of the exact map.
template <class T>
struct ExactAnswer {
  GaussianScale scale;
  Query<T> q;
  Matrix<T> u;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const T t = q.t(i, 0);
    u(i, j) = scale.mean_velocity(q.x(i, j), t, q.s.empty() ? t : q.s(i, 0));
  }
};

/// Element: its rate along (dx, dt); where s = t, and it counts 0 times, 0.
template <class T>
struct ExactRate {
  GaussianScale scale;
  Query<T> at, rates;
  Matrix<T> du;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const T t = at.t(i, 0), s = at.s(i, 0), x = at.x(i, j);
    const T dt = rates.t(i, 0), dx = rates.x(i, j);
    du(i, j) = T(0);
    if (s == t) return;
    const T moved = scale.sigma(s) / scale.sigma(t) * (dx - scale.growth(t) * dt * x);
    du(i, j) = (moved - dx + scale.mean_velocity(x, t, s) * dt) / (s - t);
  }
};

/// The exact map as a network without parameters.
struct GaussianMap {
  template <class T>
  struct PreparedSaved {};
  template <class T>
  struct Saved {
    Query<T> query;
  };
  GaussianScale scale = {};

  KOKKOS_INLINE_FUNCTION int dimension() const { return 2; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const {
    ModelInputs taken;
    taken.second_time = true;
    return taken;
  }
  KOKKOS_INLINE_FUNCTION int prepared_cols() const { return 0; }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void prepare(const Ctx&, const T*, const Condition<T>&, Matrix<T>,
                               PreparedSaved<T>*, Arena<T>&) const {}
  template <class Ctx, class T>
  KOKKOS_FUNCTION void prepare_backward(const Ctx&, const T*, Gradient<T>, ConstMatrix<T>,
                                        const ConditionGradient<T>&, const PreparedSaved<T>&,
                                        Arena<T>&) const {}
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T*, const Query<T>& query, ConstMatrix<T>,
                               const DrawAddress*, Matrix<T> v, Saved<T>* saved, Arena<T>&) const {
    if (saved != nullptr) saved->query = query;
    ctx.map(v.rows, v.cols, ExactAnswer<T>{scale, query, v});
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx&, const T*, Gradient<T>, ConstMatrix<T>,
                                const QueryGradient<T>&, Matrix<T>, const Saved<T>&,
                                Arena<T>&) const {}
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T*, const Query<T>& rates, Matrix<T> dv,
                               const Saved<T>& saved, Arena<T>&) const {
    ctx.map(dv.rows, dv.cols, ExactRate<T>{scale, saved.query, rates, dv});
  }
};

struct GaussianNetworks {
  GaussianMap velocity;
  StandardPrior posterior, prior;
};

}  // namespace vrfm::test

TEST_CASE("an exact map has the losses of its velocity", "[objectives][few_steps][gaussian]") {
  static_assert(DifferentiableModel<GaussianMap>);
  constexpr int n = 50;
  const auto evaluate = [&](const auto& objective, const GaussianNetworks& networks) {
    using O = std::decay_t<decltype(objective)>;
    objective.check(networks);
    const auto start = Numbers(3).take(2 * n);
    const auto end = networks.velocity.scale.coupled ? times(start, 2) : Numbers(4).take(2 * n);
    const Padded<double, Host> x0(n, 2, start), x1(n, 2, end);
    Padded<double, Host> losses(n, term_count<O>);
    const Array<double, Host> block("block", 1 << 14);
    Arena<double> arena(block.data(), block.extent(0));
    objective(BatchContext<Host>(Host()),
              LossProblem<GaussianNetworks, double>{networks,
                                                    nullptr,
                                                    nullptr,
                                                    {},
                                                    x0.matrix(),
                                                    x1.matrix(),
                                                    {},
                                                    {.seed = 2, .first_sample = 7},
                                                    1.0,
                                                    losses.matrix()},
              arena);
    return Evaluation{{}, losses.read()};
  };
  // The path's own velocity is the flow's: nothing is left of any loss.
  const GaussianNetworks coupled{{{true}}, {}, {}}, independent{{{false}}, {}, {}};
  const auto none = [&](const auto& objective, double size) {
    const auto losses = evaluate(objective, coupled).losses;
    CHECK(largest(losses) <= size * size);
  };
  const double error = 1000 * epsilon<double>;
  none(MeanFlow{}, error);
  none(PlainMeanFlow{}, error);
  none(SoFlow{.rho = 1.0}, error);
  none(SoFlow{.rho = 0.01}, 100 * error);
  none(ConsistencyLoss{.boundary = 0.9}, error);
  // Else the identity of a mean flow holds at each point: its first term is that of the velocity.
  const auto mean = evaluate(MeanFlow{.times = {.equal = 0.25}}, independent);
  const auto velocity = mean.column(1, 2);
  CHECK(largest(velocity) > 0.1);
  CHECK(difference(mean.column(0, 2), velocity, 1000 * error * largest(velocity)) == "");
}

TEST_CASE("objectives of few steps refuse what they cannot train",
          "[objectives][few_steps][check]") {
  using Invalid = std::invalid_argument;
  const auto refused = [](const auto& objective, const FlowOptions& options) {
    const Flow<float, Host> flow(Host(), options, 1);
    return thrown<Invalid>([&] { objective.check(flow.networks()); });
  };
  CHECK(refused(MeanFlow{}, tiny_flow(0)) ==
        "vrfm: MeanFlow trains a flow map u(x, t, s): expected a velocity network with a second "
        "time");
  CHECK(
      contains(refused(VariationalSoFlow{}, tiny_flow(2)), "SoFlow trains a flow map u(x, t, s)"));
  CHECK(refused(PlainMeanFlow{}, map_flow(2)) ==
        "vrfm: PlainMeanFlow trains a flow without latent variable, got latent = 2; use "
        "VariationalPlainMeanFlow");
  CHECK(contains(refused(SoFlow{}, map_flow(1)), "got latent = 1; use VariationalSoFlow"));
  CHECK(contains(refused(ConsistencyLoss{}, tiny_flow(2)), "use VariationalConsistencyLoss"));
  CHECK(refused(VariationalMeanFlow{}, map_flow(0)) ==
        "vrfm: VariationalMeanFlow trains a flow with a latent variable, got latent = 0; use "
        "MeanFlow");
  // Without a posterior z is given.
  CHECK(refused(MeanFlow{}, map_flow(2, EncoderInput::none)) == "(nothing thrown)");
  CHECK(refused(SoFlow{}, map_flow(2, EncoderInput::none)) == "(nothing thrown)");
  CHECK(refused(ConsistencyLoss{}, map_flow(2, EncoderInput::none)) == "(nothing thrown)");
  CHECK(
      refused(VariationalMeanFlow{}, map_flow(2, EncoderInput::none)) ==
      "vrfm: VariationalMeanFlow trains a posterior, but this flow has none; use MeanFlow on pairs "
      "that give z");
  const auto x1 = EncoderInput::x1;
  CHECK(
      refused(VariationalMeanFlow{}, map_flow(2, x1 | EncoderInput::t)) ==
      "vrfm: VariationalMeanFlow holds z along a map: expected a posterior that sees x0 and x1 at "
      "most, got x1+t");
  CHECK(contains(refused(VariationalConsistencyLoss{}, map_flow(2, x1 | EncoderInput::x_t)),
                 "got x1+x_t"));
  CHECK(refused(variational(MeanFlow{}, -1), map_flow(2, x1)) ==
        "vrfm: VariationalMeanFlow's beta must be a finite number >= 0, got -1");
  CHECK(contains(refused(VariationalMeanFlow{.free_bits = -1}, map_flow(2, x1)),
                 "VariationalMeanFlow needs finite free_bits >= 0, got -1"));
  CHECK(refused(MeanFlow{.times = {.equal = 1.5}}, map_flow(0)) ==
        "vrfm: TimePairs needs a probability `equal` in [0, 1], got 1.5");
  CHECK(contains(refused(MeanFlow{.weight = {.power = -1}}, map_flow(0)),
                 "AdaptiveWeight needs a finite power >= 0, got -1"));
  CHECK(contains(refused(MeanFlow{.weight = {.offset = 0}}, map_flow(0)),
                 "AdaptiveWeight needs a finite offset > 0, got 0"));
  CHECK(refused(SoFlow{.rho = 0.0}, map_flow(0)) ==
        "vrfm: SoFlow needs rho in (0, 1] at every step, got 0 to 0");
  CHECK(contains(refused(SoFlow{.rho = StepFunction::exponential(0.5, 2, 5)}, map_flow(0)),
                 "got 0.5 to 2"));
  CHECK(refused(SoFlow{.rho = SoFlow::falling(100)}, map_flow(0)) == "(nothing thrown)");
  CHECK(contains(refused(SoFlow{.rho = SoFlow::falling(0)}, map_flow(0)),
                 "an exponential of SoFlow's rho must have at least 1 step, got 0"));
  CHECK(contains(refused(ConsistencyLoss{.boundary = -0.1}, tiny_flow(0)),
                 "ConsistencyLoss's boundary must be a finite number >= 0, got -0.1"));
  CHECK(contains(refused(ConsistencyLoss{.segments = 0}, tiny_flow(0)),
                 "ConsistencyLoss needs at least 1 segment, got 0"));
  CHECK(contains(refused(ConsistencyLoss{.delta = 1}, tiny_flow(0)),
                 "ConsistencyLoss needs delta in (0, 1), got 1"));
  CHECK(contains(refused(ConsistencyLoss{.alpha = -1}, tiny_flow(0)),
                 "ConsistencyLoss needs a finite alpha >= 0, got -1"));
}
