// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reductions over one row, by whoever has it.
#pragma once

#include <vrfm/core/compat.hpp>
#include <vrfm/core/matrix.hpp>

namespace vrfm::detail {

/// Partial results of a row's reductions: with them, reductions become vector code.
inline constexpr int row_lanes = 32;

template <class T>
KOKKOS_INLINE_FUNCTION T row_maximum(const T* row, int count) {
  T best[row_lanes];
  for (int l = 0; l < row_lanes; ++l) best[l] = row[0];
  int j = 0;
  for (; j + row_lanes <= count; j += row_lanes) {
    VRFM_INDEPENDENT_ITERATIONS
    for (int l = 0; l < row_lanes; ++l) best[l] = math::maximum(best[l], row[j + l]);
  }
  for (; j < count; ++j) best[0] = math::maximum(best[0], row[j]);
  for (int l = 1; l < row_lanes; ++l) best[0] = math::maximum(best[0], best[l]);
  return best[0];
}

/// The sum of f(0), ..., f(count - 1).
template <class T, class F>
KOKKOS_INLINE_FUNCTION T row_sum(int count, const F& f) {
  T sum[row_lanes];
  for (int l = 0; l < row_lanes; ++l) sum[l] = T(0);
  int j = 0;
  for (; j + row_lanes <= count; j += row_lanes) {
    VRFM_INDEPENDENT_ITERATIONS
    for (int l = 0; l < row_lanes; ++l) sum[l] += f(j + l);
  }
  for (; j < count; ++j) sum[0] += f(j);
  for (int half = row_lanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) sum[l] += sum[l + half];
  }
  return sum[0];
}

}  // namespace vrfm::detail
