// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers of the host in an execution space's memory.
#pragma once

#include <algorithm>
#include <vector>

#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>

namespace vrfm::detail::metrics {

/// Fences `exec`.
template <ExecutionSpace Exec, class V>
Array<V, Exec> uploaded(const Exec& exec, const std::vector<V>& values) {
  const Array<V, Exec> view(
      Kokkos::view_alloc("vrfm::metrics::uploaded", exec, Kokkos::WithoutInitializing),
      values.size());
  const auto host = Kokkos::create_mirror_view(view);
  std::copy(values.begin(), values.end(), host.data());
  copy_elements(exec, view, host);
  exec.fence();  // the host's copy ends here
  return view;
}

}  // namespace vrfm::detail::metrics
