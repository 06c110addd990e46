// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Engines: who multiplies for a BatchContext. An engine is an empty struct with
//   takes<Exec, A, B>   whether it is asked for products of an A and a B on that space
//   gemm<OpA, OpB>(ctx, a, b, c, update, epilogue) -> Launched
//       launches C = op(A) op(B), or C += ..., on ctx.exec() in the precision of ctx, and maybe the epilogue;
//       `nothing` leaves the product to the next engine, `product` the epilogue to the context
//   complete            true if it always launches both; gemm returns nothing then
// and, where it can do more on an execution space,
//   gemm_batch<OpA, OpB>(ctx, counts, a, b, c, update) -> bool
//       launches the products of three batches; false if it cannot. The last engine of a list can
//   prepare(exec)       allocates what it needs before the first product
//   weight_gradient(ctx, dy, x, dw, db) -> bool
//       dW = dy^T x and db, the sums of dy's columns, in one launch; false if it cannot
// An engine fuses the epilogues (epilogue.hpp) for which it has an overload. Its file is empty where list.hpp does
// not have it.
#pragma once

#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/engines/list.hpp>
#include <vrfm/linalg/epilogue.hpp>

namespace vrfm {

/// How much of a product an engine has launched.
enum class Launched { nothing, product, product_and_epilogue };

}  // namespace vrfm
