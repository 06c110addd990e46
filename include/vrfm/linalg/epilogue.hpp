// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How an epilogue tells a vendor's matrix product that the library has it built in. Any other
// epilogue is one map after such a product.
#pragma once

#include <concepts>

#include <vrfm/core/matrix.hpp>

namespace vrfm {

/// What such an epilogue does to an element c of C; g is GELU's tanh form.
enum class BuiltInKind {
  bias,            ///< c = c + bias[j]
  gelu_tanh,       ///< c = g(c + bias[j]); unless `sum` is empty, sum = c + bias[j] as well
  gelu_tanh_slope  ///< c = c g'(sum)
};

template <class T>
struct BuiltIn {
  BuiltInKind kind = BuiltInKind::bias;
  const T* bias = nullptr;
  Matrix<T> sum = {};  ///< of C's extents
};

/// An epilogue whose member `built_in` describes what its operator() does to C.
template <class E, class T>
concept HasBuiltIn = requires(const E& epilogue) {
  { epilogue.built_in() } -> std::same_as<BuiltIn<T>>;
};

}  // namespace vrfm
