// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The programs of likelihood.hpp: what one tile or one batch of samples runs.
#pragma once

#include <limits>

#include <vrfm/sampling/detail/sample_programs.hpp>
#include <vrfm/sampling/divergence.hpp>

namespace vrfm::detail {

template <class T>
inline constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();
template <class T>
inline constexpr T minus_infinity = -std::numeric_limits<T>::infinity();

/// A running sum of exp(l), held as a largest l and sums relative to it.
template <class T>
struct LogSums {
  Matrix<T> largest, sum, squares;

  KOKKOS_FUNCTION LogSums(int rows, Arena<T>& arena)
      : largest(arena.take(rows, 1)), sum(arena.take(rows, 1)), squares(arena.take(rows, 1)) {}

  KOKKOS_INLINE_FUNCTION void clear(int i) const {
    largest(i, 0) = minus_infinity<T>;
    sum(i, 0) = T(0);
    squares(i, 0) = T(0);
  }

  KOKKOS_INLINE_FUNCTION void add(int i, T l) const {
    if (l == minus_infinity<T>) return;
    if (l > largest(i, 0)) {
      const T shrink = math::exp(largest(i, 0) - l);
      sum(i, 0) = sum(i, 0) * shrink + T(1);
      squares(i, 0) = squares(i, 0) * shrink * shrink + T(1);
      largest(i, 0) = l;
    } else {
      const T p = math::exp(l - largest(i, 0));
      sum(i, 0) += p;
      squares(i, 0) += p * p;
    }
  }
};

/// Row: after trajectory `draw` (from the first) adds its density.
template <class T, class Base>
struct AddDensity {
  Base base;
  ConstMatrix<T> state;  // x, a
  LogSums<T> sums;
  const TrajectoryStatus* status;
  int draw;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    if (draw == 0) sums.clear(i);
    const bool finished = status[i].reason == Reason::finished;
    sums.add(i, finished ? static_cast<T>(base.log_density(state.row(i))) + state(i, state.cols - 1)
                         : not_a_number<T>);
  }
};

/// Row: the results of one point.
template <class T>
struct FinishDensity {
  LogSums<T> sums;
  int draws;
  T* log_density;
  T* effective_draws;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T sum = sums.sum(i, 0), squares = sums.squares(i, 0);
    log_density[i] = sums.largest(i, 0) + math::log(sum / static_cast<T>(draws));
    effective_draws[i] = squares == T(0) ? T(0) : sum * sum / squares;
  }
};

/// The program of run_trajectories that integrates points back, once for each draw of z.
template <class Field, class Base, class Solver, class T>
struct EvaluateDensities {
  static constexpr bool host_only = vrfm::host_only<Field>;
  using products = products_of<Field>;

  DivergenceVelocity<Field> field;
  Base base;
  Solver solver;
  GridView grid;
  Matrix<const T> points;
  std::uint32_t first_draw;
  int draws;
  T* log_density;
  T* effective_draws;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, SampleBlock block, TrajectoryStatus* status,
                                  Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> state = arena.take(block.count, field.dimension());
    const Matrix<T> x = state.col_range(0, points.cols), a = state.col_range(points.cols, 1);
    const LogSums<T> sums(block.count, arena);
    for (int draw = 0; draw < draws; ++draw) {
      const auto before = arena.used();
      block.draw = first_draw + static_cast<std::uint32_t>(draw);
      ctx.map(block.count, points.cols, ReadBlock<T>{points, block, x});
      ctx.map(block.count, 1, Fill<T>{a, T(0)});
      const auto bound = bind_velocity(ctx, field, block, state, arena);
      integrate(ctx, bound, solver, grid, block, state, NoSaver{}, status, arena);
      ctx.each_row(block.count, AddDensity<T, Base>{base, state, sums, status, draw});
      arena.rewind(before);
    }
    ctx.each_row(block.count, FinishDensity<T>{sums, draws, log_density + block.first_row,
                                               effective_draws + block.first_row});
    arena.rewind(mark);
  }
};

/// Row: out = log density of the source at x.
template <class T, class Source>
struct SourceDensity {
  Source source;
  ConstMatrix<T> x;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    out(i, 0) = static_cast<T>(source.log_density(x.row(i)));
  }
};

/// Row: x and its density, NaN where the trajectory failed.
template <class T>
struct FinishSample {
  ConstMatrix<T> state, source_density;
  const TrajectoryStatus* status;
  Matrix<T> x;
  T* log_density;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    for (int j = 0; j < x.cols; ++j) x(i, j) = state(i, j);
    log_density[i] = status[i].reason == Reason::finished ? source_density(i, 0) - state(i, x.cols)
                                                          : not_a_number<T>;
  }
};

/// The program of run_trajectories that samples and tells the density.
template <class Field, class Source, class Solver, class T>
struct SampleDensities {
  static constexpr bool host_only = vrfm::host_only<Field>;
  using products = products_of<Field>;

  DivergenceVelocity<Field> field;
  Source source;
  Solver solver;
  GridView grid;
  Matrix<T> result;
  T* log_density;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const SampleBlock& block,
                                  TrajectoryStatus* status, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> state = arena.take(block.count, field.dimension());
    const Matrix<T> x = state.col_range(0, result.cols), a = state.col_range(result.cols, 1);
    const Matrix<T> source_density = arena.take(block.count, 1);
    ctx.each_row(block.count, DrawSource<Source, T>{source, block, x});
    ctx.each_row(block.count, SourceDensity<T, Source>{source, x, source_density});
    ctx.map(block.count, 1, Fill<T>{a, T(0)});
    const auto bound = bind_velocity(ctx, field, block, state, arena);
    integrate(ctx, bound, solver, grid, block, state, NoSaver{}, status, arena);
    ctx.each_row(block.count, FinishSample<T>{state, source_density, status,
                                              result.row_range(block.first_row, block.count),
                                              log_density + block.first_row});
    arena.rewind(mark);
  }
};

}  // namespace vrfm::detail
