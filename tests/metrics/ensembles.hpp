// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ensembles [cases][members][columns] in an execution space's memory.
#pragma once

#include <cstddef>
#include <vector>

#include <vrfm/core/concepts.hpp>

namespace vrfm::test {

template <class T, ExecutionSpace Exec>
auto ensembles(std::size_t cases, std::size_t members, std::size_t columns,
               const std::vector<double>& values) {
  const Kokkos::View<T***, Kokkos::LayoutRight, typename Exec::memory_space> result(
      "vrfm::test::ensembles", cases, members, columns);
  const auto host = Kokkos::create_mirror_view(result);
  for (std::size_t i = 0; i < result.size(); ++i) host.data()[i] = static_cast<T>(values.at(i));
  Kokkos::deep_copy(result, host);
  return result;
}

}  // namespace vrfm::test
