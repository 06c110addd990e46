// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tables in an execution space's memory from numbers on the host, and back.
#pragma once

#include <cstddef>
#include <vector>

#include <vrfm/core/concepts.hpp>

namespace vrfm::test {

/// `values`, given row by row, as [rows][cols].
template <class T, ExecutionSpace Exec>
Table<T, Exec> table(std::size_t rows, std::size_t cols, const std::vector<double>& values) {
  const Table<T, Exec> result("vrfm::test::table", rows, cols);
  const auto host = Kokkos::create_mirror_view(result);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < cols; ++j) host(i, j) = static_cast<T>(values.at(i * cols + j));
  Kokkos::deep_copy(result, host);
  return result;
}

/// The numbers of a table, row by row. Waits for all kernels.
template <class Rows>
std::vector<double> numbers_of(const Rows& rows) {
  Kokkos::fence();
  const auto host = Kokkos::create_mirror_view(rows);
  Kokkos::deep_copy(host, rows);
  std::vector<double> result;
  for (std::size_t i = 0; i < host.extent(0); ++i)
    for (std::size_t j = 0; j < host.extent(1); ++j)
      result.push_back(static_cast<double>(host(i, j)));
  return result;
}

}  // namespace vrfm::test
