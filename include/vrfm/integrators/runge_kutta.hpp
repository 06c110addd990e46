// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Explicit Runge-Kutta steps over any tableau. The compiler unrolls weighted sums of stages and
// leaves out their zero terms. Time and step are columns, so that every row may have its own.
#pragma once

#include <utility>

#include <vrfm/integrators/step_plan.hpp>
#include <vrfm/integrators/tableau.hpp>
#include <vrfm/integrators/velocity.hpp>

namespace vrfm {

namespace detail {

// Rows of a tableau as types: `at<l>` is the weight of k_l, `count` the number of stages.
template <class Tableau, int stage>
struct StageWeights {
  static constexpr int count = stage;
  template <int l>
  static constexpr double at = Tableau::a[stage][l];
};
template <class Tableau>
struct StepWeights {
  static constexpr int count = Tableau::stages;
  template <int l>
  static constexpr double at = Tableau::b[l];
};
template <class Tableau>
struct ErrorWeights {
  static constexpr int count = Tableau::stages;
  template <int l>
  static constexpr double at = Tableau::error[l];
};
template <class Tableau>
struct DenseWeights {
  static constexpr int count = Tableau::stages;
  template <int l>
  static constexpr double at = Tableau::dense[l];
};

/// k_0, ..., k_{n-1}: a plain array, so that kernels can carry it.
template <class T, int n>
struct Stages {
  Matrix<T> k[std::size_t(n)];

  /// sum_l Weights::at<l> k_l(i, j)
  template <class Weights>
  KOKKOS_INLINE_FUNCTION T sum(int i, int j) const {
    return add<Weights>(i, j, std::make_integer_sequence<int, Weights::count>{});
  }

 private:
  template <class Weights, int... l>
  KOKKOS_INLINE_FUNCTION T add(int i, int j, std::integer_sequence<int, l...>) const {
    T total = T(0);
    (add_term<Weights, l>(i, j, total), ...);
    return total;
  }

  template <class Weights, int l>
  KOKKOS_INLINE_FUNCTION void add_term(int i, int j, T& total) const {
    constexpr double weight = Weights::template at<l>;
    if constexpr (weight != 0) total += T(weight) * k[l](i, j);
  }
};

/// y = x + h sum; and t_stage = t + c h, once for each row.
template <class Weights, class T, int n>
struct StageInput {
  Stages<T, n> stages;
  ConstMatrix<T> t, h, x;
  Matrix<T> y, t_stage;
  T c;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    y(i, j) = x(i, j) + h(i, 0) * stages.template sum<Weights>(i, j);
    if (j == 0) set_row(t_stage, i, t(i, 0) + c * h(i, 0));
  }
};

/// x += h sum
template <class Weights, class T, int n>
struct Advance {
  Stages<T, n> stages;
  ConstMatrix<T> h;
  Matrix<T> x;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    x(i, j) += h(i, 0) * stages.template sum<Weights>(i, j);
  }
};

/// Working memory of a step.
template <class T, int n>
struct StageMemory {
  Stages<T, n> stages;
  Matrix<T> x;  ///< argument of the next stage
  Matrix<T> t;

  StageMemory() = default;
  KOKKOS_FUNCTION StageMemory(int rows, int cols, Matrix<T> stage_time, Arena<T>& arena)
      : x(arena.take(rows, cols)), t(stage_time) {
    for (int s = 0; s < n; ++s) stages.k[s] = arena.take(rows, cols);
  }

  /// The same memory for the first `count` rows.
  KOKKOS_FUNCTION StageMemory first(int count) const {
    StageMemory result;
    result.x = x.row_range(0, count);
    result.t = t.row_range(0, count);
    for (int s = 0; s < n; ++s) result.stages.k[s] = stages.k[s].row_range(0, count);
    return result;
  }
};

/// k_stage, ..., k_{last}, from those before. The argument of the last one goes to `x_last`.
template <class Tableau, int stage, int last, class Ctx, class Field, class T, int n>
KOKKOS_FUNCTION void evaluate_stages(const Ctx& ctx, const Field& field, ConstMatrix<T> t,
                                     ConstMatrix<T> h, Matrix<const T> x,
                                     const StageMemory<T, n>& memory, Matrix<T> x_last,
                                     Arena<T>& arena) {
  if constexpr (stage <= last) {
    using Weights = StageWeights<Tableau, stage>;
    const Matrix<T> y = stage == last ? x_last : memory.x;
    constexpr double c = Tableau::c[stage];
    ctx.map(x.rows, x.cols, StageInput<Weights, T, n>{memory.stages, t, h, x, y, memory.t, T(c)});
    field(ctx, memory.t, y, memory.stages.k[stage], arena);
    evaluate_stages<Tableau, stage + 1, last>(ctx, field, t, h, x, memory, x_last, arena);
  }
}

}  // namespace detail

/// Fixed steps of a Runge-Kutta method.
template <class Table>
struct RungeKutta {
  static_assert(
      detail::is_consistent<Table>(),
      "vrfm: a tableau needs rows of a that sum to c, nothing on or above a's diagonal, the "
      "order conditions up to its order, and b as a's last row if it is first_same_as_last");
  using Tableau = Table;

  int steps = 1;  ///< in each interval of the time grid

  /// The stages that the result needs: all but one that only serves the next step.
  static constexpr int stages = Tableau::stages - (Tableau::first_same_as_last ? 1 : 0);

  template <class T>
  using Memory = detail::StageMemory<T, Tableau::stages>;

  /// Throws std::invalid_argument unless steps >= 1.
  void check(const TimeGrid& grid) const { check_steps(steps, grid); }

  KOKKOS_INLINE_FUNCTION StepPlan plan(const GridView& grid) const { return {grid, steps, 0}; }
  KOKKOS_INLINE_FUNCTION int evaluations(const StepPlan& plan) const {
    return stages * plan.count();
  }

  /// Moves x from t to t + h (rows x 1 each).
  template <class Ctx, class Field, class T>
  KOKKOS_FUNCTION void step(const Ctx& ctx, const Field& field, const StepAddress&,
                            ConstMatrix<T> t, ConstMatrix<T> h, Matrix<T> x,
                            const detail::StageMemory<T, Tableau::stages>& memory,
                            Arena<T>& arena) const {
    field(ctx, t, x, memory.stages.k[0], arena);
    detail::evaluate_stages<Tableau, 1, stages - 1>(ctx, field, t, h, Matrix<const T>(x), memory,
                                                    memory.x, arena);
    using Weights = detail::StepWeights<Tableau>;
    ctx.map(x.rows, x.cols, detail::Advance<Weights, T, Tableau::stages>{memory.stages, h, x});
  }
};

using Euler = RungeKutta<EulerTableau>;
using Midpoint = RungeKutta<MidpointTableau>;
using Heun = RungeKutta<HeunTableau>;
using RungeKutta4 = RungeKutta<RungeKutta4Tableau>;

}  // namespace vrfm
