// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ConsistencyLoss: Consistency-FM (Yang et al. 2024, "Consistency Flow Matching", arXiv 2407.02398), a
// velocity that is constant along trajectories within each of K equal segments of time. With e the end of
// t's segment, F(t, x, v) = x + (e - t) v, r = min(t + Delta, 1) and v_r = v(x_r, r), a constant:
//   1/2 |F(t, x_t, v) - y|^2 + alpha 1/2 |v - v_r|^2 [t < b] [e - t > 1.01 Delta],
//   y = F(r, x_r, v_r) if r < b, else x_e of the path.
// b = 0 is the first stage, which has no second evaluation, b = 0.9 the second: StepFunction::change(0, 0.9, n) is
// both. Both evaluations of a sample have one dropout mask. The flow is sampled by steps of Euler that end with segments.
// x_r and x_e have the noise e of x_t, if the path has any. What a first stage learns, (x_e - x_t) / (e - t), is the
// velocity of straight paths, which ConstantNoise leaves straight; a rate that is infinite at t = 0, as a bridge's, is
// refused.
#pragma once

#include <vrfm/objectives/variational.hpp>
#include <vrfm/objectives/velocity_term.hpp>
#include <vrfm/paths/path_point.hpp>

namespace vrfm {

namespace detail {

/// Uniform in (0.001, 1), unless other times are asked for.
template <class Times>
constexpr Times consistency_times() {
  if constexpr (std::is_same_v<Times, TimesWithin<UniformTime>>) {
    return {.first = 1e-3, .last = 1};
  } else {
    return {};
  }
}

/// Row: r, x_r and e, x_e of the path.
template <class T, Schedule Path>
struct SegmentPoints {
  Path path;
  int segments;
  T delta;
  ConstMatrix<T> t, x0, x1;
  Matrix<T> r, x_r, e, x_e;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T now = t(i, 0), count = static_cast<T>(segments);
    r(i, 0) = math::minimum(now + delta, T(1));
    // The end of the segment that t is in; a boundary is the end of the one before.
    int k = static_cast<int>(now * count);
    if (k == 0 || static_cast<T>(k) / count < now) ++k;
    e(i, 0) = static_cast<T>(math::minimum(k, segments)) / count;
    const auto at_r = path.at(r(i, 0)), at_e = path.at(e(i, 0));
    for (int j = 0; j < x0.cols; ++j) {
      x_r(i, j) = at_r.alpha * x1(i, j) + at_r.sigma * x0(i, j);
      x_e(i, j) = at_e.alpha * x1(i, j) + at_e.sigma * x0(i, j);
    }
  }
};

/// Row: both terms and their gradient with respect to v, which it becomes. v_r is empty if b is always 0.
template <class T>
struct ConsistencyError {
  ConstMatrix<T> t, x, r, x_r, e, x_e, v_r;
  Matrix<T> v, losses;
  StepFunction boundary;
  StepNumber step;
  T delta, alpha, factor, row_weight;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T ahead = e(i, 0) - t(i, 0), b = static_cast<T>(boundary.at(std::uint32_t(step)));
    const bool follows = !v_r.empty() && r(i, 0) < b;
    const bool agrees = !v_r.empty() && t(i, 0) < b && ahead > T(1.01) * delta;
    T ends = T(0), velocities = T(0);
    for (int j = 0; j < v.cols; ++j) {
      const T y = follows ? x_r(i, j) + (e(i, 0) - r(i, 0)) * v_r(i, j) : x_e(i, j);
      const T end = x(i, j) + ahead * v(i, j) - y;
      const T velocity = agrees ? v(i, j) - v_r(i, j) : T(0);
      ends += end * end;
      velocities += velocity * velocity;
      v(i, j) = row_weight * factor * (ahead * end + alpha * velocity);
    }
    losses(i, 0) = factor * ends / T(2);
    losses(i, 1) = factor * velocities / T(2);
  }
};

}  // namespace detail

template <ConditionalPath Path = LinearSchedule, TimeSampler Times = TimesWithin<UniformTime>>
struct BasicConsistencyLoss {
  static_assert(
      !infinite_at_start<Path>,
      "vrfm: ConsistencyLoss takes a path's end for where its velocity leads, which a rate that is "
      "infinite at t = 0, as of BridgeNoise, does not; ConstantNoise has none");
  static constexpr const char* name = "ConsistencyLoss";
  static constexpr std::array<const char*, 2> terms = {"consistency", "agreement"};

  StepFunction boundary = 0.0;  ///< b: up to where the network's own answer is the target
  int segments = 2;             ///< K
  double delta = 1e-3;
  double alpha = 1e-5;
  Reduction velocity = Reduction::sum;
  Path path = {};
  Times times = detail::consistency_times<Times>();

  template <class Networks>
  void check_parts(const Networks&) const {
    check_part(path);
    check_part(times);
    boundary.check("ConsistencyLoss's boundary");
    expect(boundary.largest() <= 1, "ConsistencyLoss needs a boundary in [0, 1], got ",
           boundary.largest());
    expect(segments >= 1, "ConsistencyLoss needs at least 1 segment, got ", segments);
    expect(delta > 0 && delta < 1, "ConsistencyLoss needs delta in (0, 1), got ", delta);
    expect(alpha >= 0 && math::is_finite(alpha), "ConsistencyLoss needs a finite alpha >= 0, got ",
           alpha);
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
    const auto point =
        draw_point<Ctx, T>(ctx, path, times, problem.draws, problem.x0, problem.x1, arena);
    const Matrix<T> r = arena.take(rows, 1), e = arena.take(rows, 1);
    const Matrix<T> x_r = arena.take(rows, cols), x_e = arena.take(rows, cols);
    const auto& schedule = schedule_of(path);
    using S = std::remove_cvref_t<decltype(schedule)>;
    ctx.each_row(rows,
                 detail::SegmentPoints<T, S>{schedule, segments, static_cast<T>(delta), point.t,
                                             problem.x0, problem.x1, r, x_r, e, x_e});
    if constexpr (NoisyPath<Path>) {
      using Noise = std::remove_cvref_t<decltype(path.noise)>;
      const Matrix<T> no_rate;
      ctx.each_row(rows, AddPathNoise<T, Noise>{path.noise, problem.draws, r, x_r, no_rate});
      ctx.each_row(rows, AddPathNoise<T, Noise>{path.noise, problem.draws, e, x_e, no_rate});
    }

    Network network{problem};
    network.prepare(ctx, arena);
    typename Network::Evaluation now;
    network.forward(ctx, {point.t, point.x, {}}, now, arena);
    Matrix<T> v_r;
    if (boundary.largest() > 0) v_r = network.stopped(ctx, {r, x_r, {}}, arena);
    ctx.each_row(rows, detail::ConsistencyError<T>{point.t, point.x, r, x_r, e, x_e, v_r, now.v,
                                                   problem.losses, boundary, problem.draws.step,
                                                   static_cast<T>(delta), static_cast<T>(alpha),
                                                   static_cast<T>(reduction_factor(velocity, cols)),
                                                   static_cast<T>(problem.row_weight)});

    if (!problem.gradient.ignored()) {
      network.begin_backward(ctx, arena);
      network.backward(ctx, now, arena);
      network.end_backward(ctx, arena);
    }
    arena.rewind(mark);
  }
};

using ConsistencyLoss = BasicConsistencyLoss<>;
using VariationalConsistencyLoss = Variational<ConsistencyLoss>;

}  // namespace vrfm
