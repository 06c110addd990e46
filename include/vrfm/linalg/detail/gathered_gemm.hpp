// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of patches for a library that multiplies matrices. Rows of patches are gathered into a
// buffer that stays in cache, multiplied, and replaced by the next rows. The buffer may have
// another type than the patches, one in which the library is faster; the other operand is then
// copied into it too. The chunks follow from the shape of the product and the size of the buffer
// alone; chunks that add to one C do so in order.
#pragma once

#include <cstdint>

#include <vrfm/core/arena.hpp>
#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/epilogue.hpp>

namespace vrfm::detail {

/// `count` elements that are read or written as one, from a 16-byte border if they fill 16 bytes.
template <class T, int count>
struct alignas(count * sizeof(T) < 16 ? alignof(T) : 16) Pack {
  T number[std::size_t(count)];
};

/// Element: elements [width j, width (j + 1)) of row i of `out` are those of row first + i of the
/// patches; all of them lie in one tap.
template <int width, class T, class Operand>
struct Gather {
  Patches<T> patches;
  int first;
  Matrix<Operand> out;

  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const int channels = patches.x.cols, tap = width * j / channels;
    const T* segment = patches.segment(first + i, tap);
    Pack<T, width> in = {};
    if (segment != nullptr) {
      in = *reinterpret_cast<const Pack<T, width>*>(segment + (width * j - tap * channels));
    }
    Pack<Operand, width> numbers;
    VRFM_UNROLL
    for (int n = 0; n < width; ++n) numbers.number[n] = Operand(in.number[n]);
    *reinterpret_cast<Pack<Operand, width>*>(&out(i, width * j)) = numbers;
  }
};

/// Rows [first, first + out.rows) of the patches. Rows of `out` begin on 16-byte borders.
template <class Ctx, class T, class Operand>
void gather(const Ctx& ctx, const Patches<T>& patches, int first, Matrix<Operand> out) {
  constexpr int width = 16 / sizeof(Operand), borders = 16 / sizeof(T);
  const bool aligned = reinterpret_cast<std::uintptr_t>(patches.x.data) % 16 == 0 &&
                       patches.x.stride % borders == 0 && patches.x.cols % width == 0;
  if (aligned) {
    ctx.map(out.rows, out.cols / width, Gather<width, T, Operand>{patches, first, out});
  } else {
    ctx.map(out.rows, out.cols, Gather<1, T, Operand>{patches, first, out});
  }
}

/// Elements from one row to the next in the buffer.
template <class Operand>
std::size_t gathered_stride(int cols) {
  return Arena<Operand>::padded(static_cast<std::size_t>(cols));
}

template <class Operand>
Matrix<Operand> take_gathered(Arena<Operand>& buffer, int rows, int cols) {
  return buffer.take(rows, static_cast<int>(gathered_stride<Operand>(cols))).col_range(0, cols);
}

/// x as a matrix of Operand: where it is, or copied to `copy`.
template <class Operand, class Ctx, class T>
Matrix<const Operand> in_operand(const Ctx& ctx, Matrix<const T> x, Matrix<Operand> copy) {
  if constexpr (std::is_same_v<Operand, T>) {
    return x;
  } else {
    const Window pixel{1, 1};  // a matrix is its own patches
    gather(ctx, Patches<T>{x, pixel}, 0, copy);
    return copy;
  }
}

/// Rows of each chunk but the last, out of `rows`, if the buffer holds `fit` rows: equal parts, in
/// whole tiles of the library's products. 0 if there are no rows, or if the buffer holds less than
/// a tile of them.
inline int chunk_rows(int rows, std::size_t fit) {
  constexpr int tile = 128;
  if (fit >= static_cast<std::size_t>(rows)) return rows;
  const int tiles = (rows + tile - 1) / tile, tiles_fit = static_cast<int>(fit) / tile;
  if (tiles_fit == 0) return 0;
  const int parts = (tiles + tiles_fit - 1) / tiles_fit;
  return (tiles + parts - 1) / parts * tile;
}

