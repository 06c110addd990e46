// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SampleBlock: which samples a tile or a batch moves, and where their random numbers are. A draw
// along a trajectory is a function of (seed, use, purpose, id of the sample, step) alone, so samples
// may be split over blocks and calls in any way.
#pragma once

#include <cstdint>

#include <vrfm/core/random.hpp>

namespace vrfm {

/// The samples whose trajectories one call integrates: row i is sample `first + i`.
struct SampleBlock {
  std::uint32_t seed = 0;   ///< of every random draw along the trajectories
  std::uint64_t first = 0;  ///< global id of row 0
  int first_row = 0;        ///< position of row 0 in the caller's tables
  int count = 0;            ///< rows
  std::uint32_t draw = 0;   ///< which trajectory of the same sample; each has its own z
  Use use = Use::sampling;  ///< whose draws: each use has its own

  KOKKOS_INLINE_FUNCTION std::uint64_t id(int row) const {
    return first + static_cast<std::uint64_t>(row);
  }
  KOKKOS_INLINE_FUNCTION RandomStream stream(Purpose purpose) const {
    return RandomStream(seed, purpose_of(use, purpose));
  }
  /// Rows [row, row + rows) of this block.
  KOKKOS_INLINE_FUNCTION SampleBlock part(int row, int rows) const {
    return {seed, id(row), first_row + row, rows, draw, use};
  }
};

}  // namespace vrfm
