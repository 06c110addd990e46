// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Element functions for `map` and gemm epilogues that more than one caller needs.
#pragma once

#include <vrfm/core/matrix.hpp>

namespace vrfm {

/// y(i, j) = value
template <class T>
struct Fill {
  Matrix<T> y;
  T value;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { y(i, j) = value; }
};

/// y(i, j) = x(i, j)
template <class T, class X = T>
struct Copy {
  ConstMatrix<X> x;
  Matrix<T> y;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { y(i, j) = x(i, j); }
};

/// y(i, j) *= x(i, j)
template <class T>
struct Multiply {
  ConstMatrix<T> x;
  Matrix<T> y;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { y(i, j) *= x(i, j); }
};

/// y(i, j) += a x(i, j)
template <class T>
struct AddScaled {
  T a;
  ConstMatrix<T> x;
  Matrix<T> y;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { y(i, j) += a * x(i, j); }
};

}  // namespace vrfm
