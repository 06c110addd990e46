// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kernels that evaluate an objective on the leaves of a batch (parallel/partition.hpp): draw the
// leaf's samples, then the objective and its gradient on them.
#pragma once

#include <vrfm/couplings/coupling.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/linalg/tile_context.hpp>
#include <vrfm/objectives/objective.hpp>
#include <vrfm/parallel/partition.hpp>

namespace vrfm::detail {

/// Most leaves of a batch in tiles.
template <ExecutionSpace Exec>
inline constexpr int most_leaves = is_host_space<Exec> ? 64 : 256;

/// Most rows of a tile. On hosts a multiple of the kernel's 6 rows, small enough for a tile's activations
/// to stay in L2.
template <ExecutionSpace Exec>
inline constexpr int most_tile_rows = is_host_space<Exec> ? 126 : team_tile_rows;

/// The leaves of a batch in tiles: a power of two, so that 2, 4, 8, ... ranks own one node each; enough
/// for a leaf to be one tile, of which devices want many and low ones.
template <ExecutionSpace Exec>
Partition tile_partition(int batch) {
  const int rows = is_host_space<Exec> ? most_tile_rows<Exec> : team_low_rows;
  int leaves = 1;
  while (leaves < most_leaves<Exec> && (batch + leaves - 1) / leaves > rows) leaves *= 2;
  return Partition(batch, leaves);
}

/// How a batch is cut for a kind of launch.
template <ExecutionSpace Exec>
Partition partition_of(int batch, const Launch& launch) {
  return launch.execution == Execution::tiles ? tile_partition<Exec>(batch)
                                              : Partition::of_leaves(batch, launch.batch);
}

/// Row function: draws x0, x1, c and z. Of a condition that is dropped, vector and field become 0, for what
/// its writer may have left there would pass through a product with a gradient of 0 if it is NaN.
template <class T, class Pairing>
struct DrawRows {
  Pairing coupling;
  DrawAddress draws;
  Matrix<T> x0, x1, vector, field;
  Matrix<std::int32_t> label, dropped;
  Matrix<T> z = {};

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    if (!dropped.empty()) dropped(i, 0) = 0;
    coupling.draw(draws.at(i), Slot<T>{x0.row(i), x1.row(i), row_of(label, i), row_of(vector, i),
                                       row_of(field, i), row_of(dropped, i), row_of(z, i)});
    if (dropped.empty() || dropped(i, 0) == 0) return;
    if (!vector.empty()) clear(vector, i);
    if (!field.empty()) clear(field, i);
  }

 private:
  KOKKOS_INLINE_FUNCTION static void clear(const Matrix<T>& m, int i) {
    for (int j = 0; j < m.cols; ++j) m(i, j) = T(0);
  }
  template <class S>
  KOKKOS_INLINE_FUNCTION static S* row_of(const Matrix<S>& m, int i) {
    return m.empty() ? nullptr : m.row(i);
  }
};

/// Draws `rows` samples, and evaluates the objective and its gradient on them.
template <class T, class Networks, class Objective, class Pairing>
struct EvaluateRows {
  static constexpr bool host_only = vrfm::host_only<Networks>;
  static constexpr int terms = term_count<Objective>;
  using P = storage_of<Networks, T>;

  Networks networks;
  Objective objective;
  Pairing coupling;
  const P* parameters;
  const P* teacher;
  double row_weight;
  DrawAddress draws;

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int rows, int first, Gradient<T> gradient,
                                  double* sums, Update update, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int dimension = coupling.dimension();
    const ConditionShape shape = condition_of(coupling);
    DrawRows<T, Pairing> draw{coupling, draws.from(first), {}, {}, {}, {}, {}, {}};
    draw.x0 = arena.take(rows, dimension);
    draw.x1 = arena.take(rows, dimension);
    if (shape.classes > 0) draw.label = arena.template take_as<std::int32_t>(rows, 1);
    if (shape.columns > 0) draw.vector = arena.take(rows, shape.columns);
    if (shape.field_columns > 0) draw.field = arena.take(rows, shape.field_columns);
    if (shape.latent > 0) draw.z = arena.take(rows, shape.latent);
    if (shape.conditional()) draw.dropped = arena.template take_as<std::int32_t>(rows, 1);
    const Matrix<T> losses = arena.take(rows, terms);
    ctx.each_row(rows, draw);
    objective(ctx,
              LossProblem<Networks, T>{networks,
                                       parameters,
                                       teacher,
                                       gradient,
                                       draw.x0,
                                       draw.x1,
                                       {draw.z, draw.label, draw.vector, draw.field, draw.dropped},
                                       draw.draws,
                                       row_weight,
                                       losses},
              arena);
    ctx.column_sum(losses, sums, update);
    arena.rewind(mark);
  }
};

/// Tile kernel: worker w evaluates the leaves w, w + workers, ... of `range`.
template <class T, class Rows>
struct EvaluateLeaves {
  Rows rows;
  Partition partition;
  LeafRange range;
  int tile_rows;
  int workers;
  T* gradients;  // leaves of the range x gradient_stride
  std::size_t gradient_stride;
  double* losses;  // leaves of the range x terms
  T* memory;       // workers x memory_each
  std::size_t memory_each;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int worker) const {
    Arena<T> arena(memory + static_cast<std::size_t>(worker) * memory_each, memory_each);
    for (int k = worker; k < range.count; k += workers) {
      const int first = partition.first_sample(range.first + k);
      const int samples = partition.sample_count(range.first + k);
      const int tiles = (samples + tile_rows - 1) / tile_rows;
      T* gradient = gradients + static_cast<std::size_t>(k) * gradient_stride;
      for (int tile = 0; tile < tiles; ++tile) {
        const int begin = static_cast<int>(std::int64_t(samples) * tile / tiles);
        const int end = static_cast<int>(std::int64_t(samples) * (tile + 1) / tiles);
        rows(ctx, end - begin, first + begin, Gradient<T>{gradient, tile > 0},
             losses + k * Rows::terms, tile > 0 ? Update::accumulate : Update::overwrite, arena);
      }
    }
  }
};

}  // namespace vrfm::detail
