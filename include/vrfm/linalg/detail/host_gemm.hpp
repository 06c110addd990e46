// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix product of host matrices on the calling thread, in the manner of Goto and van de Geijn
// 2008: a block of op(B) stays in L2 as panels of the micro kernel's width, and the rows of op(A)
// pass by. Operands that are near and fit the kernel as they lie, such as the networks' tiles and
// weights, are read in place; the rest is packed. Patches on the left are read out of the image
// through one pointer for each row and tap (Dukhan 2019, "The indirect convolution algorithm").
// Operands of BFloat16, patches too, are always packed, as floats; a C of it is summed in float block by block.
// bench/README.md compares it with BLAS libraries.
#pragma once

#include <vrfm/linalg/detail/micro_kernel.hpp>
#include <vrfm/linalg/detail/pack.hpp>

namespace vrfm::detail {

/// Panels of a block of op(B): 768 KiB of the stack with AVX-512.
inline constexpr int most_panels = 6;
/// Rows of op(A) that stay in cache while the panels of a block pass by: of an A that is near; of
/// one that is packed or pointed at; of one that is packed transposed, where each line comes from
/// another page.
inline constexpr int near_rows = 64 * block_rows, packed_rows = 16 * block_rows,
                     strip_rows = 32 * block_rows;
/// Elements between two packed rows: no power of two, because one set of L1 would then hold them
/// all.
template <class T>
inline constexpr int packed_stride = (2048 + 64) / static_cast<int>(sizeof(T));
/// Up to this many columns C is computed by dot products.
inline constexpr int narrow_cols = 4;
/// An operand of at most this many bytes is near: the rows of a larger one lie in more pages than
/// the processor has at hand.
inline constexpr std::size_t near_bytes = 256 * 1024;

template <class T>
bool is_near(int rows, int stride) {
  const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(stride);
  return count * sizeof(T) <= near_bytes;
}

/// C (+)= op(A) panel for a block of C, by the kernel of its size.
template <class T, class A, class B>
void multiply_block(MicroKernel<T, A, B> kernel, int depth, const A& a, const B& b, Matrix<T> c,
                    bool add) {
  if (c.cols % VectorOf<T>::width == 0) {
    kernel(depth, a, b, c.data, c.stride, add);
    return;
  }
  T block[block_rows * block_cols<T>];
  kernel(depth, a, b, block, block_cols<T>, false);
  for (int r = 0; r < c.rows; ++r) {
    T* out = c.row(r);
    for (int j = 0; j < c.cols; ++j) {
      out[j] = add ? out[j] + block[r * block_cols<T> + j] : block[r * block_cols<T> + j];
    }
  }
}

/// C (+)= op(A) panel for the rows and the columns of C; `a` is at the panel's part of the depth,
/// `step` from one block of rows to the next.
template <class T, class A, class B>
void multiply_panel(int depth, A a, std::ptrdiff_t step, B b, Matrix<T> c, bool add) {
  constexpr int width = VectorOf<T>::width;
  const int vectors = (c.cols + width - 1) / width;
  const auto kernel = micro_kernel_of<T, A, B>(block_rows, vectors);
  int row = 0;
  for (; row + block_rows <= c.rows; row += block_rows, a.data += step) {
    multiply_block<T, A, B>(kernel, depth, a, b, c.row_range(row, block_rows), add);
  }
  while (row < c.rows) {
    const int rows = kernel_rows(c.rows - row);
    multiply_block<T, A, B>(micro_kernel_of<T, A, B>(rows, vectors), depth, a, b,
                            c.row_range(row, rows), add);
    a = a.from_row(rows);
    row += rows;
  }
}

/// Rows [row, row + rows) and columns [col, col + cols) of a product's C.
struct Region {
  int row, rows, col, cols;
};

/// Where the kernel reads an operand: in place, packed, or through pointers.
enum class Reads { strided, packed, pointed };

/// Whether the kernel can read elements of X as they lie.
template <class X, class T>
inline constexpr bool in_place = false;
template <class T>
inline constexpr bool in_place<Matrix<const T>, T> = true;

/// The loops over blocks and panels.
template <Op OpA, Op OpB, Reads left, Reads right, class A, class B, class T>
void multiply_by_panels(int depth, const A& a, const B& b, Matrix<T> c, const Region& region,
                        Update update) {
  constexpr int width = VectorOf<T>::width, cols = block_cols<T>, ld = packed_stride<T>;
  constexpr bool pack_right = right == Reads::packed;
  alignas(64)
      T panels[pack_right ? most_panels : 1][right == Reads::pointed ? 1 : most_depth<T> * cols];
  const T* taps[right != Reads::pointed ? 1 : most_pointed_taps * most_depth<T>];
  constexpr int strips = strip_rows / block_rows * strip_stride<T>;
  constexpr int packs = OpA == Op::none ? packed_rows * ld : strips;
  alignas(64) T packed[left != Reads::packed ? 1 : std::size_t(packs)];
  const T* pointers[left != Reads::pointed ? 1 : packed_rows * most_segments<T>];
  int height = left == Reads::strided ? near_rows : OpA == Op::none ? packed_rows : strip_rows;
  if constexpr (left == Reads::strided && OpA == Op::none) {
    if (!is_near<T>(near_rows, a.stride)) height = block_rows;
  }
  const int block = pack_right ? most_panels * cols : region.cols;
  for (int first = region.col; first < region.col + region.cols; first += block) {
    const int end = math::minimum(first + block, region.col + region.cols);
    const int across = (end - first + cols - 1) / cols;
    // As much of the depth as the panels hold: a block of C then sees all of it while in cache.
    const int held = pack_right ? most_panels / across * most_depth<T> : most_depth<T>;
    for (int begin = 0; begin < depth; begin += held) {
      const int until = math::minimum(begin + held, depth);
      const auto panel = [&](int k, int col) {
        return pack_right ? panels[(k - begin) / most_depth<T> * across + (col - first) / cols]
                          : panels[0];
      };
      const auto pack_panel = [&](int k, int col) {
        const int count = math::minimum(cols, end - col),
                  padded = (count + width - 1) / width * width;
        const int part = math::minimum(most_depth<T>, until - k);
        pack<OpB>(b, k, part, col, count, padded, panel(k, col), padded);
      };
      if constexpr (pack_right) {
        for (int k = begin; k < until; k += most_depth<T>) {
          for (int col = first; col < end; col += cols) pack_panel(k, col);
        }
      } else if constexpr (right == Reads::pointed) {
        const int channels = b.x.cols, tap = first / channels;
        point_taps(b, begin, until - begin, tap, (end - 1) / channels + 1 - tap, taps);
      } else if ((end - first) % cols % width != 0) {
        pack_panel(begin, first + (end - first) / cols * cols);
      }
      for (int row = region.row; row < region.row + region.rows; row += height) {
        const Matrix<T> out =
            c.row_range(row, math::minimum(height, region.row + region.rows - row));
        for (int k = begin; k < until; k += most_depth<T>) {
          const int part = math::minimum(most_depth<T>, until - k);
          const bool add = k > 0 || update == Update::accumulate;
          const auto multiply = [&](auto rows, std::ptrdiff_t step) {
            for (int col = first; col < end; col += cols) {
              const int count = math::minimum(cols, end - col);
              const Matrix<T> to = out.col_range(col, count);
              if constexpr (right == Reads::pointed) {
                const int channels = b.x.cols, tap = col / channels - first / channels;
                const PointedPanel<T> panel_at{taps + tap * most_depth<T>, col % channels};
                multiply_panel<T>(part, rows, step, panel_at, to, add);
              } else {
                StridedPanel<T> panel_at{panel(k, col), (count + width - 1) / width * width};
                if constexpr (right == Reads::strided) {
                  if (count == panel_at.stride) panel_at = {&b(k, col), b.stride};
                }
                multiply_panel<T>(part, rows, step, panel_at, to, add);
              }
            }
          };
          if constexpr (left == Reads::pointed) {
            const int segments = point_rows(a, row, out.rows, k, part, pointers);
            const int channels = a.x.cols;
            multiply(PointedRows<T>{pointers, channels - k % channels, channels},
                     segments * block_rows);
          } else if constexpr (left == Reads::strided) {
            multiply(StridedRows<T, OpA>{OpA == Op::none ? &a(row, k) : &a(k, row), a.stride},
                     OpA == Op::none ? a.stride * block_rows : block_rows);
          } else if constexpr (OpA == Op::none) {
            pack<OpA>(a, row, out.rows, k, part, part, packed, ld);
            multiply(StridedRows<T, OpA>{packed, ld}, ld * block_rows);
          } else {
            pack_strips(a, k, part, row, out.rows, packed);
            multiply(StridedRows<T, OpA>{packed, block_rows}, strip_stride<T>);
          }
        }
      }
    }
  }
}

/// A region of C = op(A) op(B) or C += op(A) op(B) on the calling thread, C of a type that sums are
/// of. A or B may be Patches. `all_cols`: of the product that C is a part of; they decide how an element is summed.
template <Op OpA, Op OpB, class T, class A, class B>
void host_gemm_in_place(const A& a, const B& b, Matrix<T> c, const Region& region, Update update,
                        int all_cols) {
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
  const auto multiply = [&]<Reads left>() {
    if constexpr (is_patches_of<T, B>) {
      // Whole panels of one tap, and for taps outside of an image as many zeros as a tap has
      // channels.
      const int channels = b.x.cols;
      if (channels % block_cols<T> == 0 && channels <= most_depth<T> &&
          b.window.taps() <= most_pointed_taps) {
        multiply_by_panels<OpA, OpB, left, Reads::pointed>(depth, a, b, c, region, update);
        return;
      }
    } else if constexpr (OpB == Op::none && in_place<B, T>) {
      if (is_near<T>(depth, b.stride)) {
        multiply_by_panels<OpA, OpB, left, Reads::strided>(depth, a, b, c, region, update);
        return;
      }
    }
    multiply_by_panels<OpA, OpB, left, Reads::packed>(depth, a, b, c, region, update);
  };
  if constexpr (is_patches_of<T, A>) {
    static_assert(OpA == Op::none, "patches are not transposed");
    if (a.x.cols >= least_channels) {
      multiply.template operator()<Reads::pointed>();
    } else {
      multiply.template operator()<Reads::packed>();
    }
  } else if constexpr (!in_place<A, T>) {
    multiply.template operator()<Reads::packed>();
  } else if constexpr (OpA == Op::none) {
    if constexpr (OpB == Op::transpose && in_place<B, T>) {
      if (all_cols <= narrow_cols) {
        dot_products<T>(a.row_range(region.row, region.rows), b.row_range(region.col, region.cols),
                        c.row_range(region.row, region.rows).col_range(region.col, region.cols),
                        update == Update::accumulate);
        return;
      }
    }
    multiply.template operator()<Reads::strided>();
  } else if (is_near<T>(depth, a.stride)) {
    multiply.template operator()<Reads::strided>();
  } else {
    multiply.template operator()<Reads::packed>();
  }
}

/// Rows and columns of a block of C that is summed before it is rounded: 576 KiB of the stack.
inline constexpr int rounded_rows = 384, rounded_cols = 384;

/// The same for any C.
template <Op OpA, Op OpB, class T, class A, class B>
void host_gemm(const A& a, const B& b, Matrix<T> c, const Region& region, Update update) {
  using Sum = sum_type<T>;
  if constexpr (std::is_same_v<Sum, T>) {
    host_gemm_in_place<OpA, OpB, T>(a, b, c, region, update, c.cols);
  } else {
    const auto all_a = cuttable(a);
    const auto all_b = cuttable(b);
    alignas(64) Sum block[rounded_rows * rounded_cols];
    for (int i0 = 0; i0 < region.rows; i0 += rounded_rows) {
      const int rows = math::minimum(rounded_rows, region.rows - i0), row = region.row + i0;
      const auto left = OpA == Op::none ? all_a.row_range(row, rows) : all_a.col_range(row, rows);
      for (int j0 = 0; j0 < region.cols; j0 += rounded_cols) {
        const int cols = math::minimum(rounded_cols, region.cols - j0), col = region.col + j0;
        const auto right =
            OpB == Op::none ? all_b.col_range(col, cols) : all_b.row_range(col, cols);
        const Matrix<T> out = c.row_range(row, rows).col_range(col, cols);
        const Matrix<Sum> sums(block, rows, cols, rounded_cols);
        for (int i = 0; update == Update::accumulate && i < rows; ++i) {
          copy(out.row(i), cols, sums.row(i));
        }
        host_gemm_in_place<OpA, OpB, Sum>(left, right, sums, {0, rows, 0, cols}, update, c.cols);
        for (int i = 0; i < rows; ++i) {
          VRFM_INDEPENDENT_ITERATIONS
          for (int j = 0; j < cols; ++j) out(i, j) = sums(i, j);
        }
      }
    }
  }
}

}  // namespace vrfm::detail