/// Epilogue of a chunk that begins at row `first` of C.
template <class Epilogue>
struct EpilogueFromRow {
  Epilogue epilogue;
  int first;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { epilogue(first + i, j); }
};

template <class Epilogue>
EpilogueFromRow<Epilogue> epilogue_from_row(const Epilogue& epilogue, int first) {
  return {epilogue, first};
}
inline NoEpilogue epilogue_from_row(const NoEpilogue& none, int) { return none; }
template <class T, class P>
AddBias<T, P> epilogue_from_row(const AddBias<T, P>& add, int first) {
  return {add.c.row_range(first, add.c.rows - first), add.bias};
}

/// C = P op(B) or C += P op(B), then the epilogue, by ctx.gemm on matrices of Operand in `buffer`,
/// which begins on a 64-byte border. False, and nothing is launched, if the buffer is too small.
template <Op OpA, Op OpB, class Ctx, class Operand, class A, class B, class T, class Epilogue>
bool gathered_gemm(const Ctx& ctx, Arena<Operand> buffer, const Patches<A>& a, Matrix<const B> b,
                   Matrix<T> c, Update update, const Epilogue& epilogue) {
  static_assert(OpA == Op::none, "patches in front are not transposed");
  const std::size_t row = gathered_stride<Operand>(a.cols());
  Matrix<Operand> copy;
  if (!std::is_same_v<Operand, B>) {
    if (buffer.left() / gathered_stride<Operand>(b.cols) < static_cast<std::size_t>(b.rows)) {
      return false;
    }
    copy = take_gathered(buffer, b.rows, b.cols);
  }
  const int most = chunk_rows(c.rows, buffer.left() / row);
  if (most == 0) return c.rows == 0;
  const Matrix<const Operand> right = in_operand<Operand>(ctx, b, copy);
  const Matrix<Operand> rows = take_gathered(buffer, most, a.cols());
  for (int first = 0, count; first < c.rows; first += count) {
    count = math::minimum(most, c.rows - first);
    const Matrix<Operand> left = rows.row_range(0, count);
    gather(ctx, a, first, left);
    ctx.template gemm<OpA, OpB>(Matrix<const Operand>(left), right, c.row_range(first, count),
                                update, epilogue_from_row(epilogue, first));
  }
  return true;
}

/// The same for C = A^T P, a sum over the chunks; false also if a C of BFloat16 would need several, because it would
/// be rounded after each.
template <Op OpA, Op OpB, class Ctx, class Operand, class A, class B, class T, class Epilogue>
bool gathered_gemm(const Ctx& ctx, Arena<Operand> buffer, Matrix<const A> a, const Patches<B>& b,
                   Matrix<T> c, Update update, const Epilogue& epilogue) {
  static_assert(OpA == Op::transpose && OpB == Op::none, "patches behind are for their gradient");
  constexpr bool copies = !std::is_same_v<Operand, A>, rounds = !std::is_same_v<sum_type<T>, T>;
  const std::size_t row =
      gathered_stride<Operand>(b.cols()) + (copies ? gathered_stride<Operand>(a.cols) : 0);
  const int most = chunk_rows(a.rows, buffer.left() / row);
  if (most == 0 || (rounds && most < a.rows)) return false;
  const Matrix<Operand> rows = take_gathered(buffer, most, b.cols());
  const Matrix<Operand> copy = copies ? take_gathered(buffer, most, a.cols) : Matrix<Operand>();
  for (int first = 0, count; first < a.rows; first += count) {
    count = math::minimum(most, a.rows - first);
    const Matrix<const Operand> left =
        in_operand<Operand>(ctx, a.row_range(first, count), copy.row_range(0, count));
    const Matrix<Operand> right = rows.row_range(0, count);
    gather(ctx, b, first, right);
    const Update part = first == 0 ? update : Update::accumulate;
    if (first + count < a.rows) {
      ctx.template gemm<OpA, OpB>(left, Matrix<const Operand>(right), c, part);
    } else {
      ctx.template gemm<OpA, OpB>(left, Matrix<const Operand>(right), c, part, epilogue);
    }
  }
  return true;
}

}  // namespace vrfm::detail
