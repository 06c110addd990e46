// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kernels of one training step. The batch is cut into tiles of fixed height and the tiles into
// parts; each part has a gradient of its own, and the parts are added by a binary tree. The shape
// of both depends on the batch size alone, so the sums are the same bits for any number of threads.
#pragma once

#include <vrfm/couplings/coupling.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/linalg/flat.hpp>
#include <vrfm/linalg/tile_context.hpp>
#include <vrfm/objectives/objective.hpp>
#include <vrfm/paths/affine_path.hpp>
#include <vrfm/paths/time_sampler.hpp>
#include <vrfm/training/adam.hpp>

namespace vrfm::detail {

/// Most parts that a gradient is summed in.
template <ExecutionSpace Exec>
inline constexpr int training_max_parts = is_host_space<Exec> ? 64 : 256;

/// Rows of a tile. On hosts a multiple of the kernel's 6 rows, small enough for a tile's activations to
/// stay in L2. On devices few, so that all parts have some, and more in large batches, where each tile
/// adds to its part's gradient once.
template <ExecutionSpace Exec>
constexpr int training_tile_rows(int batch) {
  if constexpr (is_host_space<Exec>) {
    return 126;
  } else {
    constexpr int unit = team_low_rows, parts = training_max_parts<Exec>;
    return math::min(team_tile_rows, (batch + unit * parts - 1) / (unit * parts) * unit);
  }
}

/// What one step leaves behind, in numbers a row: velocity loss, KL, gradient norm.
enum StepStatistic { statistic_velocity, statistic_kl, statistic_norm, statistic_count };

/// Row function: draws x0, x1 and t.
template <class T, class Coupling, class Times>
struct DrawPairs {
  Coupling coupling;
  Times times;
  Pairs<T> pairs;
  DrawAddress address;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const std::uint64_t sample = address.first_sample + static_cast<std::uint64_t>(i);
    coupling.draw(sample, address.step, address.seed, pairs.x0.row(i), pairs.x1.row(i));
    pairs.t(i, 0) =
        times.template draw<T>(RandomStream(address.seed, Purpose::time), sample, address.step);
  }
};

/// Draws `rows` samples, and evaluates the objective and its gradient on them. The whole of a step
/// but the optimiser, for one tile or one batch.
template <class T, class Networks, class Objective, class Coupling, class Path, class Times>
struct EvaluateRows {
  static constexpr bool host_only = vrfm::host_only<Networks>;

  Networks networks;
  Objective objective;
  Coupling coupling;
  Path schedule;
  Times times;
  const T* parameters;
  double weight;
  std::uint32_t seed;
  StepNumber step;

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int rows, std::uint64_t first_sample,
                                  Gradient<T> gradient, double* losses, Update losses_update,
                                  Arena<T>& arena) const {
    const auto mark = arena.used();
    const int dimension = coupling.dimension();
    Pairs<T> pairs;
    pairs.x0 = arena.take(rows, dimension);
    pairs.x1 = arena.take(rows, dimension);
    pairs.x_t = arena.take(rows, dimension);
    pairs.u = arena.take(rows, dimension);
    pairs.t = arena.take(rows, 1);
    const Matrix<T> row_losses = arena.take(rows, 2);
    const DrawAddress address{seed, step, first_sample};
    ctx.each_row(rows, DrawPairs<T, Coupling, Times>{coupling, times, pairs, address});
    ctx.each_row(rows,
                 Interpolate<T, Path>{schedule, pairs.t, pairs.x0, pairs.x1, pairs.x_t, pairs.u});
    objective(ctx, networks, parameters, gradient, pairs, address, weight, row_losses, arena);
    ctx.column_sum(row_losses, losses, losses_update);
    arena.rewind(mark);
  }
};

