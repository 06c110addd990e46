// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix product by the threads of one Kokkos team, for any backend. C is computed a tile at a
// time: blocks of the operands pass through the team's scratch, and each worker (a thread here, a
// warp in tensor_core.hpp) keeps its block of the tile in registers. Every element is added over
// the depth in order, so its bits depend neither on the team's size nor on its tile.
#pragma once

#include <vrfm/linalg/detail/gemm_element.hpp>

namespace vrfm::detail {

/// Columns of a tile of C. Its rows are 64, or 16 where C has no more.
inline constexpr int team_tile_cols = 64;
inline constexpr int team_low_rows = 16, team_tile_rows = 64;

/// A line (a row of A, a column of B) at depth k; zero outside. X: a matrix or Patches.
template <bool along_depth, class X>
struct TeamOperand {
  const X& x;
  int lines, depth;
  KOKKOS_INLINE_FUNCTION auto operator()(int line, int k) const {
    using T = decltype(x(0, 0) * 1);
    if (line >= lines || k >= depth) return T(0);
    return T(along_depth ? x(line, k) : x(k, line));
  }
};

/// block(e) = number(e) for e = rank, rank + size, ... below `count`. Several elements are read
/// before the first is written, because a read waits long.
template <int count, class Number, class Write>
KOKKOS_INLINE_FUNCTION void stage_numbers(int rank, int size, const Number& number,
                                          const Write& write) {
  constexpr int ahead = 4;
  for (int first = rank; first < count; first += ahead * size) {
    decltype(number(0)) value[ahead] = {};
    VRFM_UNROLL
    for (int u = 0; u < ahead; ++u) {
      if (first + u * size < count) value[u] = number(first + u * size);
    }
    VRFM_UNROLL
    for (int u = 0; u < ahead; ++u) {
      if (first + u * size < count) write(first + u * size, value[u]);
    }
  }
}

/// Workers of the product that are threads: unit u of 8 x 16 owns `own_rows` adjacent rows of the
/// tile and every 16th column.
template <class Member, class T, int tile_rows>
class ThreadWorkers {
 public:
  using Word = T;
  static constexpr int rows = tile_rows, cols = team_tile_cols, units = 128;
  static constexpr int depth = 128 / sizeof(T);
  static constexpr std::size_t block_words = depth * (team_tile_rows + 4);

  KOKKOS_INLINE_FUNCTION explicit ThreadWorkers(const Member& member) : member_(member) {}

  KOKKOS_INLINE_FUNCTION int index() const { return member_.team_rank(); }
  KOKKOS_INLINE_FUNCTION int count() const { return member_.team_size(); }
  KOKKOS_INLINE_FUNCTION void barrier() const { member_.team_barrier(); }

  /// block[k][line] = x(first + line, first_k + k)
  template <int lines, bool along_depth, class X>
  KOKKOS_INLINE_FUNCTION void stage(const TeamOperand<along_depth, X>& x, int first, int first_k,
                                    T* block) const {
    stage_numbers<lines * depth>(
        index(), count(),
        [&](int e) {
          return x(first + Place<lines, along_depth>::line(e),
                   first_k + Place<lines, along_depth>::k(e));
        },
        [&](int e, T value) {
          block[Place<lines, along_depth>::k(e) * stride<lines> +
                Place<lines, along_depth>::line(e)] = value;
        });
  }

  /// Whether unit `unit` owns anything of a tile that is cut off at `rows_left` x `cols_left`.
  KOKKOS_INLINE_FUNCTION bool owns(int unit, int rows_left, int cols_left) const {
    return unit < units && own_rows * (unit / 16) < rows_left && unit % 16 < cols_left;
  }

  /// f(row, column, sum) for each element of the unit.
  template <class F>
  KOKKOS_INLINE_FUNCTION void each(int unit, const F& f) {
    VRFM_UNROLL
    for (int r = 0; r < own_rows; ++r) {
      VRFM_UNROLL
      for (int q = 0; q < own_cols; ++q) {
        f(own_rows * (unit / 16) + r, unit % 16 + 16 * q, sum_[r][q]);
      }
    }
  }

  /// Adds `count` products to each element of the unit.
  KOKKOS_INLINE_FUNCTION void multiply(int unit, const T* left, const T* right, int count) {
    left += own_rows * (unit / 16);
    right += unit % 16;
    for (int k = 0; k < count; ++k, left += stride<rows>, right += stride<cols>) {
      const Pack l = *reinterpret_cast<const Pack*>(left);
      T r[own_cols];
      VRFM_UNROLL
      for (int q = 0; q < own_cols; ++q) r[q] = right[16 * q];
      VRFM_UNROLL
      for (int p = 0; p < own_rows; ++p) {
        VRFM_UNROLL
        for (int q = 0; q < own_cols; ++q) sum_[p][q] += l.number[p] * r[q];
      }
    }
  }

 private:
  static constexpr int own_rows = tile_rows / 8, own_cols = cols / 16;

  /// Read as one: strides and units are multiples of its alignment, so its address is one too.
  struct alignas(own_rows * sizeof(T) < 16 ? own_rows * sizeof(T) : 16) Pack {
    T number[std::size_t(own_rows)];
  };

  /// Lines with a gap of 4, so that the 32 places below fall into 32 banks.
  template <int lines>
  static constexpr int stride = lines + 4;

