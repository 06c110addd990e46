// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the adaptive time loop does with each row besides evaluating the stages.
#pragma once

#include <vrfm/integrators/detail/step_length.hpp>
#include <vrfm/integrators/saver.hpp>
#include <vrfm/integrators/step_control.hpp>

namespace vrfm::detail {

/// Tiles of at most so many rows move the rows that go on together, once a quarter of the rows has
/// ended.
inline constexpr int most_compacted_rows = 1024;

/// The state of each row, one column for each property. A row that has ended has h = 0 and active =
/// 0.
template <class T>
struct AdaptiveRows {
  Matrix<T> t, h, t_next, h_next;
  Matrix<T> accepted;  ///< 1: the step just tried stands
  Matrix<T> active;
  Matrix<T> error;   ///< mean square of the scaled error
  Matrix<T> before;  ///< error of the last accepted step
  Matrix<T> growth;  ///< largest factor of the next step: 1 after a rejection
  Matrix<T> tries;
  Matrix<T> place;  ///< where in the tile the row began; empty: where it is now
  Matrix<T> total;  ///< 1 x 1

  AdaptiveRows() = default;
  KOKKOS_FUNCTION AdaptiveRows(int rows, bool compacted, Arena<T>& arena)
      : t(arena.take(rows, 1)),
        h(arena.take(rows, 1)),
        t_next(arena.take(rows, 1)),
        h_next(arena.take(rows, 1)),
        accepted(arena.take(rows, 1)),
        active(arena.take(rows, 1)),
        error(arena.take(rows, 1)),
        before(arena.take(rows, 1)),
        growth(arena.take(rows, 1)),
        tries(arena.take(rows, 1)),
        place(compacted ? arena.take(rows, 1) : Matrix<T>()),
        total(arena.take(1, 1)) {}

  KOKKOS_INLINE_FUNCTION int place_of(int i) const {
    return place.empty() ? i : static_cast<int>(place(i, 0));
  }

  /// Calls f(column) for each column that lasts from step to step.
  template <class F>
  KOKKOS_FUNCTION void each_lasting(const F& f) const {
    f(t);
    f(h);
    f(active);
    f(before);
    f(growth);
    f(tries);
    f(place);
  }

  /// The first `count` rows.
  KOKKOS_FUNCTION AdaptiveRows first(int count) const {
    AdaptiveRows result = *this;
    Matrix<T>* const columns[] = {&result.t,        &result.h,      &result.t_next, &result.h_next,
                                  &result.accepted, &result.active, &result.error,  &result.before,
                                  &result.growth,   &result.tries,  &result.place};
    for (Matrix<T>* const column : columns) {
      *column = column->row_range(0, count);
    }
    return result;
  }
};

template <class T, class Saver>
struct BeginAdaptive {
  Saver saver;
  GridView grid;
  SampleBlock block;
  ConstMatrix<T> x;
  AdaptiveRows<T> rows;
  TrajectoryStatus* status;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    rows.t(i, 0) = static_cast<T>(grid.begin);
    if (!rows.place.empty()) rows.place(i, 0) = static_cast<T>(i);
    rows.active(i, 0) = T(1);
    rows.before(i, 0) = T(1e-4);
    rows.growth(i, 0) = unlimited<T>;
    rows.tries(i, 0) = T(0);
    status[i].saved = 1;
    status[i].evaluations += 1;
    saver(0, block.first_row + i, rows.t(i, 0), x.row(i), x.cols);
  }
};

struct CountEvaluation {
  TrajectoryStatus* status;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const { status[i].evaluations += 1; }
};

/// Element: y = x + h v, and once a row t_stage = t + h.
template <class T>
struct EulerStep {
  ConstMatrix<T> t, h, x, v;
  Matrix<T> y, t_stage;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    y(i, j) = x(i, j) + h(i, 0) * v(i, j);
    if (j == 0) set_row(t_stage, i, t(i, 0) + h(i, 0));
  }
};

