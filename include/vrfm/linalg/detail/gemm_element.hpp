// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One element of a matrix product, for any backend: one thread adds over the depth in order, so the
// result does not depend on the number of threads.
#pragma once

#include <cstdint>

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/linalg/context.hpp>

namespace vrfm::detail {

/// The depth of a product; one of its operands may be Patches.
template <Op OpA, Op OpB, class A, class B>
KOKKOS_INLINE_FUNCTION int gemm_depth(const A& a, const B& b) {
  if constexpr (is_patches<A>) {
    static_assert(OpA == Op::none, "patches are not transposed");
    return OpB == Op::none ? b.rows : b.cols;
  } else {
    return OpA == Op::none ? a.cols : a.rows;
  }
}

/// C(index) = (op(A) op(B))(index) or C(index) += ..., then the epilogue of that element; elements
/// are numbered row by row. One operand may be Patches.
template <Op OpA, Op OpB, class T, class Epilogue, class A = ConstMatrix<T>,
          class B = ConstMatrix<T>>
struct GemmElement {
  A a;
  B b;
  Matrix<T> c;
  Update update;
  Epilogue epilogue;

  KOKKOS_FUNCTION void operator()(std::int64_t index) const {
    const int i = static_cast<int>(index / c.cols);
    const int j = static_cast<int>(index % c.cols);
    const int depth = gemm_depth<OpA, OpB>(a, b);
    using Sum = sum_type<T>;
    Sum sum = update == Update::accumulate ? Sum(c(i, j)) : Sum(0);
    for (int k = 0; k < depth; ++k) {
      const Sum left = OpA == Op::none ? a(i, k) : a(k, i);
      const Sum right = OpB == Op::none ? b(k, j) : b(j, k);
      sum += left * right;
    }
    c(i, j) = T(sum);
    epilogue(i, j);
  }
};

}  // namespace vrfm::detail
