// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix product of host matrices on the calling thread, in the manner of Goto and van de Geijn 2008:
// a block of op(B) stays in L2 as panels of the micro kernel's width, and the rows of op(A) pass by.
// What is near and fits the kernel as it lies, such as the networks' tiles and weights, is read
// where it is, the rest is packed; patches always are. How it compares with BLAS libraries is in
// bench/README.md.
#pragma once

#include <vrfm/linalg/detail/micro_kernel.hpp>
#include <vrfm/linalg/detail/pack.hpp>

namespace vrfm::detail {

/// Panels of a block of op(B): 768 KiB of the stack (AVX-512).
inline constexpr int most_panels = 6;
/// Rows of op(A) that stay in cache while the panels of a block pass by: of an A that is near, of one
/// that is packed, and of one that is packed transposed, whose lines come from a page each.
inline constexpr int near_rows = 64 * block_rows, packed_rows = 16 * block_rows,
                     strip_rows = 32 * block_rows;
/// Numbers between two packed rows: not a power of two, which one set of L1 would hold.
template <class T>
inline constexpr int packed_stride = (2048 + 64) / static_cast<int>(sizeof(T));
/// Columns up to which C is a matter of dot products.
inline constexpr int narrow_cols = 4;
/// Bytes of an operand that is near: beyond, its rows lie in more pages than the processor has at
/// hand.
inline constexpr std::size_t near_bytes = 256 * 1024;

template <class X>
inline constexpr bool is_patches = false;
template <class T>
inline constexpr bool is_patches<Patches<T>> = true;

template <class T>
bool is_near(int rows, int stride) {
  const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(stride);
  return count * sizeof(T) <= near_bytes;
}

/// C (+)= op(A) panel for the rows and the columns of C; `a` is at the panel's part of the depth,
/// `step` numbers from one block of rows to the next.
template <Op OpA, class T>
void multiply_panel(int depth, const T* a, std::ptrdiff_t lda, std::ptrdiff_t step, const T* b,
                    std::ptrdiff_t ldb, Matrix<T> c, bool add) {
  constexpr int width = VectorOf<T>::width;
  const int vectors = (c.cols + width - 1) / width;
  for (int i = 0; i < c.rows; i += block_rows, a += step) {
    const int rows = math::min(block_rows, c.rows - i);
    const auto kernel = micro_kernel_of<T, OpA>(rows, vectors);
    if (c.cols == vectors * width) {
      kernel(depth, a, lda, b, ldb, c.row(i), c.stride, add);
      continue;
    }
    T block[block_rows * block_cols<T>];
    kernel(depth, a, lda, b, ldb, block, block_cols<T>, false);
    for (int r = 0; r < rows; ++r) {
      T* out = c.row(i + r);
      for (int j = 0; j < c.cols; ++j) {
        out[j] = add ? out[j] + block[r * block_cols<T> + j] : block[r * block_cols<T> + j];
      }
    }
  }
}

/// Rows [row, row + rows) and columns [col, col + cols) of a product's C.
struct Region {
  int row, rows, col, cols;
};

/// The loops over blocks and panels. `pack_left`, `pack_right`: A, B is packed.
template <Op OpA, Op OpB, bool pack_left, bool pack_right, class A, class B, class T>
void multiply_by_panels(int depth, const A& a, const B& b, Matrix<T> c, const Region& region,
                        Update update) {
  constexpr int width = VectorOf<T>::width, cols = block_cols<T>, ld = packed_stride<T>;
  alignas(64) T panels[pack_right ? most_panels : 1][most_depth<T> * cols];
  constexpr int strips = strip_rows / block_rows * strip_stride<T>;
  alignas(64) T packed[!pack_left ? 1 : OpA == Op::none ? packed_rows * ld : strips];
  int height = !pack_left ? near_rows : OpA == Op::none ? packed_rows : strip_rows;
  if constexpr (!pack_left && OpA == Op::none) {
    if (!is_near<T>(near_rows, a.stride)) height = block_rows;
  }
  const int block = pack_right ? most_panels * cols : region.cols;
  for (int first = region.col; first < region.col + region.cols; first += block) {
    const int end = math::min(first + block, region.col + region.cols);
    for (int k = 0; k < depth; k += most_depth<T>) {
      const int part = math::min(most_depth<T>, depth - k);
      const bool add = k > 0 || update == Update::accumulate;
      const auto pack_panel = [&](int col, T* panel) {
        const int count = math::min(cols, end - col), padded = (count + width - 1) / width * width;
        pack<OpB>(b, k, part, col, count, padded, panel, padded);
      };
      if constexpr (pack_right) {
        for (int col = first; col < end; col += cols) pack_panel(col, panels[(col - first) / cols]);
      } else if ((end - first) % cols % width != 0) {
        pack_panel(first + (end - first) / cols * cols, panels[0]);
      }
      for (int row = region.row; row < region.row + region.rows; row += height) {
        const Matrix<T> out = c.row_range(row, math::min(height, region.row + region.rows - row));
        const T* left = packed;
        std::ptrdiff_t lda = ld, step = ld * block_rows;
        if constexpr (!pack_left) {
          left = OpA == Op::none ? &a(row, k) : &a(k, row);
          lda = a.stride;
          step = OpA == Op::none ? lda * block_rows : block_rows;
        } else if constexpr (OpA == Op::none) {
          pack<OpA>(a, row, out.rows, k, part, part, packed, ld);
        } else {
          pack_strips(a, k, part, row, out.rows, packed);
          lda = block_rows;
          step = strip_stride<T>;
        }
        for (int col = first; col < end; col += cols) {
          const int count = math::min(cols, end - col);
          const T* right = panels[pack_right ? (col - first) / cols : 0];
          std::ptrdiff_t ldb = (count + width - 1) / width * width;
          if constexpr (!pack_right) {
            if (count == ldb) {
              right = &b(k, col);
              ldb = b.stride;
            }
          }
          multiply_panel<OpA, T>(part, left, lda, step, right, ldb, out.col_range(col, count), add);
        }
      }
    }
  }
}

/// A region of C = op(A) op(B) or C += op(A) op(B) on the calling thread. A or B may be Patches.
template <Op OpA, Op OpB, class T, class A, class B>
void host_gemm(const A& a, const B& b, Matrix<T> c, const Region& region, Update update) {
  int depth;
  if constexpr (is_patches<A>) {
    depth = a.cols();
  } else {
    depth = OpA == Op::none ? a.cols : a.rows;
  }
  if (region.rows == 0 || region.cols == 0) return;
  if (depth == 0 && update == Update::overwrite) {
    for (int i = region.row; i < region.row + region.rows; ++i) {
      for (int j = region.col; j < region.col + region.cols; ++j) c(i, j) = T(0);
    }
  }
  const auto multiply = [&]<bool pack_left>() {
    if constexpr (!is_patches<B> && OpB == Op::none) {
      if (is_near<T>(depth, b.stride)) {
        multiply_by_panels<OpA, OpB, pack_left, false>(depth, a, b, c, region, update);
        return;
      }
    }
    multiply_by_panels<OpA, OpB, pack_left, true>(depth, a, b, c, region, update);
  };
  if constexpr (is_patches<A>) {
    static_assert(OpA == Op::none, "patches are not transposed");
    multiply.template operator()<true>();
  } else if constexpr (OpA == Op::none) {
    if constexpr (OpB == Op::transpose) {
      if (c.cols <= narrow_cols) {
        dot_products<T>(a.row_range(region.row, region.rows), b.row_range(region.col, region.cols),
                        c.row_range(region.row, region.rows).col_range(region.col, region.cols),
                        update == Update::accumulate);
        return;
      }
    }
    multiply.template operator()<false>();
  } else if (is_near<T>(depth, a.stride)) {
    multiply.template operator()<false>();
  } else {
    multiply.template operator()<true>();
  }
}

}  // namespace vrfm::detail
