// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix product of host matrices on the calling thread, for the shapes that networks have: a few
// dozen to a few hundred rows, and weights that fit in cache. Operands are read where they are; only
// what is not a row of vectors (a transposed B, the last columns) is first copied to a panel. How it
// compares with BLAS libraries is in bench/README.md.
#pragma once

#include <vrfm/linalg/detail/micro_kernel.hpp>

namespace vrfm::detail {

/// Most of the depth that is summed before C is written; a panel is then 128 KiB of the stack (AVX-512).
inline constexpr int panel_depth = 512;
/// Rows whose part of A stays in L2 while all panels of B pass by.
inline constexpr int panel_rows = 86 * block_rows;
/// Columns up to which C is a matter of dot products.
inline constexpr int narrow_cols = 4;
/// Rows and depth of the block that a transposed A with far rows is packed into, once for all panels:
/// 384 KiB of the stack in float.
inline constexpr int far_rows = 64 * block_rows, far_depth = 256;
/// Bytes of B and of a transposed A that are read in place: beyond, their rows lie in more pages
/// than the processor has at hand.
inline constexpr std::size_t in_place_bytes = 256 * 1024;

/// Whether `rows` rows, `stride` numbers apart, are read in place.
template <class T>
bool is_near(int rows, int stride) {
  const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(stride);
  return count * sizeof(T) <= in_place_bytes;
}

/// 8 x 8 numbers: out(j, i) = in(i, j).
template <class T>
void transpose_8x8(const T* in, std::ptrdiff_t ld_in, T* out, std::ptrdiff_t ld_out) {
  typedef T Row __attribute__((vector_size(8 * sizeof(T)), aligned(sizeof(T)), may_alias));
  Row a[8], b[8];
  for (int i = 0; i < 8; ++i) a[i] = *reinterpret_cast<const Row*>(in + i * ld_in);
  for (int i = 0; i < 8; i += 2) {
    b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int h = i; h < i + 2; ++h) {
      a[h] = __builtin_shufflevector(b[h], b[h + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      a[h + 2] = __builtin_shufflevector(b[h], b[h + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int h = 0; h < 4; ++h) {
    *reinterpret_cast<Row*>(out + h * ld_out) =
        __builtin_shufflevector(a[h], a[h + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    *reinterpret_cast<Row*>(out + (h + 4) * ld_out) =
        __builtin_shufflevector(a[h], a[h + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/// panel(k, j) = op(B)(k, j) for depth x cols numbers, then zeros up to column `padded`.
template <Op OpB, class T>
void pack_panel(const T* b, std::ptrdiff_t ldb, int depth, int cols, int padded, T* panel) {
  int packed = 0;
  if constexpr (OpB == Op::transpose) {
    packed = cols / 8 * 8;
    const int whole = depth / 8 * 8;
    for (int k = 0; k < whole; k += 8) {
      for (int j = 0; j < packed; j += 8) {
        transpose_8x8(b + j * ldb + k, ldb, panel + k * padded + j, padded);
      }
    }
    for (int k = whole; k < depth; ++k) {
      for (int j = 0; j < packed; ++j) panel[k * padded + j] = b[j * ldb + k];
    }
  }
  for (int k = 0; k < depth; ++k) {
    T* row = panel + k * padded;
    for (int j = packed; j < cols; ++j) row[j] = OpB == Op::none ? b[k * ldb + j] : b[j * ldb + k];
    for (int j = cols; j < padded; ++j) row[j] = T(0);
  }
}

/// C (+)= op(A) panel for the rows and the columns of C; `a` is at the panel's part of the depth.
template <Op OpA, class T>
void multiply_panel(int depth, const T* a, std::ptrdiff_t lda, const T* b, std::ptrdiff_t ldb,
                    Matrix<T> c, bool add) {
  constexpr int width = VectorOf<T>::width;
  const int vectors = (c.cols + width - 1) / width;
  for (int i = 0; i < c.rows; i += block_rows) {
    const int rows = math::min(block_rows, c.rows - i);
    const auto kernel = micro_kernel_of<T, OpA>(rows, vectors);
    const T* left = OpA == Op::none ? a + i * lda : a + i;
    if (c.cols == vectors * width) {
      kernel(depth, left, lda, b, ldb, c.row(i), c.stride, add);
      continue;
    }
    T block[block_rows * block_cols<T>];
    kernel(depth, left, lda, b, ldb, block, block_cols<T>, false);
    for (int r = 0; r < rows; ++r) {
      T* out = c.row(i + r);
      for (int j = 0; j < c.cols; ++j) {
        out[j] = add ? out[j] + block[r * block_cols<T> + j] : block[r * block_cols<T> + j];
      }
    }
  }
}

/// The loops over panels: C = op(A) op(B) or C += op(A) op(B). `pack_left`: A is transposed and its
/// rows are far apart.
template <Op OpA, Op OpB, bool pack_left, class T>
void multiply_by_panels(int depth, ConstMatrix<T> a, ConstMatrix<T> b, Matrix<T> c, Update update) {
  constexpr int width = VectorOf<T>::width;
  constexpr int most_depth = pack_left ? far_depth : panel_depth;
  constexpr int most_rows = pack_left ? far_rows : panel_rows;
  alignas(64) T panel[most_depth * block_cols<T>];
  alignas(64) T block[pack_left ? far_depth * far_rows : 1];
  const bool near = is_near<T>(depth, b.stride);
  for (int row = 0; row < c.rows; row += most_rows) {
    const Matrix<T> rows = c.row_range(row, math::min(most_rows, c.rows - row));
    for (int k = 0; k < depth; k += most_depth) {
      const int part = math::min(most_depth, depth - k);
      const bool add = k > 0 || update == Update::accumulate;
      const T* left = OpA == Op::none ? &a(row, k) : &a(k, row);
      std::ptrdiff_t lda = a.stride;
      if constexpr (pack_left) {
        pack_panel<Op::none>(left, lda, part, rows.rows, far_rows, block);
        left = block;
        lda = far_rows;
      }
      for (int col = 0; col < c.cols; col += block_cols<T>) {
        const Matrix<T> out = rows.col_range(col, math::min(block_cols<T>, c.cols - col));
        const int padded = (out.cols + width - 1) / width * width;
        const T* right = OpB == Op::none ? &b(k, col) : &b(col, k);
        if (OpB == Op::none && near && out.cols == padded) {
          multiply_panel<OpA, T>(part, left, lda, right, b.stride, out, add);
        } else {
          pack_panel<OpB>(right, static_cast<std::ptrdiff_t>(b.stride), part, out.cols, padded,
                          panel);
          multiply_panel<OpA, T>(part, left, lda, panel, padded, out, add);
        }
      }
    }
  }
}

/// C = op(A) op(B) or C += op(A) op(B) on the calling thread.
template <Op OpA, Op OpB, class T>
void host_gemm(ConstMatrix<T> a, ConstMatrix<T> b, Matrix<T> c, Update update) {
  const int depth = OpA == Op::none ? a.cols : a.rows;
  if (c.rows == 0 || c.cols == 0) return;
  if (depth == 0 && update == Update::overwrite) {
    for (int i = 0; i < c.rows; ++i) {
      for (int j = 0; j < c.cols; ++j) c(i, j) = T(0);
    }
  }
  if constexpr (OpA == Op::none && OpB == Op::transpose) {
    if (c.cols <= narrow_cols) {
      dot_products<T>(a, b, c, update == Update::accumulate);
      return;
    }
  }
  if constexpr (OpA == Op::transpose) {
    if (!is_near<T>(depth, a.stride)) {
      multiply_by_panels<OpA, OpB, true, T>(depth, a, b, c, update);
      return;
    }
  }
  multiply_by_panels<OpA, OpB, false, T>(depth, a, b, c, update);
}

}  // namespace vrfm::detail
