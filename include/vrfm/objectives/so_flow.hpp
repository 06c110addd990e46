// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SoFlow: trains a flow map u(x, t, s), X(x, t, s) = x + (s - t) u, without derivatives, by how far two points of
// one path arrive apart ("SoFlow: Solution Flow Models for One-Step Generative Modeling", arXiv 2512.15657):
//   d = (X(x_t, t, s) - stop X(x_l, l, s)) / (l - t),  l = t + (s - t) rho,  x_l = x_t + (l - t) u_t,
// u_t the path's velocity. rho falls from 1, where d = u - u_t, towards 0, where d = 0 is the identity of MeanFlow.
// The loss is w |d|^2 with the gradient 2 w d of u(x_t, t, s), w the AdaptiveWeight. With u_l = u(x_l, l, s)
//   d = u - u_t + (1 - rho) / rho (u - u_l),
// which is computed so, without the quotient of two small differences. Where s = t it is VelocityLoss. Both
// evaluations of a sample have one dropout mask.
// x_l is on the path's tangent: the path itself where that is a line, as of the linear schedule with ConstantNoise and
// the same e, and near it for small rho otherwise. A rate that is infinite at t = 0, as a bridge's, is refused.
#pragma once

#include <vrfm/objectives/variational.hpp>
#include <vrfm/objectives/velocity_term.hpp>
#include <vrfm/paths/path_point.hpp>
#include <vrfm/paths/time_pair.hpp>

namespace vrfm {

namespace detail {

/// Row: l and x_l.
template <class T>
struct SoFlowPoint {
  StepFunction rho;
  StepNumber step;
  ConstMatrix<T> t, s, x, u;
  Matrix<T> l, x_l;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T ahead = static_cast<T>(rho.at(std::uint32_t(step))) * (s(i, 0) - t(i, 0));
    l(i, 0) = t(i, 0) + ahead;
    for (int j = 0; j < x.cols; ++j) x_l(i, j) = x(i, j) + ahead * u(i, j);
  }
};

/// Row: target = u - (1 - rho) / rho (v - target), what v is compared with, where target is u_l before.
/// Where s = t rounding errors alone would be enlarged.
template <class T>
struct SoFlowTarget {
  StepFunction rho;
  StepNumber step;
  ConstMatrix<T> t, s, u, v;
  Matrix<T> target;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const double r = rho.at(std::uint32_t(step));
    const T ratio = s(i, 0) == t(i, 0) ? T(0) : static_cast<T>((1 - r) / r);
    for (int j = 0; j < v.cols; ++j) {
      target(i, j) = u(i, j) - ratio * (v(i, j) - target(i, j));
    }
  }
};

}  // namespace detail

template <ConditionalPath Path = LinearSchedule, TimeSampler Times = DefaultTimes<Path>>
struct BasicSoFlow {
  static_assert(
      !infinite_at_start<Path>,
      "vrfm: SoFlow steps along a path's tangent, which a rate that is infinite at t = 0, as of "
      "BridgeNoise, leads away from the path; ConstantNoise has none");
  static constexpr const char* name = "SoFlow";
  static constexpr std::array<const char*, 1> terms = {"mean_velocity"};

  static constexpr double last_rho = 3.1e-4;

  StepFunction rho = last_rho;  ///< in (0, 1]; for a training of n steps: SoFlow::falling(n)
  TimePairs<Times> times = {};
  AdaptiveWeight weight = {.power = 0.75, .offset = 1e-3, .over = Reduction::mean};
  Reduction velocity = Reduction::sum;
  Path path = {};

  /// rho from 1 to last_rho over the `steps` steps of a training.
  static StepFunction falling(std::int64_t steps) {
    return StepFunction::exponential(1, last_rho, steps);
  }

  template <class Networks>
  void check_parts(const Networks& networks) const {
    check_part(path);
    times.check();
    weight.check();
    rho.check("SoFlow's rho");
    expect(rho.least() > 0 && rho.largest() <= 1, "SoFlow needs rho in (0, 1] at every step, got ",
           rho.least(), " to ", rho.largest());
    check_second_time(networks, name);
  }

  /// Throws std::invalid_argument naming what does not fit.
  template <class Networks>
  void check(const Networks& networks) const {
    check_parts(networks);
    check_no_posterior(networks, name, text("Variational", name));
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const LossProblem<Networks, T>& problem,
                                  Arena<T>& arena) const {
    using Network = ConditionedVelocity<Networks, T>;
    const auto mark = arena.used();
    const StepNumber step = problem.draws.step;
    const int rows = problem.rows(), cols = problem.x0.cols;
    const auto point = PathPoint<T>::take(rows, cols, arena);
    const Matrix<T> s = arena.take(rows, 1), l = arena.take(rows, 1), x_l = arena.take(rows, cols);
    ctx.each_row(rows, DrawTimePair<T, Times>{times, problem.draws, point.t, s});
    complete_point<Ctx, T>(ctx, path, problem.draws, problem.x0, problem.x1, point);
    ctx.each_row(rows, detail::SoFlowPoint<T>{rho, step, point.t, s, point.x, point.u, l, x_l});

    Network network{problem};
    network.prepare(ctx, arena);
    typename Network::Evaluation map;
    network.forward(ctx, {point.t, point.x, s}, map, arena);
    const Matrix<T> target = network.stopped(ctx, {l, x_l, s}, arena);
    ctx.each_row(rows, detail::SoFlowTarget<T>{rho, step, point.t, s, point.u, map.v, target});
    VelocityError<T> error{};
    error.t = point.t;
    error.u = target;
    error.v = map.v;
    error.losses = problem.losses;
    error.factor = static_cast<T>(reduction_factor(velocity, cols));
    error.row_weight = static_cast<T>(problem.row_weight);
    error.adaptive = weight;
    ctx.each_row(rows, error);

    if (!problem.gradient.ignored()) {
      network.begin_backward(ctx, arena);
      network.backward(ctx, map, arena);
      network.end_backward(ctx, arena);
    }
    arena.rewind(mark);
  }
};

using SoFlow = BasicSoFlow<>;
using VariationalSoFlow = Variational<SoFlow>;

}  // namespace vrfm
