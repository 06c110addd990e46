// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The time loop: moves the rows of x along dx/dt = v(x, t) through a time grid. It is written
// against a Context: a whole trajectory is one kernel on a tile of samples, in memory that does not
// grow with the number of steps, or a sequence of launches over the whole batch.
#pragma once

#include <vrfm/integrators/detail/adaptive_rows.hpp>
#include <vrfm/integrators/detail/fixed_rows.hpp>
#include <vrfm/integrators/solver.hpp>

namespace vrfm {

/// Moves x (block.count x field.dimension()) from the beginning to the end of `grid` by fixed steps
/// and adds to status[0 ... block.count).
template <class Ctx, Velocity Field, FixedSolver Solver, class T, Saver<T> S>
KOKKOS_FUNCTION void integrate(const Ctx& ctx, const Field& field, const Solver& solver,
                               const GridView& grid, const SampleBlock& block, Matrix<T> x,
                               const S& saver, TrajectoryStatus* status, Arena<T>& arena) {
  static_assert(RequireSolver<Solver, Field>::ok);
  const auto mark = arena.used();
  const StepPlan plan = solver.plan(grid);
  const int count = plan.count();
  const Matrix<T> t = shared_column(x.rows, arena), h = shared_column(x.rows, arena);
  const typename Solver::template Memory<T> memory(x.rows, x.cols, shared_column(x.rows, arena),
                                                   arena);
  detail::SaveFixed<T, S>{saver, plan, block, x, 0}.run(ctx);
  for (int n = 0; n < count; ++n) {
    ctx.map(1, 1, detail::SetStep<T>{plan, t, h, n});
    const StepAddress address{block, static_cast<std::uint32_t>(n), n + 1 == count};
    solver.step(ctx, field, address, t, h, x, memory, arena);
    detail::SaveFixed<T, S>{saver, plan, block, x, n + 1}.run(ctx);
  }
  const int evaluations = solver.evaluations(plan);
  ctx.each_row(x.rows, detail::FinishFixed<T>{x, status, count, evaluations, grid.intervals + 1});
  arena.rewind(mark);
}

/// The same by adaptive steps. Each row has its own time and step; rows that finished leave the
/// batch. Points of the grid are interpolated to the order of the error estimate.
template <class Ctx, Velocity Field, AdaptiveSolver Solver, class T, Saver<T> S>
KOKKOS_FUNCTION void integrate(const Ctx& ctx, const Field& field, const Solver& solver,
                               const GridView& grid, const SampleBlock& block, Matrix<T> x,
                               const S& saver, TrajectoryStatus* status, Arena<T>& arena) {
  static_assert(RequireSolver<Solver, Field>::ok);
  using Tableau = typename Solver::Tableau;
  using Memory = detail::StageMemory<T, Tableau::stages>;
  static_assert(Tableau::first_same_as_last);
  constexpr int last = Tableau::stages - 1, buffer_cols = 16;
  const auto mark = arena.used();
  const bool compacted = x.rows <= detail::most_compacted_rows && solver.norm == ErrorNorm::sample;
  const Memory all_memory(x.rows, x.cols, arena.take(x.rows, 1), arena);
  const Matrix<T> all_new = arena.take(x.rows, x.cols);
  const Matrix<T> all_now = compacted ? arena.take(x.rows, x.cols) : x;
  detail::AdaptiveRows<T> rows(x.rows, compacted, arena);
  const RowSelection<T> selection{arena.take(x.rows, 1), arena.take(x.rows, buffer_cols)};
  const detail::Tolerance<T> tolerance{static_cast<T>(solver.absolute),
                                       static_cast<T>(solver.relative)};

  ctx.each_row(x.rows, detail::BeginAdaptive<T, S>{saver, grid, block, x, rows, status});
  field(ctx, rows.t, x, all_memory.stages.k[0], arena);
  detail::choose_first_step(ctx, field, solver, grid, tolerance, x, all_memory, all_new, rows,
                            status, arena);
  ctx.each_row(x.rows, detail::RepresentStep<T>{detail::size_of<T>(grid), rows.t, rows.h});
  if (compacted) ctx.map(x.rows, x.cols, Copy<T>{x, all_now});
  int count = x.rows, active = 0;  // rows that are computed, and those among them that go on
  do {
    const Memory memory = all_memory.first(count);
    const auto& stages = memory.stages;
    const Matrix<T> now = all_now.row_range(0, count), x_new = all_new.row_range(0, count);
    detail::evaluate_stages<Tableau, 1, last>(ctx, field, rows.t, rows.h, Matrix<const T>(now),
                                              memory, x_new, arena);
    ctx.map(count, x.cols,
            detail::ScaledError<Tableau, T>{tolerance, stages, rows.h, now, x_new, memory.x});
    detail::mean_squares(ctx, solver.norm, Matrix<const T>(memory.x), rows.error, rows.total);
    ctx.each_row(count, detail::ControlStep<Solver, T>{solver, grid, rows, status});
    ctx.each_row(count, detail::SaveCrossed<Tableau, T, S>{saver, grid, block, stages, rows, now,
                                                           x_new, memory.x, status});
    ctx.map(count, x.cols, detail::AcceptStep<T>{rows, x_new, stages.k[last], now, stages.k[0]});
    ctx.column_sum(rows.active, rows.total.data, Update::overwrite);
    active = static_cast<int>(ctx.read(rows.total.data));
    if (compacted && active <= count - (count + 3) / 4) {
      ctx.map(count, x.cols, detail::Deliver<T>{rows, now, x});
      rows = detail::compact(ctx, field, active, now, memory, rows, selection);
      count = active;
    }
  } while (active > 0);
  arena.rewind(mark);
}

}  // namespace vrfm
