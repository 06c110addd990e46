// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// weight_gradient: dW = dy^T x and db = column sums of dy, the gradients of y = x W^T + b. In one
// product where the context's library can sum an operand's columns while it multiplies.
#pragma once

#include <vrfm/linalg/context.hpp>

namespace vrfm {

/// dy: rows x outputs; x: rows x inputs; dw: outputs x inputs; db: outputs elements. Both gradients
/// are overwritten or added to, as `update` says.
VRFM_UNCHECKED_HOST_DEVICE
template <class Ctx, class T>
KOKKOS_FUNCTION void weight_gradient(const Ctx& ctx, ConstMatrix<T> dy, ConstMatrix<T> x,
                                     Matrix<T> dw, T* db, Update update) {
  if constexpr (requires { ctx.fused_weight_gradient(dy, x, dw, db, update); }) {
    if (ctx.fused_weight_gradient(dy, x, dw, db, update)) return;
  }
  ctx.template gemm<Op::transpose, Op::none>(dy, x, dw, update);
  ctx.column_sum(dy, db, update);
}

}  // namespace vrfm
