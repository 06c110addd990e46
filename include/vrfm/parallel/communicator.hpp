// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Communicators: who shares a batch. Rank r of n computes samples [r B / n, (r + 1) B / n) of the
// global batch B; draws are addressed by the global sample, so they do not depend on n.
#pragma once

#include <concepts>

#include <vrfm/core/concepts.hpp>

namespace vrfm {

template <class C>
concept Communicator = requires(const C& communicator, const Kokkos::DefaultExecutionSpace& exec,
                                const Array<float, Kokkos::DefaultExecutionSpace>& values,
                                const Array<double, Kokkos::DefaultExecutionSpace>& sums) {
  { communicator.rank() } -> std::same_as<int>;
  { communicator.size() } -> std::same_as<int>;
  communicator.sum(exec, values);
  communicator.sum(exec, sums);
};

/// One process on its own.
struct SelfCommunicator {
  int rank() const { return 0; }
  int size() const { return 1; }

  /// Replaces each rank's `values` by their sum over the ranks, ordered after `exec`'s work.
  template <ExecutionSpace Exec, class View>
  void sum(const Exec&, const View&) const {}
};

}  // namespace vrfm
