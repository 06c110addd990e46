// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix product by the threads of one Kokkos team, for any backend. Each thread owns elements of
// C and adds over the depth in order, so the result does not depend on the team's size.
#pragma once

#include <vrfm/linalg/context.hpp>

namespace vrfm::detail {

/// C = op(A) op(B) or C += op(A) op(B), then epilogue(i, j), by the threads of `member`. No barrier.
template <Op OpA, Op OpB, class Member, class T, class Epilogue>
KOKKOS_FUNCTION void team_gemm(const Member& member, ConstMatrix<T> a, ConstMatrix<T> b,
                               Matrix<T> c, Update update, const Epilogue& epilogue) {
  const int depth = OpA == Op::none ? a.cols : a.rows;
  const int count = c.rows * c.cols;
  Kokkos::parallel_for(Kokkos::TeamThreadRange(member, count), [&](int index) {
    const int i = index / c.cols;
    const int j = index % c.cols;
    T sum = update == Update::accumulate ? c(i, j) : T(0);
    for (int k = 0; k < depth; ++k) {
      const T left = OpA == Op::none ? a(i, k) : a(k, i);
      const T right = OpB == Op::none ? b(k, j) : b(j, k);
      sum += left * right;
    }
    c(i, j) = sum;
    epilogue(i, j);
  });
}

}  // namespace vrfm::detail