/// rows.h = the solver's first step; without one, a step from the sizes of x, v and v's change over
/// a trial step. Expects v in k[0]; x_new, k[1] and memory.x are free.
template <class Ctx, class Field, class Solver, class T, int n>
KOKKOS_FUNCTION void choose_first_step(const Ctx& ctx, const Field& field, const Solver& solver,
                                       const GridView& grid, const Tolerance<T>& tolerance,
                                       Matrix<T> x, const StageMemory<T, n>& memory,
                                       Matrix<T> x_new, const AdaptiveRows<T>& rows,
                                       TrajectoryStatus* status, Arena<T>& arena) {
  const T span = static_cast<T>(grid.end) - static_cast<T>(grid.begin);
  if (solver.first_step > 0) {
    const T length = math::minimum(math::fabs(span), static_cast<T>(solver.first_step));
    ctx.map(x.rows, 1, SetFirstStep<T>{span < T(0) ? -length : length, rows.h});
    return;
  }
  const Matrix<T> v = memory.stages.k[0], v_new = memory.stages.k[1];
  const ConstMatrix<T> scaled = memory.x;
  const Matrix<T> x2 = rows.t_next, v2 = rows.h_next;  // free before the first step
  ctx.map(x.rows, x.cols, Scaled<T>{tolerance, x, x, memory.x});
  mean_squares(ctx, solver.norm, scaled, x2, rows.total);
  ctx.map(x.rows, x.cols, Scaled<T>{tolerance, x, v, memory.x});
  mean_squares(ctx, solver.norm, scaled, v2, rows.total);
  ctx.each_row(x.rows, TrialStep<T>{span, x2, v2, rows.h});
  ctx.map(x.rows, x.cols, EulerStep<T>{rows.t, rows.h, x, v, x_new, memory.t});
  field(ctx, memory.t, x_new, v_new, arena);
  ctx.map(x.rows, x.cols, Difference<T>{v, v_new, x_new});
  ctx.map(x.rows, x.cols, Scaled<T>{tolerance, x, x_new, memory.x});
  mean_squares(ctx, solver.norm, scaled, rows.error, rows.total);
  const T exponent = T(1) / static_cast<T>(Solver::Tableau::order);
  ctx.each_row(x.rows, FirstStep<T>{span, exponent, v2, rows.error, rows.h});
  ctx.each_row(x.rows, CountEvaluation{status});
}

/// Row: accepts or rejects the step just tried and chooses the next.
template <class Solver, class T>
struct ControlStep {
  Solver solver;
  GridView grid;
  AdaptiveRows<T> rows;
  TrajectoryStatus* status;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    rows.accepted(i, 0) = T(0);
    rows.h_next(i, 0) = T(0);
    if (rows.active(i, 0) == T(0)) return;
    TrajectoryStatus& tally = status[rows.place_of(i)];
    tally.steps += 1;
    tally.evaluations += Solver::Tableau::stages - 1;
    const T before = rows.tries(i, 0);
    rows.tries(i, 0) += T(1);
    const T error = math::sqrt(rows.error(i, 0));
    const bool ended = error <= T(1) ? accept(i, error) : reject(i, error);
    // Where T counts no further, there is a limit too.
    const bool most =
        rows.tries(i, 0) >= static_cast<T>(solver.max_steps) || rows.tries(i, 0) == before;
    if (!ended && most) {
      stop(i, Reason::step_limit);
    }
  }

 private:
  KOKKOS_INLINE_FUNCTION bool accept(int i, T error) const {
    const T t = rows.t(i, 0), h = rows.h(i, 0), end = static_cast<T>(grid.end);
    const bool ended = math::fabs(end - t) <= math::fabs(h);
    rows.accepted(i, 0) = T(1);
    rows.t_next(i, 0) = ended ? end : t + h;
    if (ended) {
      rows.active(i, 0) = T(0);
      return true;
    }
    const T beta = static_cast<T>(solver.beta);
    const T wanted = power(error) * math::pow(rows.before(i, 0), beta);
    const T factor = math::minimum(
        rows.growth(i, 0), math::maximum(static_cast<T>(solver.min_factor),
                                         math::minimum(static_cast<T>(solver.max_factor), wanted)));
    rows.before(i, 0) = math::maximum(error, T(1e-4));
    rows.growth(i, 0) = unlimited<T>;
    // A step that would leave less than a hundredth of itself goes to the end.
    const T rest = end - rows.t_next(i, 0), next = h * factor;
    rows.h_next(i, 0) = math::fabs(rest) < T(1.01) * math::fabs(next)
                            ? rest
                            : representable_step(rows.t_next(i, 0), next, size_of<T>(grid));
    return false;
  }

  KOKKOS_INLINE_FUNCTION bool reject(int i, T error) const {
    const bool finite = math::is_finite(error);
    const T low = static_cast<T>(solver.min_factor);
    const T factor = finite ? math::maximum(low, math::minimum(T(1), power(error))) : low;
    const T tried = rows.h(i, 0), next = tried * factor, size = size_of<T>(grid);
    const T shorter = representable_step(rows.t(i, 0), next, size);
    rows.h_next(i, 0) = shorter;
    rows.growth(i, 0) = T(1);
    // A step that rounds to the one that was tried would be rejected for ever.
    if (math::fabs(next) > size * resolution<T> && math::fabs(shorter) < math::fabs(tried)) {
      return false;
    }
    stop(i, finite ? Reason::step_too_small : Reason::not_finite);
    return true;
  }

  /// safety error^-alpha
  KOKKOS_INLINE_FUNCTION T power(T error) const {
    const double alpha = 1.0 / Solver::Tableau::order - 0.75 * solver.beta;
    return static_cast<T>(solver.safety) * math::pow(error, static_cast<T>(-alpha));
  }

  KOKKOS_INLINE_FUNCTION void stop(int i, Reason reason) const {
    rows.active(i, 0) = T(0);
    rows.h_next(i, 0) = T(0);
    TrajectoryStatus& tally = status[rows.place_of(i)];
    if (tally.reason < reason) tally.reason = reason;
  }
};

