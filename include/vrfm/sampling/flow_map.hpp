// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Solvers of few evaluations for flows that are maps, u(x, t, s) the mean velocity from t to s:
//   FlowMap           x_s = x + (s - t) u(x, t, s)
//   RenoisedFlowMap   x_s = alpha(s) x1 + sigma(s) e,  x1 = x + (1 - t) u(x, t, 1),  e a new draw of the source
// from each time of the grid to the next, one evaluation each: `sample(exec, velocity_of(flow), source, FlowMap{},
// {...})` is one step, x0 + u(x0, 0, 1). The first is that of Geng et al. 2025 ("Mean Flows"), the second that of
// consistency models (Song et al. 2023, algorithm 1): each prediction is of the data, so errors of the steps do not
// add up. z and c are those of the field and stay, and it guides as ever.
#pragma once

#include <vrfm/core/distribution.hpp>
#include <vrfm/integrators/step_plan.hpp>
#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/paths/schedule.hpp>

namespace vrfm {

/// A bound field that answers for two times: field.mean_velocity(ctx, t, s, x, u, arena) writes
/// u(x, t, s); t and s: rows x 1, of stride 0 where all rows have the same time. Its field has second_time(),
/// if that is not known when it compiles.
template <class F>
concept MeanVelocity =
    Velocity<F> &&
    requires(const F& field, const MeasureContext& ctx, Matrix<const typename F::value_type> in,
             Matrix<typename F::value_type> out, Arena<typename F::value_type>& arena) {
      field.mean_velocity(ctx, in, in, in, out, arena);
    };

namespace detail {

/// Element (0, 0): s = t + h for all rows.
template <class T>
struct NextTime {
  ConstMatrix<T> t, h;
  Matrix<T> s;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int) const { s(i, 0) = t(i, 0) + h(i, 0); }
};

/// Element: x += h u
template <class T>
struct AddDisplacement {
  ConstMatrix<T> h, u;
  Matrix<T> x;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { x(i, j) += h(i, 0) * u(i, j); }
};

/// Row: x = alpha(s) x1 + sigma(s) e, where x1 = x + (1 - t) u and s = t + h. u becomes e.
template <class T, class Source, class Path>
struct Renoise {
  Source source;
  Path path;
  StepAddress address;
  ConstMatrix<T> t, h;
  Matrix<T> u, x;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T ahead = T(1) - t(i, 0);
    const auto at = path.at(math::minimum(t(i, 0) + h(i, 0), T(1)));
    for (int j = 0; j < x.cols; ++j) x(i, j) += ahead * u(i, j);
    // The trajectory began at the source's draw of step 0.
    source.draw(address.block.id(i), address.step + 1, address.block.stream(Purpose::source),
                u.row(i));
    for (int j = 0; j < x.cols; ++j) x(i, j) = at.alpha * x(i, j) + at.sigma * u(i, j);
  }
};

template <class T>
struct FlowMapMemory {
  Matrix<T> u, s;
  KOKKOS_FUNCTION FlowMapMemory(int rows, int cols, Matrix<T> stage_time, Arena<T>& arena)
      : u(arena.take(rows, cols)), s(stage_time) {}
};

template <class Field>
struct RequireMeanVelocity {
  static_assert(
      MeanVelocity<Field>,
      "vrfm: a flow map's solver needs a field with mean_velocity(ctx, t, s, x, u, arena), "
      "such as that of a flow with a second time");
  static constexpr bool ok = MeanVelocity<Field>;
};

inline void check_flow_map(int steps, const TimeGrid& grid) {
  check_steps(steps, grid);
  expect(0 <= grid.begin() && grid.begin() < grid.end() && grid.end() <= 1,
         "a flow map goes forward from a time to a later one in [0, 1], but the grid goes from ",
         grid.begin(), " to ", grid.end());
}

template <class Field>
void check_second_time_of(const Field& field) {
  if constexpr (requires { field.second_time(); }) {
    expect(field.second_time(), "this flow is no map: expected networks with a second time for ",
           "FlowMap, or a solver such as Euler");
  }
}

}  // namespace detail

struct FlowMap {
  int steps = 1;  ///< in each interval of the time grid

  template <class T>
  using Memory = detail::FlowMapMemory<T>;

  /// Throws std::invalid_argument unless steps >= 1 and the grid increases within [0, 1].
  void check(const TimeGrid& grid) const { detail::check_flow_map(steps, grid); }
  /// Throws std::invalid_argument unless the field has a second time.
  template <class Field>
  void check_field(const Field& field) const {
    detail::check_second_time_of(field);
  }

  KOKKOS_INLINE_FUNCTION StepPlan plan(const GridView& grid) const { return {grid, steps, 0}; }
  KOKKOS_INLINE_FUNCTION int evaluations(const StepPlan& plan) const { return plan.count(); }

  template <class Ctx, class Field, class T>
  KOKKOS_FUNCTION void step(const Ctx& ctx, const Field& field, const StepAddress&,
                            ConstMatrix<T> t, ConstMatrix<T> h, Matrix<T> x,
                            const Memory<T>& memory, Arena<T>& arena) const {
    if constexpr (detail::RequireMeanVelocity<Field>::ok) {
      ctx.map(1, 1, detail::NextTime<T>{t, h, memory.s});
      field.mean_velocity(ctx, t, ConstMatrix<T>(memory.s), ConstMatrix<T>(x), memory.u, arena);
      ctx.map(x.rows, x.cols, detail::AddDisplacement<T>{h, memory.u, x});
    }
  }
};

/// `source` is that which the flow was trained from, and `path` its schedule.
template <class Source, Schedule Path = LinearSchedule>
struct RenoisedFlowMap {
  Source source;
  int steps = 1;  ///< in each interval of the time grid
  Path path = {};

  template <class T>
  using Memory = detail::FlowMapMemory<T>;

  /// Throws std::invalid_argument unless steps >= 1 and the grid increases within [0, 1].
  void check(const TimeGrid& grid) const { detail::check_flow_map(steps, grid); }
  /// Throws std::invalid_argument unless the field has a second time, the source's columns, and a z that tells
  /// nothing of x0, which is drawn anew.
  template <class Field>
  void check_field(const Field& field) const {
    detail::check_second_time_of(field);
    expect_same("the source of new noise", static_cast<std::size_t>(source.dimension()),
                "the velocity field", static_cast<std::size_t>(field.dimension()), "columns");
    expect(!tells_start(field),
           "RenoisedFlowMap draws x0 anew under one z, but this field's z tells of x0: its ",
           "posterior or prior sees x0 or x_t, or it was trained on pairs or a learned source");
  }

  KOKKOS_INLINE_FUNCTION StepPlan plan(const GridView& grid) const { return {grid, steps, 0}; }
  KOKKOS_INLINE_FUNCTION int evaluations(const StepPlan& plan) const { return plan.count(); }

  template <class Ctx, class Field, class T>
  KOKKOS_FUNCTION void step(const Ctx& ctx, const Field& field, const StepAddress& address,
                            ConstMatrix<T> t, ConstMatrix<T> h, Matrix<T> x,
                            const Memory<T>& memory, Arena<T>& arena) const {
    if constexpr (detail::RequireMeanVelocity<Field>::ok) {
      ctx.map(1, 1, Fill<T>{memory.s, T(1)});
      field.mean_velocity(ctx, t, ConstMatrix<T>(memory.s), ConstMatrix<T>(x), memory.u, arena);
      ctx.each_row(x.rows,
                   detail::Renoise<T, Source, Path>{source, path, address, t, h, memory.u, x});
    }
  }
};

}  // namespace vrfm
