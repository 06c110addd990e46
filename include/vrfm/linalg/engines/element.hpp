// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products by one thread for each element of C: all that another engine leaves, on any space, such as narrow
// ones on devices.
#pragma once

#include <vrfm/core/launch.hpp>
#include <vrfm/linalg/detail/gemm_element.hpp>
#include <vrfm/linalg/engines/engine.hpp>

namespace vrfm {

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
};

}  // namespace vrfm
