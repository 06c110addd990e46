// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Random subsets of rows without replacement, and their copies.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include <vrfm/core/copy.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/core/random.hpp>

namespace vrfm::detail::metrics {

/// `count` different ones of the rows 0 to `rows` - 1 in random order: the first `count` exchanges of a shuffle
/// (Fisher and Yates). Subset number `subset` of table number `table`.
inline std::vector<int> draw_subset(const RandomStream& stream, std::uint64_t subset,
                                    std::uint32_t table, int rows, int count) {
  std::vector<int> all(static_cast<std::size_t>(rows));
  std::iota(all.begin(), all.end(), 0);
  for (int i = 0; i < count; ++i) {
    const int other = i + stream.index(subset, table, static_cast<std::uint32_t>(i), rows - i);
    std::swap(all[static_cast<std::size_t>(i)], all[static_cast<std::size_t>(other)]);
  }
  all.resize(static_cast<std::size_t>(count));
  return all;
}

/// Row i of `out` = row rows[i] of `x`.
template <class T, class S>
struct TakeRow {
  Matrix<const T> x;
  const int* rows;
  Matrix<S> out;

  KOKKOS_FUNCTION void operator()(int i) const {
    const T* row = x.row(rows[i]);
    for (int d = 0; d < x.cols; ++d) out(i, d) = static_cast<S>(row[d]);
  }
};

/// Copies these rows of `x` to the first ones of `out`. Fences `exec`.
template <ExecutionSpace Exec, class T, class S>
void take_rows(const Exec& exec, const Matrix<const T>& x, const std::vector<int>& rows,
               const Matrix<S>& out) {
  const Array<int, Exec> where(
      Kokkos::view_alloc("vrfm::metrics::rows", exec, Kokkos::WithoutInitializing), rows.size());
  const auto host = Kokkos::create_mirror_view(where);
  for (std::size_t i = 0; i < rows.size(); ++i) host(i) = rows[i];
  copy_elements(exec, where, host);
  launch_each(exec, "vrfm::metrics::take_rows", static_cast<int>(rows.size()),
              TakeRow<T, S>{x, where.data(), out});
  exec.fence();  // the host's copy and `where` end here
}

}  // namespace vrfm::detail::metrics
