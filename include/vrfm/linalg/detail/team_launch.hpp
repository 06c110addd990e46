// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Launches of teams on a device: how many threads a team has, and how many teams share a
// multiprocessor.
#pragma once

#include <string>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/concepts.hpp>

namespace vrfm::detail {

/// Threads of a team that computes tiles, and such teams on a multiprocessor. Four teams leave a
/// thread 128 registers, half of them for its block of a product.
inline constexpr int tile_threads = 128, tiles_together = 4;

/// f(member) by `teams` teams with `bytes` of scratch each.
template <int threads = tile_threads, int together = tiles_together, ExecutionSpace Exec, class F>
void launch_teams(const Exec& exec, const std::string& label, int teams, std::size_t bytes,
                  const F& f) {
  using Bounds = Kokkos::LaunchBounds<unsigned(threads), unsigned(together)>;
  if (teams == 0) return;
  Kokkos::TeamPolicy<Exec, LightKernel, Bounds> policy(exec, teams, threads);
  policy.set_scratch_size(0, Kokkos::PerTeam(static_cast<int>(bytes)));
  Kokkos::parallel_for(label, policy, f);
}

}  // namespace vrfm::detail
