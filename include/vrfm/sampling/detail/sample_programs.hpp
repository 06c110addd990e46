// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The program of sample.hpp: what one tile or one batch of samples runs.
#pragma once

#include <vrfm/integrators/integrate.hpp>
#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/linalg/execution.hpp>

namespace vrfm::detail {

/// Row: x = draw of `source`.
template <class Source, class T>
struct DrawSource {
  Source source;
  SampleBlock block;
  Matrix<T> x;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    source.draw(block.id(i), 0, block.stream(Purpose::source), x.row(i));
  }
};

/// Element: a row of `table`.
template <class T>
struct ReadBlock {
  ConstMatrix<T> table;
  SampleBlock block;
  Matrix<T> x;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    x(i, j) = table(block.first_row + i, j);
  }
};

/// Trajectories begin at draws of `source`.
template <class Source, class T>
struct BeginAtSource {
  Source source;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const SampleBlock& block, Matrix<T> x) const {
    ctx.each_row(x.rows, DrawSource<Source, T>{source, block, x});
  }
};

/// Trajectories begin at the rows of `table`.
template <class T>
struct BeginAtTable {
  Matrix<const T> table;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const SampleBlock& block, Matrix<T> x) const {
    ctx.map(x.rows, x.cols, ReadBlock<T>{table, block, x});
  }
};

/// The program of run_trajectories that ends with x in a table.
template <class Field, class Begin, class Solver, class S, class T>
struct TransportSamples {
  static constexpr bool host_only = vrfm::host_only<Field>;
  using products = products_of<Field>;

  Field field;
  Begin begin;
  Solver solver;
  GridView grid;
  S saver;
  Matrix<T> result;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const SampleBlock& block,
                                  TrajectoryStatus* status, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> x = arena.take(block.count, field.dimension());
    begin(ctx, block, x);
    const auto bound = bind_velocity(ctx, field, block, x, arena);
    integrate(ctx, bound, solver, grid, block, x, saver, status, arena);
    ctx.map(block.count, x.cols, Copy<T>{x, result.row_range(block.first_row, block.count)});
    arena.rewind(mark);
  }
};

}  // namespace vrfm::detail
