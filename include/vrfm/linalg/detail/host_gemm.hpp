// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix product of host matrices on the calling thread, in the manner of Goto and van de Geijn 2008:
// a block of op(B) stays in L2 as panels of the micro kernel's width, and the rows of op(A) pass by.
// What is near and fits the kernel as it lies, such as the networks' tiles and weights, is read
// where it is, the rest is packed; patches always are. How it compares with BLAS libraries is in
// bench/README.md.
#pragma once

#include <vrfm/linalg/detail/micro_kernel.hpp>

namespace vrfm::detail {

/// Most of the depth that is summed before C is written.
template <class T>
inline constexpr int most_depth = 2048 / static_cast<int>(sizeof(T));
/// Panels of a block of op(B): 768 KiB of the stack (AVX-512).
inline constexpr int most_panels = 6;
/// Rows of op(A) that stay in cache while the panels of a block pass by: of an A that is near, and of
/// one that is packed.
inline constexpr int near_rows = 64 * block_rows, packed_rows = 16 * block_rows;
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

/// out[j] = in[j]; zeros where `in` is nullptr.
template <class T>
void copy(const T* in, int count, T* out) {
  using Vector = typename VectorOf<T>::type;
  constexpr int width = VectorOf<T>::width;
  int j = 0;
  for (; j + width <= count; j += width) {
    *reinterpret_cast<Vector*>(out + j) =
        in == nullptr ? Vector{} : *reinterpret_cast<const Vector*>(in + j);
  }
  for (; j < count; ++j) out[j] = in == nullptr ? T(0) : in[j];
}

/// out(i, j) = X(row + i, col + j) for rows x cols numbers.
template <class T>
void copy_rows(const Matrix<const T>& x, int row, int rows, int col, int cols, T* out, int ld) {
  for (int i = 0; i < rows; ++i) copy(&x(row + i, col), cols, out + i * ld);
}

template <class T>
void copy_rows(const Patches<T>& x, int row, int rows, int col, int cols, T* out, int ld) {
  const int channels = x.x.cols, kernel = x.window.kernel, tap = col / channels;
  for (int i = 0; i < rows; ++i) {
    const auto pixel = x.pixel(row + i);
    int k = tap / kernel, l = tap % kernel, channel = col % channels;
    for (int j = 0; j < cols;) {
      const T* segment = x.segment(pixel, k, l);
      const int count = math::min(channels - channel, cols - j);
      copy(segment == nullptr ? nullptr : segment + channel, count, out + i * ld + j);
      j += count;
      channel = 0;
      if (++l == kernel) {
        l = 0;
        ++k;
      }
    }
  }
}

/// out(i, j) = op(X)(row + i, col + j) for rows x cols numbers, then zeros up to column `padded`.
template <Op op, class T, class X>
void pack(const X& x, int row, int rows, int col, int cols, int padded, T* out, int ld) {
  int done_rows = 0, done_cols = 0;
  if constexpr (op == Op::none) {
    done_rows = rows;
    done_cols = cols;
    copy_rows(x, row, rows, col, cols, out, ld);
  } else {
    // By strips of 64 rows of X, of which a line each is read at a time.
    done_rows = rows / 8 * 8;
    done_cols = cols / 8 * 8;
    for (int strip = 0; strip < done_cols; strip += 64) {
      const int end = math::min(strip + 64, done_cols);
      for (int i = 0; i < done_rows; i += 16) {
        const int last = math::min(i + 16, done_rows);
        for (int j = strip; j < end; j += 8) {
          for (int k = i; k < last; k += 8) {
            transpose_8x8(&x(col + j, row + k), x.stride, out + k * ld + j, ld);
          }
        }
      }
    }
  }
  for (int i = 0; i < rows; ++i) {
    if constexpr (op == Op::transpose) {
      for (int j = i < done_rows ? done_cols : 0; j < cols; ++j) {
        out[i * ld + j] = x(col + j, row + i);
      }
    }
    for (int j = cols; j < padded; ++j) out[i * ld + j] = T(0);
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
  alignas(64) T left_rows[pack_left ? packed_rows * ld : 1];
  int height = pack_left ? packed_rows : near_rows;
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
        const T* left = left_rows;
        std::ptrdiff_t lda = ld;
        if constexpr (pack_left) {
          pack<OpA>(a, row, out.rows, k, part, part, left_rows, ld);
        } else {
          left = OpA == Op::none ? &a(row, k) : &a(k, row);
          lda = a.stride;
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
          multiply_panel<pack_left ? Op::none : OpA, T>(part, left, lda, right, ldb,
                                                        out.col_range(col, count), add);
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
