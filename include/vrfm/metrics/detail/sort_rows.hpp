// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sorts each row of a table. On hosts each row is one std::sort. Elsewhere all rows pass together
// through a bitonic network (Batcher, "Sorting networks and their applications", 1968), with one
// launch for each stage. The length of its rows must be a power of two: row_capacity says which,
// and infinity fills the rest.
#pragma once

#include <algorithm>
#include <cstdint>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/core/matrix.hpp>

namespace vrfm::detail::metrics {

/// The length that the rows of a table must have for `count` entries in each row to be sorted. Throws
/// std::invalid_argument if it is no int.
template <ExecutionSpace Exec>
int row_capacity(int count) {
  if constexpr (is_host_space<Exec>) return count;
  expect(count <= 1 << 30, "a device sorts at most 1073741824 entries, but got ", count);
  int capacity = 1;
  while (capacity < count) capacity *= 2;
  return capacity;
}

template <class T>
struct SortRow {
  Matrix<T> table;

  // Not a device function: std::sort is none.
  void operator()(int row) const { std::sort(table.row(row), table.row(row) + table.cols); }
};

/// Compare-exchange of the elements whose index differs in the bit `distance`; `run` is the length
/// of the sorted runs that this phase of the network makes.
template <class T>
struct BitonicStage {
  Matrix<T> table;
  int run, distance;

  KOKKOS_FUNCTION void operator()(std::int64_t index) const {
    const std::int64_t half = table.cols / 2;
    T* row = table.row(static_cast<int>(index / half));
    const int k = static_cast<int>(index % half);
    const int left = (k / distance) * 2 * distance + k % distance;
    const int right = left + distance;
    const bool ascending = (left & run) == 0;
    if ((row[right] < row[left]) == ascending) {
      const T swapped = row[left];
      row[left] = row[right];
      row[right] = swapped;
    }
  }
};

inline constexpr const char* sort_label = "vrfm::metrics::sort_rows";

/// The network. `table` has a power of two of columns. No NaN. No fence.
template <ExecutionSpace Exec, class T>
void bitonic_sort_rows(const Exec& exec, const Matrix<T>& table) {
  const std::int64_t exchanges = std::int64_t(table.rows) * (table.cols / 2);
  for (std::int64_t length = 2; length <= table.cols; length *= 2) {
    const int run = static_cast<int>(length);
    for (int distance = run / 2; distance > 0; distance /= 2)
      launch_each(exec, sort_label, exchanges, BitonicStage<T>{table, run, distance});
  }
}

/// Sorts each row of `table`, whose rows have a length given by row_capacity. No NaN. No fence.
template <ExecutionSpace Exec, class T>
void sort_rows(const Exec& exec, const Matrix<T>& table) {
  if constexpr (is_host_space<Exec>) {
    launch_each(exec, sort_label, table.rows, SortRow<T>{table});
  } else {
    bitonic_sort_rows(exec, table);
  }
}

}  // namespace vrfm::detail::metrics
