// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products by one thread for each element of C: all that another engine leaves, on any space, such as narrow
// ones on devices.
#pragma once

#include <vrfm/core/launch.hpp>
#include <vrfm/linalg/detail/gemm_element.hpp>
#include <vrfm/linalg/engines/engine.hpp>

namespace vrfm {

namespace detail {

/// One element of one product of a batch.
template <Op OpA, Op OpB, class A, class B, class T>
struct GemmElementOfBatch {
  BatchCounts counts;
  MatrixBatch<A> a;
  MatrixBatch<B> b;
  MatrixBatch<T> c;
  Update update;

  KOKKOS_FUNCTION void operator()(std::int64_t index) const {
    const std::int64_t each = std::int64_t(c.first.rows) * c.first.cols;
    const int k = static_cast<int>(index / each);
    GemmElement<OpA, OpB, T, NoEpilogue, Matrix<A>, Matrix<B>>{
        a.at(k, counts), b.at(k, counts), c.at(k, counts), update, {}}(index % each);
  }
};

}  // namespace detail

struct ElementEngine {
  template <class Exec, class A, class B>
  static constexpr bool takes = true;
  static constexpr bool complete = true;

  template <Op OpA, Op OpB, class Ctx, class A, class B, class T, class Epilogue>
  static void gemm(const Ctx& ctx, const A& a, const B& b, Matrix<T> c, Update update,
                   const Epilogue& epilogue) {
    launch_each(ctx.exec(), "vrfm::BatchContext::gemm", std::int64_t(c.rows) * c.cols,
                detail::GemmElement<OpA, OpB, T, Epilogue, A, B>{a, b, c, update, epilogue});
  }

  template <Op OpA, Op OpB, class Ctx, class A, class B, class T>
  static bool gemm_batch(const Ctx& ctx, const BatchCounts& counts, const MatrixBatch<A>& a,
                         const MatrixBatch<B>& b, const MatrixBatch<T>& c, Update update) {
    launch_each(ctx.exec(), "vrfm::BatchContext::gemm_batch",
                std::int64_t(counts.all()) * c.first.rows * c.first.cols,
                detail::GemmElementOfBatch<OpA, OpB, A, B, T>{counts, a, b, c, update});
    return true;
  }
};

}  // namespace vrfm