/// Tile kernel: worker w computes parts w, w + workers, ...
template <class T, class Rows>
struct EvaluateParts {
  Rows rows;
  int tile_rows;
  int batch;
  int parts;
  int workers;
  std::uint64_t first_sample;
  T* gradients;  // parts x gradient_stride
  std::size_t gradient_stride;
  double* losses;  // parts x 2
  T* memory;       // workers x memory_each
  std::size_t memory_each;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int worker) const {
    const int tiles = (batch + tile_rows - 1) / tile_rows;
    Arena<T> arena(memory + static_cast<std::size_t>(worker) * memory_each, memory_each);
    for (int part = worker; part < parts; part += workers) {
      const int first_tile = static_cast<int>(std::int64_t(part) * tiles / parts);
      const int last_tile = static_cast<int>(std::int64_t(part + 1) * tiles / parts);
      T* gradient = gradients + static_cast<std::size_t>(part) * gradient_stride;
      for (int tile = first_tile; tile < last_tile; ++tile) {
        const int first = tile * tile_rows;
        const bool accumulate = tile != first_tile;
        rows(ctx, math::min(tile_rows, batch - first),
             first_sample + static_cast<std::uint64_t>(first), Gradient<T>{gradient, accumulate},
             losses + 2 * part, accumulate ? Update::accumulate : Update::overwrite, arena);
      }
    }
  }
};

/// Eight numbers in the order of pairs, and of pairs of pairs.
template <class S>
KOKKOS_INLINE_FUNCTION S add_in_pairs(S a, S b, S c, S d, S e, S f, S g, S h) {
  return ((a + b) + (c + d)) + ((e + f) + (g + h));
}

/// Element i: adds its parts into part 0, in the order of AddParts, eight at a time.
template <class S>
struct AddElementParts {
  S* values;
  std::size_t stride;
  int parts;

  KOKKOS_INLINE_FUNCTION void operator()(int, int i) const {
    for (int distance = 1; distance < parts; distance *= 8) {
      for (int first = 0; first + distance < parts; first += 8 * distance) {
        S x[8];
        VRFM_UNROLL
        for (int k = 0; k < 8; ++k) {
          const int part = first + k * distance;
          x[k] = part < parts ? values[static_cast<std::size_t>(part) * stride + std::size_t(i)]
                              : S(0);
        }
        values[static_cast<std::size_t>(first) * stride + std::size_t(i)] =
            add_in_pairs(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]);
      }
    }
  }
};

/// f(i, 0) = values[i]^2
template <class T>
struct SquareElement {
  const T* values;
  KOKKOS_INLINE_FUNCTION double operator()(int i, int) const {
    return static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
};

/// Block kernel: adds the parts of one block of the gradient into part 0, and takes the sum of its
/// squares; block 0 also adds the losses. By one thread, or by those of a context.
template <class T>
struct AddParts {
  T* gradients;
  std::size_t stride;
  int parts;
  std::int64_t count;
  double* losses;   // parts x 2
  double* squares;  // one a block

  KOKKOS_FUNCTION void operator()(std::int64_t block) const {
    const std::int64_t first = block * flat_block;
    const std::int64_t last = math::min(first + flat_block, count);
    add_losses(block);
    for (int distance = 1; distance < parts; distance *= 8) {
      for (int part = 0; part + distance < parts; part += 8 * distance) {
        if (part + 7 * distance < parts) {
          add_eight(part, distance, first, last);
        } else {
          add_pairs(part, distance, first, last);
        }
      }
    }
    // Sums of their own for every eighth element, so that the loop can use vectors.
    constexpr int lanes = 8;
    double sums[lanes] = {};
    std::int64_t i = first;
    for (; i + lanes <= last; i += lanes) {
      VRFM_UNROLL
      for (int l = 0; l < lanes; ++l) sums[l] += square(gradients[i + l]);
    }
    for (int l = 0; i + l < last; ++l) sums[l] += square(gradients[i + l]);
    double sum = 0;
    for (const double part : sums) sum += part;
    squares[block] = sum;
  }

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int block) const {
    const std::int64_t first = block * flat_block;
    const int n = static_cast<int>(math::min(flat_block, count - first));
    ctx.map(1, n, AddElementParts<T>{gradients + first, stride, parts});
    if (block == 0) ctx.map(1, 2, AddElementParts<double>{losses, 2, parts});
    ctx.column_sum(n, 1, SquareElement<T>{gradients + first}, squares + block, Update::overwrite);
  }

