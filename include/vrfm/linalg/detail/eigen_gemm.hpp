// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix product of host matrices by Eigen's serial kernel. The kernel is called below Eigen's
// expression layer because that layer starts OpenMP threads of its own when it is used outside a
// parallel region, and its blocking (hence its rounding) then depends on their number.
#pragma once

#if defined(__CUDACC__) && !defined(EIGEN_NO_CUDA)
#define EIGEN_NO_CUDA  // Eigen is host code here; its device annotations clash with nvcc's C++20
#endif
// GCC 12 takes the deliberately undefined registers of its own AVX-512 headers for uninitialised.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <Eigen/Core>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include <vrfm/linalg/context.hpp>

namespace vrfm::detail {

/// C = op(A) op(B) or C += op(A) op(B) on the calling thread.
template <Op OpA, Op OpB, class T>
void eigen_gemm(ConstMatrix<T> a, ConstMatrix<T> b, Matrix<T> c, Update update) {
  namespace internal = Eigen::internal;
  constexpr int order_a = OpA == Op::none ? Eigen::RowMajor : Eigen::ColMajor;
  constexpr int order_b = OpB == Op::none ? Eigen::RowMajor : Eigen::ColMajor;
  const Eigen::Index depth = OpA == Op::none ? a.cols : a.rows;
  if (update == Update::overwrite) {
    for (int i = 0; i < c.rows; ++i) {
      T* row = c.row(i);
      for (int j = 0; j < c.cols; ++j) row[j] = T(0);
    }
  }
  if (c.rows == 0 || c.cols == 0 || depth == 0) return;
  using Blocking = internal::gemm_blocking_space<Eigen::RowMajor, T, T, Eigen::Dynamic,
                                                 Eigen::Dynamic, Eigen::Dynamic>;
  using Kernel = internal::general_matrix_matrix_product<Eigen::Index, T, order_a, false, T,
                                                         order_b, false, Eigen::RowMajor, 1>;
  Blocking blocking(c.rows, c.cols, depth, 1, true);
  Kernel::run(c.rows, c.cols, depth, a.data, a.stride, b.data, b.stride, c.data, 1, c.stride, T(1),
              blocking, nullptr);
}

}  // namespace vrfm::detail
