// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// weight_gradient: dW = dy^T x and db = column sums of dy, the gradients of y = x W^T + b. In one
// product where the context's library can sum an operand's columns while it multiplies.
#pragma once

#include <vrfm/linalg/context.hpp>

namespace vrfm {

/// dy: rows x outputs; x: rows x inputs; dw: outputs x inputs; db: outputs elements. Both gradients
/// are overwritten or added to, as `update` says. dy and x may be of other types (BFloat16).
VRFM_UNCHECKED_HOST_DEVICE
template <class Ctx, class D, class X, class T>
KOKKOS_FUNCTION void weight_gradient(const Ctx& ctx, Matrix<D> dy, Matrix<X> x, Matrix<T> dw, T* db,
                                     Update update) {
  constexpr bool one_type =
      std::is_same_v<std::remove_const_t<D>, T> && std::is_same_v<std::remove_const_t<X>, T>;
  if constexpr (one_type && requires { ctx.fused_weight_gradient(dy, x, dw, db, update); }) {
    if (ctx.fused_weight_gradient(dy, x, dw, db, update)) return;
  }
  ctx.template gemm<Op::transpose, Op::none>(dy, x, dw, update);
  ctx.column_sum(dy, db, update);
}

}  // namespace vrfm
