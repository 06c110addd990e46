// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How an epilogue tells a vendor's matrix product that it is one that those have built in. Any other
// epilogue is one map after such a product.
#pragma once

#include <concepts>

namespace vrfm {

/// C(i, j) = activation(C(i, j) + bias[j]).
template <class T>
struct BiasEpilogue {
  bool gelu_tanh;  ///< the activation is GELU's tanh form; else the identity
  const T* bias;
};

/// An epilogue with a member `built_in` that says the same as its operator() on C.
template <class E, class T>
concept HasBuiltIn = requires(const E& epilogue) {
  { epilogue.built_in() } -> std::same_as<BiasEpilogue<T>>;
};

}  // namespace vrfm