 private:
  KOKKOS_INLINE_FUNCTION T* part_row(int part) const {
    return gradients + static_cast<std::size_t>(part) * stride;
  }

  /// Adds `part` and the seven behind it, each `distance` from the next, in the order of pairs:
  /// what passes is read once, and nothing but the sum is written.
  KOKKOS_INLINE_FUNCTION void add_eight(int part, int distance, std::int64_t first,
                                        std::int64_t last) const {
    T* into = part_row(part);
    const std::size_t next = static_cast<std::size_t>(distance) * stride;
    VRFM_INDEPENDENT_ITERATIONS
    for (std::int64_t i = first; i < last; ++i) {
      const T* x = into + i;
      into[i] = add_in_pairs(x[0], x[next], x[2 * next], x[3 * next], x[4 * next], x[5 * next],
                             x[6 * next], x[7 * next]);
    }
  }

  /// The same of as many of the eight as there are.
  KOKKOS_INLINE_FUNCTION void add_pairs(int begin, int distance, std::int64_t first,
                                        std::int64_t last) const {
    const int end = math::min(parts, begin + 8 * distance);
    for (int step = distance; begin + step < end; step *= 2) {
      for (int part = begin; part + step < end; part += 2 * step) {
        T* into = part_row(part);
        const T* from = part_row(part + step);
        VRFM_INDEPENDENT_ITERATIONS
        for (std::int64_t i = first; i < last; ++i) into[i] += from[i];
      }
    }
  }

  KOKKOS_INLINE_FUNCTION void add_losses(std::int64_t block) const {
    if (block != 0) return;
    for (int i = 0; i < 2; ++i) AddElementParts<double>{losses, 2, parts}(0, i);
  }

  KOKKOS_INLINE_FUNCTION static double square(T x) {
    return static_cast<double>(x) * static_cast<double>(x);
  }
};

/// One tile: the step's statistics, the numbers of its update with the gradient's scale under
/// global-norm clipping, whether everything is finite; then the counter goes to the next step.
template <class T, class Optimizer>
struct FinishStep {
  const double* losses;  // velocity, KL: sums over the batch
  double weight;
  const double* squares;
  int blocks;
  double* square;    // their sum
  double clip_norm;  // <= 0: no clipping
  Optimizer optimizer;
  double* statistics;  // rows x statistic_count; step s has row s % rows
  std::int64_t statistics_rows;
  AdamNumbers<T>* numbers;
  int* bad_step;  // 1 + the first step that was not finite
  std::int64_t* step;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    ctx.column_sum(Matrix<const double>(squares, blocks, 1, 1), square, Update::overwrite);
    ctx.each_row(1, *this);
  }

  KOKKOS_FUNCTION void operator()(int) const {
    const std::int64_t now = (*step)++;
    if (*bad_step != 0) return;
    const double sum = *square;
    const double norm = math::sqrt(sum);
    double* row = statistics + now % statistics_rows * statistic_count;
    row[statistic_velocity] = losses[0] * weight;
    row[statistic_kl] = losses[1] * weight;
    row[statistic_norm] = norm;
    const bool bad = !math::is_finite(losses[0] + losses[1] + sum);
    if (bad) *bad_step = static_cast<int>(now) + 1;
    // PyTorch's clip_grad_norm_: the coefficient clip / (norm + 1e-6), at most 1.
    const double scale = clip_norm > 0 ? math::min(1.0, clip_norm / (norm + 1e-6)) : 1.0;
    *numbers = AdamNumbers<T>::at(now, optimizer, scale, bad);
  }
};

/// Flat element: average = decay * average + (1 - decay) * value with gain = 1 - decay, unless a
/// step went bad.
template <class T>
struct AverageElement {
  const T* value;
  T* average;
  T gain;
  const int* bad_step;
  bool skip = false;

  KOKKOS_INLINE_FUNCTION AverageElement begin() const {
    AverageElement now = *this;
    now.skip = *bad_step != 0;
    return now;
  }
  KOKKOS_INLINE_FUNCTION void operator()(std::int64_t i) const {
    if (skip) return;
    average[i] += gain * (value[i] - average[i]);
  }
};

}  // namespace vrfm::detail
