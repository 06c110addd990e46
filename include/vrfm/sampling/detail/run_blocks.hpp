// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs a program on a number of samples: in tiles, one kernel in all, or as launches over the whole
// batch. The program is measured on a dry run, so it states nowhere what memory it needs. A row's bits
// do not depend on its neighbours or its place, so neither do a sample's on the block it falls into.
#pragma once

#include <limits>

#include <vrfm/integrators/sample_block.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/linalg/tile_context.hpp>

namespace vrfm::detail {

/// Rows of a tile. On hosts as many as keep the packing of weights a small part of the work, unless
/// some of the `concurrent` threads would have none; on devices as many as one team's product takes at a
/// time, or fewer for the same reason.
template <ExecutionSpace Exec>
int trajectory_tile_rows(int samples, int concurrent) {
  const int share = (samples + concurrent - 1) / concurrent;
  if constexpr (is_host_space<Exec>) {
    return math::minimum(192, math::maximum(24, share));
  } else {
    constexpr int unit = team_low_rows;
    return math::minimum(team_tile_rows, (share + unit - 1) / unit * unit);
  }
}

/// Worker w runs blocks w, w + workers, ...
template <class T, class Program>
struct RunBlocks {
  Program program;
  SampleBlock all;
  int rows;
  int workers;
  T* memory;  // workers x memory_each
  std::size_t memory_each;

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int worker) const {
    Arena<T> arena(memory + static_cast<std::size_t>(worker) * memory_each, memory_each);
    for (int first = worker * rows; first < all.count; first += workers * rows) {
      program(ctx, all.part(first, math::minimum(rows, all.count - first)), arena);
    }
  }
};

/// The samples of one call: ids first_id ... first_id + samples - 1.
inline SampleBlock all_samples(std::size_t samples, std::uint32_t seed, std::uint64_t first_id,
                               Use use) {
  // Half of it, so that sums of two counts of samples fit, too.
  constexpr int most = (std::numeric_limits<int>::max)() / 2;
  expect(samples <= static_cast<std::size_t>(most), "one call takes at most ", most,
         " samples, got ", samples);
  expect(samples == 0 || first_id <= (std::numeric_limits<std::uint64_t>::max)() - (samples - 1),
         "ids of samples have 64 bits: no ", samples, " follow the id ", first_id);
  SampleBlock all{};
  all.seed = seed;
  all.first = first_id;
  all.count = static_cast<int>(samples);
  all.use = use;
  return all;
}

/// Calls program(ctx, block, arena) until every sample of `all` was in one block. Waits for the end.
/// `most_workers` > 0 bounds how many tiles run, and hold memory, at a time.
template <class T, ExecutionSpace Exec, class Program>
void run_blocks(const Exec& exec, const std::string& label, const Program& program,
                const SampleBlock& all, const Launch& launch, int most_workers = 0) {
  expect(launch.batch >= 0, "samples at a time must be >= 0 (0: all), got ", launch.batch);
  expect(!host_only<Program> || launch.execution != Execution::tiles,
         "these networks are too large for tiles: expected Execution::batch");
  if (all.count == 0) return;
  const int count = all.count;
  const int concurrent = most_workers > 0 ? most_workers : tile_concurrency(exec);
  const bool tiled = !host_only<Program> && launch.execution != Execution::batch;
  const int rows = math::minimum(count, tiled ? trajectory_tile_rows<Exec>(count, concurrent)
                                        : launch.batch > 0 ? launch.batch
                                                           : count);
  const int workers = tiled ? math::minimum((count + rows - 1) / rows, concurrent) : 1;

  using Batch = BatchContextOf<Exec, Program>;
  Arena<T> measured = Arena<T>::measure();
  program(Batch::dry_run(exec, tiled ? Execution::tiles : Execution::batch), all.part(0, rows),
          measured);
  const std::size_t memory_each = measured.peak();
  const Array<T, Exec> memory(Kokkos::view_alloc(Kokkos::WithoutInitializing, label + "::memory"),
                              memory_each * static_cast<std::size_t>(workers));
  const RunBlocks<T, Program> blocks{program, all, rows, workers, memory.data(), memory_each};
  if (!tiled) blocks(Batch(exec), 0);
  if constexpr (!host_only<Program>) {
    if (tiled) launch_tiles<Batch::compute>(exec, label, workers, blocks);
  }
  exec.fence();
}

}  // namespace vrfm::detail
