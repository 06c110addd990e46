// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One point against all samples, a chunk of samples at a time. On hosts a chunk is wide and its
// loops become vector code, for which the samples lie transposed, [D][N]. On devices a chunk is one
// sample, because there the threads are the vector.
#pragma once

#include <vrfm/core/compat.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/core/matrix.hpp>

namespace vrfm::detail::metrics {

template <ExecutionSpace Exec>
inline constexpr int chunk_width = is_host_space<Exec> ? 256 : 1;

template <class T>
struct TransposeRow {
  Matrix<const T> x;
  Matrix<T> columns;

  KOKKOS_FUNCTION void operator()(int i) const {
    for (int d = 0; d < x.cols; ++d) columns(d, i) = x(i, d);
  }
};

/// x [N][D] as [D][N]. Does not fence.
template <ExecutionSpace Exec, class T>
Table<T, Exec> transposed(const Exec& exec, const Matrix<const T>& x) {
  const Table<T, Exec> columns(
      Kokkos::view_alloc("vrfm::metrics::transposed", exec, Kokkos::WithoutInitializing),
      static_cast<std::size_t>(x.cols), static_cast<std::size_t>(x.rows));
  launch_each(exec, "vrfm::metrics::transpose", x.rows, TransposeRow<T>{x, matrix(columns)});
  return columns;
}

/// out[l] = || sample(first + l) - point ||^2 for l < count.
template <class T>
KOKKOS_INLINE_FUNCTION void squared_distances(const Matrix<const T>& columns, int first, int count,
                                              const T* point, T* out) {
  for (int l = 0; l < count; ++l) out[l] = T(0);
  for (int d = 0; d < columns.rows; ++d) {
    const T* coordinate = columns.row(d) + first;
    const T centre = point[d];
    VRFM_INDEPENDENT_ITERATIONS
    for (int l = 0; l < count; ++l) {
      const T offset = coordinate[l] - centre;
      out[l] += offset * offset;
    }
  }
}

/// The smallest of values[0 ... count - 1], count >= 1. No NaN.
template <int width, class T>
KOKKOS_INLINE_FUNCTION T smallest(const T* values, int count) {
  constexpr int lanes = width < 16 ? width : 16;
  T least[std::size_t(lanes)];
  for (int l = 0; l < lanes; ++l) least[l] = values[0];
  int first = 0;
  for (; first + lanes <= count; first += lanes) {
    VRFM_INDEPENDENT_ITERATIONS
    for (int l = 0; l < lanes; ++l) least[l] = math::minimum(least[l], values[first + l]);
  }
  for (; first < count; ++first) least[0] = math::minimum(least[0], values[first]);
  for (int l = 1; l < lanes; ++l) least[0] = math::minimum(least[0], least[l]);
  return least[0];
}

}  // namespace vrfm::detail::metrics
