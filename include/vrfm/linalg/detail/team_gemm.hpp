// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix product by the threads of one Kokkos team, for any backend.
#pragma once

#include <vrfm/linalg/detail/gemm_element.hpp>

namespace vrfm::detail {

/// C = op(A) op(B) or C += op(A) op(B), then epilogue(i, j), by the threads of `member`. No barrier.
template <Op OpA, Op OpB, class Member, class T, class Epilogue>
KOKKOS_FUNCTION void team_gemm(const Member& member, ConstMatrix<T> a, ConstMatrix<T> b,
                               Matrix<T> c, Update update, const Epilogue& epilogue) {
  const GemmElement<OpA, OpB, T, Epilogue> element{a, b, c, update, epilogue};
  Kokkos::parallel_for(Kokkos::TeamThreadRange(member, c.rows * c.cols),
                       [&](int index) { element(index); });
}

}  // namespace vrfm::detail
