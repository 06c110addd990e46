// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs a program of trajectories on a number of samples: in tiles, one kernel in all, or as launches
// over the whole batch. The program is measured on a dry run, so it states nowhere what memory it
// needs. A row's bits do not depend on its neighbours or its place, so neither do a sample's on the
// tile it falls into.
#pragma once

#include <vrfm/integrators/grid.hpp>
#include <vrfm/integrators/status.hpp>
#include <vrfm/integrators/velocity.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/linalg/tile_context.hpp>

namespace vrfm {

namespace detail {

/// Rows of a tile. On hosts as many as keep the packing of weights a small part of the work, unless
/// some of the `concurrent` threads would have none; on devices as many as one team's product takes at a
/// time, or fewer for the same reason.
template <ExecutionSpace Exec>
int trajectory_tile_rows(int samples, int concurrent) {
  const int share = (samples + concurrent - 1) / concurrent;
  if constexpr (is_host_space<Exec>) {
    return math::min(192, math::max(24, share));
  } else {
    constexpr int unit = team_low_rows;
    return math::min(team_tile_rows, (share + unit - 1) / unit * unit);
  }
}

/// Worker w runs tiles w, w + workers, ...
template <class T, class Program>
struct TileTrajectories {
  Program program;
  std::uint32_t seed;
  std::uint64_t first_id;
  int samples;
  int tile_rows;
  int workers;
  Status* status;
  T* memory;  // workers x memory_each
  std::size_t memory_each;

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int worker) const {
    Arena<T> arena(memory + static_cast<std::size_t>(worker) * memory_each, memory_each);
    for (int first = worker * tile_rows; first < samples; first += workers * tile_rows) {
      const SampleBlock block{seed, first_id + static_cast<std::uint64_t>(first), first,
                              math::min(tile_rows, samples - first), 0};
      program(ctx, block, status + first, arena);
    }
  }
};

/// The books of some trajectories that follow one another.
struct Books {
  std::int64_t steps = 0, evaluations = 0, failed = 0;
  std::int64_t first_failed = -1;  // -1: none
  int max_steps = 0, max_evaluations = 0;
  Reason reason = Reason::finished;

  /// Appends those that follow.
  KOKKOS_INLINE_FUNCTION void append(const Books& next) {
    steps += next.steps;
    evaluations += next.evaluations;
    failed += next.failed;
    if (first_failed < 0) first_failed = next.first_failed;
    max_steps = math::max(max_steps, next.max_steps);
    max_evaluations = math::max(max_evaluations, next.max_evaluations);
    reason = math::max(reason, next.reason);
  }
};

/// Block kernel: the books of `books_block` trajectories, so that few numbers leave a device.
inline constexpr int books_block = 256;
struct KeepBooks {
  const Status* statuses;
  int samples;
  Books* books;

  KOKKOS_FUNCTION void operator()(int block) const {
    Books sum;
    const int first = block * books_block;
    for (int i = first; i < math::min(first + books_block, samples); ++i) {
      const Status& status = statuses[i];
      const bool failed = status.reason != Reason::finished;
      sum.append({status.steps, status.evaluations, failed ? 1 : 0, failed ? i : -1, status.steps,
                  status.evaluations, status.reason});
    }
    books[block] = sum;
  }
};

/// The books of all trajectories. Waits for them.
template <ExecutionSpace Exec>
Result summarize(const Exec& exec, const std::string& label, const Array<Status, Exec>& statuses,
                 std::uint64_t first_id) {
  const int samples = static_cast<int>(statuses.extent(0));
  const int blocks = (samples + books_block - 1) / books_block;
  const Array<Books, Exec> books(label + "::books", static_cast<std::size_t>(blocks));
  Kokkos::parallel_for(label + "::books",
                       Kokkos::RangePolicy<Exec, Kokkos::IndexType<int>>(exec, 0, blocks),
                       KeepBooks{statuses.data(), samples, books.data()});
  const auto on_host = Kokkos::create_mirror_view(books);
  Kokkos::deep_copy(exec, on_host, books);
  exec.fence();
  Books all;
  for (int block = 0; block < blocks; ++block) all.append(on_host(block));
  Result result;
  result.reason = all.reason;
  result.samples = static_cast<std::uint64_t>(samples);
  result.failed = static_cast<std::uint64_t>(all.failed);
  if (all.failed > 0) result.first_failed = first_id + static_cast<std::uint64_t>(all.first_failed);
  result.max_steps = all.max_steps;
  result.max_evaluations = all.max_evaluations;
  result.mean_steps = static_cast<double>(all.steps) / samples;
  result.mean_evaluations = static_cast<double>(all.evaluations) / samples;
  return result;
}

/// Calls program(ctx, block, status, arena) until every one of `samples` samples was in one block.
/// Waits for the end. `batch`: samples at a time that are not in tiles; 0: all. `most_workers` > 0
/// bounds how many tiles run, and hold memory, at a time.
template <class T, ExecutionSpace Exec, class Program>
Result run_trajectories(const Exec& exec, const std::string& label, const Program& program,
                        std::size_t samples, std::uint32_t seed, std::uint64_t first_id,
                        Execution execution, int batch = 0, int most_workers = 0) {
  expect(samples <= static_cast<std::size_t>(std::numeric_limits<int>::max() / 2),
         "one call integrates at most ", std::numeric_limits<int>::max() / 2, " samples, got ",
         samples);
  expect(batch >= 0, "samples at a time must be >= 0 (0: all), got ", batch);
  expect(!host_only<Program> || execution != Execution::tiles,
         "this velocity field is too large for tiles: expected Execution::batch");
  if (samples == 0) return {};
  const int count = static_cast<int>(samples);
  const int concurrent = most_workers > 0 ? most_workers : tile_concurrency(exec);
  const bool tiled = !host_only<Program> && execution != Execution::batch;
  const int rows = math::min(count, tiled       ? trajectory_tile_rows<Exec>(count, concurrent)
                                    : batch > 0 ? batch
                                                : count);
  const int tiles = (count + rows - 1) / rows;
  const int workers = tiled ? math::min(tiles, concurrent) : 1;

  Arena<T> measured = Arena<T>::measure();
  program(MeasureContext{tiled ? 1 : tile_concurrency(exec)},
          SampleBlock{seed, first_id, 0, rows, 0}, static_cast<Status*>(nullptr), measured);
  const std::size_t memory_each = measured.peak();
  const Array<T, Exec> memory(Kokkos::view_alloc(Kokkos::WithoutInitializing, label + "::memory"),
                              memory_each * static_cast<std::size_t>(workers));
  const Array<Status, Exec> statuses(label + "::status", samples);

  const TileTrajectories<T, Program> trajectories{
      program, seed, first_id, count, rows, workers, statuses.data(), memory.data(), memory_each};
  constexpr Compute compute = compute_of<Program>;
  if (!tiled) trajectories(BatchContext<Exec, compute>(exec), 0);
  if constexpr (!host_only<Program>) {
    if (tiled) launch_tiles<compute>(exec, label, workers, trajectories);
  }
  return summarize(exec, label, statuses, first_id);
}

}  // namespace detail

}  // namespace vrfm
