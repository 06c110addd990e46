// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Between rows that are samples, pixel after pixel, channels last, and rows that are pixels, which
// the layers of images read. Unlike split_rows these copy, so that rows may have gaps between them
// and channels of several images may lie side by side.
#pragma once

#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/elementwise.hpp>

namespace vrfm::detail {

/// Element: pixel i of `out` = that of its sample's row of x.
template <class T>
struct ToPixels {
  ConstMatrix<T> x;
  Matrix<T> out;
  int pixels;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    out(i, j) = x(i / pixels, i % pixels * out.cols + j);
  }
};

/// Element: the other way, written from the pixels' side.
template <class T>
struct FromPixels {
  ConstMatrix<T> x;
  Matrix<T> out;
  int pixels;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    out(i / pixels, i % pixels * x.cols + j) = x(i, j);
  }
};

/// Element: the same, added.
template <class T>
struct AddFromPixels {
  ConstMatrix<T> x;
  Matrix<T> out;
  int pixels;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    out(i / pixels, i % pixels * x.cols + j) += x(i, j);
  }
};

/// out: rows x (pixels channels) as (rows pixels) x channels; out's rows may have gaps.
template <class Ctx, class T>
KOKKOS_FUNCTION void to_pixels(const Ctx& ctx, ConstMatrix<T> x, Matrix<T> out, int pixels) {
  if (out.stride == out.cols) {  // long rows are faster
    ctx.map(x.rows, x.cols, Copy<T>{x, join_rows(out, pixels)});
  } else {
    ctx.map(out.rows, out.cols, ToPixels<T>{x, out, pixels});
  }
}

/// The other way; x's rows may have gaps.
template <class Ctx, class T>
KOKKOS_FUNCTION void from_pixels(const Ctx& ctx, ConstMatrix<T> x, Matrix<T> out, int pixels) {
  if (x.stride == x.cols) {
    ctx.map(out.rows, out.cols, Copy<T>{join_rows(x, pixels), out});
  } else {
    ctx.map(x.rows, x.cols, FromPixels<T>{x, out, pixels});
  }
}

}  // namespace vrfm::detail
