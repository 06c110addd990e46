// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DeviceTraits: what kernels of teams take from a device, for one execution space. The numbers below are those
// of NVIDIA's devices since compute capability 8.0; a specialisation tells another space's.
#pragma once

#include <cstddef>

#include <vrfm/core/concepts.hpp>

namespace vrfm {

template <ExecutionSpace Exec>
struct DeviceTraits {
  /// Threads of a team that computes tiles, a multiple of a warp's 32, and such teams on a multiprocessor. Four
  /// teams leave a thread 128 registers, half of them for its block of a product.
  static constexpr int team_threads = 128, teams_together = 4;
  /// The most threads of a team, and the threads that a multiprocessor holds: Kokkos reports this many
  /// for each, or nearly.
  static constexpr int most_team_threads = 1024, resident_threads = 2048;
  /// Scratch that a team has without asking for more than others, in bytes.
  static constexpr std::size_t team_scratch = 48 * 1024;
};

}  // namespace vrfm
