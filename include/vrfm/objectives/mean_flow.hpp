// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MeanFlow: trains a flow map u(x, t, s), the mean velocity from t to s, by its identity
//   u = v + (s - t) du/dt,  du/dt the derivative along (dx, dt, ds) = (v, 1, 0),
// which the network's tangent computes (Geng et al. 2025, "Mean Flows for One-step Generative Modeling",
// arXiv 2505.13447). PlainMeanFlow takes the path's velocity x1 - x0 for v and counts du/dt as a constant:
//   D(u(x_t, t, s) - (s - t) du/dt).
// MeanFlow, the improved form (Geng et al. 2025, arXiv 2512.02012), takes v = u(x_t, t, t) as the direction, so that
// du/dt does not depend on which path meets x_t, and trains that, too:
//   D(u(x_t, t, s) - (s - t) du/dt) + D(u(x_t, t, t)),
// with D(a) = w |a - (x1 - x0)|^2 and w the AdaptiveWeight of each. Where s = t both terms are that of
// VelocityLoss. All evaluations of a sample have one dropout mask. On a path with noise, (x0, x1, e) in place of
// (x0, x1), u_t is the rate with e held: the identity is about the velocities' mean, so it holds for any noise.
#pragma once

#include <vrfm/objectives/variational.hpp>
#include <vrfm/objectives/velocity_term.hpp>
#include <vrfm/paths/path_point.hpp>
#include <vrfm/paths/time_pair.hpp>

namespace vrfm {

namespace detail {

/// Element: rate = u + (s - t) rate, what a mean velocity is compared with.
template <class T>
struct MeanVelocityTarget {
  ConstMatrix<T> t, s, u;
  Matrix<T> rate;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    rate(i, j) = u(i, j) + (s(i, 0) - t(i, 0)) * rate(i, j);
  }
};

template <bool improved>
constexpr auto mean_flow_terms() {
  if constexpr (improved) {
    return std::array<const char*, 2>{"mean_velocity", "velocity"};
  } else {
    return std::array<const char*, 1>{"mean_velocity"};
  }
}

}  // namespace detail

template <bool improved = true, ConditionalPath Path = LinearSchedule,
          TimeSampler Times = DefaultTimes<Path>>
struct BasicMeanFlow {
  static constexpr const char* name = improved ? "MeanFlow" : "PlainMeanFlow";
  static constexpr auto terms = detail::mean_flow_terms<improved>();

  TimePairs<Times> times = {};
  AdaptiveWeight weight = {.power = 1};
  Reduction velocity = Reduction::sum;
  Path path = {};

  template <class Networks>
  void check_parts(const Networks& networks) const {
    static_assert(DifferentiableModel<VelocityOf<Networks>>,
                  "vrfm: MeanFlow needs a velocity model that has a tangent");
    check_part(path);
    times.check();
    weight.check();
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
    const int rows = problem.rows(), cols = problem.x0.cols;
    const auto point = PathPoint<T>::take(rows, cols, arena);
    const Matrix<T> s = arena.take(rows, 1), one = arena.take(rows, 1);
    ctx.each_row(rows, DrawTimePair<T, Times>{times, problem.draws, point.t, s});
    complete_point<Ctx, T>(ctx, path, problem.draws, problem.x0, problem.x1, point);

    Network network{problem};
    network.prepare(ctx, arena);
    typename Network::Evaluation map, now;
    network.forward(ctx, {point.t, point.x, s}, map, arena);
    if constexpr (improved) network.forward(ctx, {point.t, point.x, {}}, now, arena);
    ctx.map(rows, 1, Fill<T>{one, T(1)});
    Query<T> along{};
    along.t = one;
    along.x = improved ? now.v : point.u;
    const Matrix<T> target = arena.take(rows, cols);
    network.model().tangent(ctx, problem.parameters, along, target, map.saved, arena);
    ctx.map(rows, cols, detail::MeanVelocityTarget<T>{point.t, s, point.u, target});

    VelocityError<T> error{};
    error.t = point.t;
    error.factor = static_cast<T>(reduction_factor(velocity, cols));
    error.row_weight = static_cast<T>(problem.row_weight);
    error.adaptive = weight;
    error.u = target;
    error.v = map.v;
    error.losses = problem.losses;
    ctx.each_row(rows, error);
    if constexpr (improved) {
      error.u = point.u;
      error.v = now.v;
      error.losses = problem.losses.col_range(1, 1);
      ctx.each_row(rows, error);
    }

    if (!problem.gradient.ignored()) {
      network.begin_backward(ctx, arena);
      network.backward(ctx, map, arena);
      if constexpr (improved) network.backward(ctx, now, arena);
      network.end_backward(ctx, arena);
    }
    arena.rewind(mark);
  }
};

using MeanFlow = BasicMeanFlow<>;
using PlainMeanFlow = BasicMeanFlow<false>;
using VariationalMeanFlow = Variational<MeanFlow>;
using VariationalPlainMeanFlow = Variational<PlainMeanFlow>;

}  // namespace vrfm
