// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Launches of teams on a device.
#pragma once

#include <string>

#include <vrfm/core/compat.hpp>
#include <vrfm/linalg/device_traits.hpp>

namespace vrfm::detail {

/// f(member) by `teams` teams of `threads`, of which `together` share a multiprocessor, with `bytes` of scratch
/// each.
template <int threads, int together, ExecutionSpace Exec, class F>
void launch_teams(const Exec& exec, const std::string& label, int teams, std::size_t bytes,
                  const F& f) {
  using Bounds = Kokkos::LaunchBounds<unsigned(threads), unsigned(together)>;
  if (teams == 0) return;
  Kokkos::TeamPolicy<Exec, LightKernel, Bounds> policy(exec, teams, threads);
  policy.set_scratch_size(0, Kokkos::PerTeam(static_cast<int>(bytes)));
  Kokkos::parallel_for(label, policy, f);
}

/// The same by teams that compute tiles.
template <ExecutionSpace Exec, class F>
void launch_teams(const Exec& exec, const std::string& label, int teams, std::size_t bytes,
                  const F& f) {
  using Traits = DeviceTraits<Exec>;
  launch_teams<Traits::team_threads, Traits::teams_together>(exec, label, teams, bytes, f);
}

}  // namespace vrfm::detail
