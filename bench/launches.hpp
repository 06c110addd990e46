// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The launches of a training step, each with its share of the step's time.
#pragma once

#include <string>

namespace vrfm::bench {

/// A Markdown table of the kernels of 2D V-RFM's step for each of some batches, by Kokkos' hooks for
/// tools: Kokkos then waits for each kernel, and a step is launched kernel by kernel instead of being
/// replayed as a graph.
std::string launches_of_a_step();

}  // namespace vrfm::bench
