// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MatrixBatch: matrices of one shape at equal distances in two levels, such as the heads of the samples of a
// batch; the operands of a context's gemm_batch.
#pragma once

#include <cstddef>

#include <vrfm/core/matrix.hpp>

namespace vrfm {

struct BatchCounts {
  int outer = 1, inner = 1;
  KOKKOS_INLINE_FUNCTION int all() const { return outer * inner; }
};

/// Matrix (o, i) begins o outer + i inner elements behind the first.
template <class T>
struct MatrixBatch {
  Matrix<T> first;
  std::ptrdiff_t outer = 0, inner = 0;

  KOKKOS_INLINE_FUNCTION Matrix<T> operator()(int o, int i) const {
    return Matrix<T>(first.data + o * outer + i * inner, first.rows, first.cols, first.stride);
  }
  /// Matrix k = o counts.inner + i.
  KOKKOS_INLINE_FUNCTION Matrix<T> at(int k, const BatchCounts& counts) const {
    return (*this)(k / counts.inner, k % counts.inner);
  }
  template <class C>
    requires(!std::is_const_v<T> && std::is_same_v<C, const T>)
  KOKKOS_INLINE_FUNCTION operator MatrixBatch<C>() const {
    return {first, outer, inner};
  }
  /// Rows [from, from + count) of each.
  KOKKOS_INLINE_FUNCTION MatrixBatch row_range(int from, int count) const {
    return {first.row_range(from, count), outer, inner};
  }
};

}  // namespace vrfm