/// Row: shows the saver the points of the grid in the step just accepted.
template <class Tableau, class T, class Saver>
struct SaveCrossed {
  Saver saver;
  GridView grid;
  SampleBlock block;
  Stages<T, Tableau::stages> stages;
  AdaptiveRows<T> rows;
  ConstMatrix<T> x, x_new;
  Matrix<T> between;
  TrajectoryStatus* status;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    if (rows.accepted(i, 0) == T(0)) return;
    const T t_next = rows.t_next(i, 0);
    const bool forward = grid.end > grid.begin;
    const int place = rows.place_of(i);
    int n = status[place].saved;
    for (; n <= grid.intervals; ++n) {
      const T time = static_cast<T>(grid(n));
      if (forward ? time > t_next : time < t_next) break;
      if constexpr (!std::is_same_v<Saver, NoSaver>) {
        if (time == t_next) {
          saver(n, block.first_row + place, time, x_new.row(i), x.cols);
        } else {
          interpolate(i, (time - rows.t(i, 0)) / rows.h(i, 0));
          saver(n, block.first_row + place, time, static_cast<const T*>(between.row(i)), x.cols);
        }
      }
    }
    status[place].saved = n;
  }

 private:
  KOKKOS_INLINE_FUNCTION void interpolate(int i, T theta) const {
    constexpr int last = Tableau::stages - 1;
    const T rest = T(1) - theta, h = rows.h(i, 0);
    for (int j = 0; j < x.cols; ++j) {
      const T slopes = rest * stages.k[0](i, j) - theta * stages.k[last](i, j);
      const T more = stages.template sum<DenseWeights<Tableau>>(i, j);
      between(i, j) = x(i, j) + theta * theta * (T(3) - T(2) * theta) * (x_new(i, j) - x(i, j)) +
                      theta * rest * h * (slopes + theta * rest * more);
    }
  }
};

/// Element: does what ControlStep decided.
template <class T>
struct AcceptStep {
  AdaptiveRows<T> rows;
  ConstMatrix<T> x_new, v_new;
  Matrix<T> x, v;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    if (rows.accepted(i, 0) != T(0)) {
      x(i, j) = x_new(i, j);
      v(i, j) = v_new(i, j);
      if (j == 0) rows.t(i, 0) = rows.t_next(i, 0);
    }
    if (j == 0) rows.h(i, 0) = rows.h_next(i, 0);
  }
};

/// Element: copies x of a row that has ended to the row's place in the tile.
template <class T>
struct Deliver {
  AdaptiveRows<T> rows;
  ConstMatrix<T> from;
  Matrix<T> to;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    if (rows.active(i, 0) == T(0)) to(rows.place_of(i), j) = from(i, j);
  }
};

/// One work item: lists the rows that go on.
template <class T>
struct ListActive {
  ConstMatrix<T> active;
  Matrix<T> from;
  KOKKOS_INLINE_FUNCTION void operator()(int) const {
    int kept = 0;
    for (int i = 0; i < active.rows; ++i) {
      if (active(i, 0) != T(0)) from(kept++, 0) = static_cast<T>(i);
    }
  }
};

template <class T, class Ctx>
struct KeepRows {
  const Ctx& ctx;
  const RowSelection<T>& selection;
  KOKKOS_FUNCTION void operator()(const Matrix<T>& table) const { selection.keep(ctx, table); }
};

/// Moves the `kept` rows that go on together, in order; returns their state.
template <class Ctx, class Field, class T, int n>
KOKKOS_FUNCTION AdaptiveRows<T> compact(const Ctx& ctx, const Field& field, int kept, Matrix<T> x,
                                        const StageMemory<T, n>& memory,
                                        const AdaptiveRows<T>& rows, RowSelection<T> selection) {
  ctx.each_row(1, ListActive<T>{rows.active, selection.from});
  selection.from = selection.from.row_range(0, kept);
  rows.each_lasting(KeepRows<T, Ctx>{ctx, selection});
  selection.keep(ctx, x);
  selection.keep(ctx, memory.stages.k[0]);
  keep_rows(ctx, field, selection);
  return rows.first(kept);
}

}  // namespace vrfm::detail
