// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs a program of trajectories on a number of samples and tallies how they ended.
#pragma once

#include <vrfm/core/copy.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/integrators/status.hpp>
#include <vrfm/sampling/detail/run_blocks.hpp>

namespace vrfm::detail {

/// A program of trajectories, program(ctx, block, status, arena), as one of blocks.
template <class Program>
struct WithStatus {
  static constexpr bool host_only = vrfm::host_only<Program>;
  using products = products_of<Program>;

  Program program;
  TrajectoryStatus* status;  // of all samples

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const SampleBlock& block, Arena<T>& arena) const {
    program(ctx, block, status + block.first_row, arena);
  }
};

/// The tally of some trajectories that follow one another.
struct Tally {
  std::int64_t steps = 0, evaluations = 0, failed = 0;
  std::int64_t first_failed = -1;  // -1: none
  int max_steps = 0, max_evaluations = 0;
  Reason reason = Reason::finished;

  /// Appends those that follow.
  KOKKOS_INLINE_FUNCTION void append(const Tally& next) {
    steps += next.steps;
    evaluations += next.evaluations;
    failed += next.failed;
    if (first_failed < 0) first_failed = next.first_failed;
    max_steps = math::maximum(max_steps, next.max_steps);
    max_evaluations = math::maximum(max_evaluations, next.max_evaluations);
    reason = math::maximum(reason, next.reason);
  }
};

/// Block kernel: the tally of `tally_block` trajectories, so that little leaves a device.
inline constexpr int tally_block = 256;
struct TallyBlock {
  const TrajectoryStatus* statuses;
  int samples;
  Tally* tallies;

  KOKKOS_FUNCTION void operator()(int block) const {
    Tally sum;
    const int first = block * tally_block;
    for (int i = first; i < math::minimum(first + tally_block, samples); ++i) {
      const TrajectoryStatus& status = statuses[i];
      const bool failed = status.reason != Reason::finished;
      sum.append({status.steps, status.evaluations, failed ? 1 : 0, failed ? i : -1, status.steps,
                  status.evaluations, status.reason});
    }
    tallies[block] = sum;
  }
};

/// The tally of all trajectories. Waits for them.
template <ExecutionSpace Exec>
Result summarize(const Exec& exec, const std::string& label,
                 const Array<TrajectoryStatus, Exec>& statuses, std::uint64_t first_id) {
  const int samples = static_cast<int>(statuses.extent(0));
  const int blocks = (samples + tally_block - 1) / tally_block;
  const Array<Tally, Exec> tallies(label + "::tally", static_cast<std::size_t>(blocks));
  launch_each(exec, label + "::tally", blocks,
              TallyBlock{statuses.data(), samples, tallies.data()});
  const auto on_host = to_host(exec, tallies);
  Tally all;
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

/// Calls program(ctx, block, status, arena) until every sample of `all` was in one block. Waits for
/// the end. `most_workers`: as in run_blocks.
template <class T, ExecutionSpace Exec, class Program>
Result run_trajectories(const Exec& exec, const std::string& label, const Program& program,
                        const SampleBlock& all, const Launch& launch, int most_workers = 0) {
  const Array<TrajectoryStatus, Exec> statuses(label + "::status",
                                               static_cast<std::size_t>(all.count));
  run_blocks<T>(exec, label, WithStatus<Program>{program, statuses.data()}, all, launch,
                most_workers);
  return all.count == 0 ? Result{} : summarize(exec, label, statuses, all.first);
}

}  // namespace vrfm::detail
