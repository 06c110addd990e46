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
/// some of the `concurrent` threads would have none; on devices what a team's threads share.
template <ExecutionSpace Exec>
int trajectory_tile_rows(int samples, int concurrent) {
  if constexpr (is_host_space<Exec>) {
    return math::min(192, math::max(24, (samples + concurrent - 1) / concurrent));
  } else {
    return 64;
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

/// The books of all trajectories, from the first to the last.
template <class View>
Result summarize(const View& statuses, int samples, std::uint64_t first_id) {
  Result result;
  result.samples = static_cast<std::uint64_t>(samples);
  std::int64_t steps = 0, evaluations = 0;
  for (int i = 0; i < samples; ++i) {
    const Status& status = statuses(i);
    if (status.reason != Reason::finished) {
      if (result.failed == 0) result.first_failed = first_id + static_cast<std::uint64_t>(i);
      result.failed += 1;
    }
    result.reason = math::max(result.reason, status.reason);
    result.max_steps = math::max(result.max_steps, status.steps);
    result.max_evaluations = math::max(result.max_evaluations, status.evaluations);
    steps += status.steps;
    evaluations += status.evaluations;
  }
  result.mean_steps = samples > 0 ? static_cast<double>(steps) / samples : 0;
  result.mean_evaluations = samples > 0 ? static_cast<double>(evaluations) / samples : 0;
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
  const Kokkos::View<Status*, typename Exec::memory_space> statuses(label + "::status", samples);

  const TileTrajectories<T, Program> trajectories{
      program, seed, first_id, count, rows, workers, statuses.data(), memory.data(), memory_each};
  if (!tiled) trajectories(BatchContext<Exec>(exec), 0);
  if constexpr (!host_only<Program>) {
    if (tiled) launch_tiles(exec, label, workers, trajectories);
  }
  const auto on_host = Kokkos::create_mirror_view(statuses);
  Kokkos::deep_copy(exec, on_host, statuses);
  exec.fence();
  return summarize(on_host, count, first_id);
}

}  // namespace detail

}  // namespace vrfm