  /// Where element e of a block belongs. Neighbours in e are neighbours in memory, eight of them
  /// (32 bytes) where that is along the depth.
  template <int lines, bool along_depth>
  struct Place {
    KOKKOS_INLINE_FUNCTION static int line(int e) {
      return along_depth ? e / 8 % 4 + e / (4 * depth) * 4 : e % lines;
    }
    KOKKOS_INLINE_FUNCTION static int k(int e) {
      return along_depth ? e % 8 + e / 32 % (depth / 8) * 8 : e / lines;
    }
  };

  const Member& member_;
  T sum_[std::size_t(own_rows)][std::size_t(own_cols)];
};

/// The tile of C from (i0, j0) on: C = op(A) op(B) or C += op(A) op(B), then epilogue(i, j), through
/// `scratch` of 2 block_words words on a 16-byte border. Begins with a barrier, ends without.
template <Op OpA, Op OpB, class Workers, class A, class B, class T, class Epilogue>
KOKKOS_FUNCTION void gemm_tile(Workers& workers, typename Workers::Word* scratch, const A& a,
                               const B& b, Matrix<T> c, Update update, const Epilogue& epilogue,
                               int i0, int j0) {
  const int depth = gemm_depth<OpA, OpB>(a, b);
  const TeamOperand<OpA == Op::none, A> rows{a, c.rows, depth};
  const TeamOperand<OpB == Op::transpose, B> cols{b, c.cols, depth};
  using Sum = sum_type<T>;
  auto* const left = scratch;
  auto* const right = scratch + Workers::block_words;
  // A team with fewer workers than units passes over the tile several times.
  for (int first = 0; first < Workers::units; first += workers.count()) {
    const int unit = first + workers.index();
    const bool active = workers.owns(unit, c.rows - i0, c.cols - j0);
    if (active) {
      workers.each(unit, [&](int i, int j, Sum& sum) {
        const bool add = update == Update::accumulate && i0 + i < c.rows && j0 + j < c.cols;
        sum = add ? Sum(c(i0 + i, j0 + j)) : Sum(0);
      });
    }
    for (int k = 0; k < depth; k += Workers::depth) {
      workers.barrier();  // all have used the blocks before
      workers.template stage<Workers::rows>(rows, i0, k, left);
      workers.template stage<Workers::cols>(cols, j0, k, right);
      workers.barrier();
      if (active) workers.multiply(unit, left, right, math::minimum(depth - k, Workers::depth));
    }
    if (active) {
      workers.each(unit, [&](int i, int j, const Sum& sum) {
        if (i0 + i >= c.rows || j0 + j >= c.cols) return;
        c(i0 + i, j0 + j) = T(sum);
        epilogue(i0 + i, j0 + j);
      });
    }
  }
}

/// All tiles of C, one after another.
template <Op OpA, Op OpB, class Workers, class A, class B, class T, class Epilogue>
KOKKOS_FUNCTION void blocked_gemm(Workers workers, typename Workers::Word* scratch, const A& a,
                                  const B& b, Matrix<T> c, Update update,
                                  const Epilogue& epilogue) {
  for (int i0 = 0; i0 < c.rows; i0 += Workers::rows) {
    for (int j0 = 0; j0 < c.cols; j0 += Workers::cols) {
      gemm_tile<OpA, OpB>(workers, scratch, a, b, c, update, epilogue, i0, j0);
    }
  }
}

/// The team's scratch that a product of T needs, in bytes.
template <class T>
inline constexpr std::size_t team_gemm_scratch =
    2 * ThreadWorkers<int, T, team_tile_rows>::block_words * sizeof(T);

/// The product by the threads of `member`, each taking one element after another.
template <Op OpA, Op OpB, class Member, class A, class B, class T, class Epilogue>
KOKKOS_FUNCTION void team_gemm_by_element(const Member& member, const A& a, const B& b, Matrix<T> c,
                                          Update update, const Epilogue& epilogue) {
  const GemmElement<OpA, OpB, T, Epilogue, A, B> element{a, b, c, update, epilogue};
  for (int e = member.team_rank(); e < c.rows * c.cols; e += member.team_size()) element(e);
}

/// The team's scratch as elements of T; tells nvcc what it cannot see in a function that is called.
template <class Word>
KOKKOS_INLINE_FUNCTION Word* scratch_words(void* scratch) {
#if defined(__CUDA_ARCH__)
  __builtin_assume(__isShared(scratch));
#endif
  return static_cast<Word*>(scratch);
}

/// The product by the threads of `member`. `scratch`: team_gemm_scratch<T> bytes on a 16-byte
/// border; null is slower and has the same bits. No barrier at the end.
template <Op OpA, Op OpB, class Member, class A, class B, class T, class Epilogue>
KOKKOS_FUNCTION VRFM_CALLED void team_gemm(const Member& member, void* scratch, A a, B b,
                                           Matrix<T> c, Update update, Epilogue epilogue) {
  // A narrow result would leave most units without work.
  if (scratch == nullptr || c.cols <= 4 || c.rows <= 2) {
    team_gemm_by_element<OpA, OpB>(member, a, b, c, update, epilogue);
    return;
  }
  using Sum = sum_type<T>;
  auto* const words = scratch_words<Sum>(scratch);
  if (c.rows <= team_low_rows) {
    blocked_gemm<OpA, OpB>(ThreadWorkers<Member, Sum, team_low_rows>(member), words, a, b, c,
                           update, epilogue);
  } else {
    blocked_gemm<OpA, OpB>(ThreadWorkers<Member, Sum, team_tile_rows>(member), words, a, b, c,
                           update, epilogue);
  }
}

}  // namespace vrfm::detail
