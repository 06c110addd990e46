// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TeamContext: the verbs of linalg/context.hpp by the threads of one Kokkos team on one tile. Each
// verb ends with a barrier. It is what TileContext is on a device, and works with the teams of
// every execution space.
#pragma once

#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/detail/tensor_core.hpp>

namespace vrfm {

namespace detail {

/// each_tile where nobody shares the work.
template <class Ctx, class F, class T>
KOKKOS_FUNCTION void each_tile_in_turn(const Ctx& ctx, int count, const F& f, Arena<T>& arena) {
  const auto mark = arena.used();
  for (int k = 0; k < count; ++k) {
    f(ctx, k, arena);
    arena.rewind(mark);
  }
}

}  // namespace detail

/// Each thread of the team makes its own from `member`, whose vector length must be 1, and calls
/// the same verbs. Takes team_scratch_bytes of the team's scratch (level 0) if that much is left;
/// without it products are slower, and all are of float32. The bits do not depend on the team's
/// size, and in float32 not on the scratch. TF32 and bfloat16 need a team of whole warps on a GPU
/// of NVIDIA's compute capability 8.0 or later, and products of more than four columns.
template <class Member, Compute compute = Compute::float32>
class TeamContext {
  static constexpr std::size_t bytes = math::maximum(
      math::maximum(detail::team_gemm_scratch<float>, detail::team_gemm_scratch<double>),
      compute == Compute::float32 ? 0 : 2 * sizeof(std::uint32_t) * detail::tensor_block_words);

 public:
  /// What a launch should set aside for a team, with room for a 16-byte border.
  static constexpr std::size_t team_scratch_bytes = bytes + 16;

  KOKKOS_FUNCTION explicit TeamContext(const Member& member)
      : member_(member),
        scratch_(member.team_scratch(0).get_shmem_aligned(static_cast<int>(bytes), 16)) {}

  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(Matrix<A> a, Matrix<B> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    product<OpA, OpB>(Matrix<const A>(a), Matrix<const B>(b), c, update, epilogue);
  }

  template <Op OpA, Op OpB, class A, class B, class T>
  KOKKOS_FUNCTION void gemm_batch(const BatchCounts& counts, const MatrixBatch<A>& a,
                                  const MatrixBatch<B>& b, const MatrixBatch<T>& c,
                                  Update update) const {
    detail::gemm_batch_in_turn<OpA, OpB>(*this, counts, a, b, c, update);
  }

  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(const Patches<A>& a, Matrix<B> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    product<OpA, OpB>(a, Matrix<const B>(b), c, update, epilogue);
  }

  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(Matrix<A> a, const Patches<B>& b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    product<OpA, OpB>(Matrix<const A>(a), b, c, update, epilogue);
  }

  template <class F>
  KOKKOS_FUNCTION void map(int rows, int cols, const F& f) const {
    if (cols > 0) {
      const int size = member_.team_size(), rank = member_.team_rank();
      // The element `size` further on, without a division for each one.
      const int down = size / cols, right = size % cols;
      int i = rank / cols, j = rank % cols;
      while (i < rows) {
        f(i, j);
        i += down;
        j += right;
        if (j >= cols) {
          j -= cols;
          ++i;
        }
      }
    }
    member_.team_barrier();
  }

  template <class F>
  KOKKOS_FUNCTION void each_row(int rows, const F& f) const {
    for (int i = member_.team_rank(); i < rows; i += member_.team_size()) f(i);
    member_.team_barrier();
  }

  /// In eight parts: part p adds the rows p, p + 8, ... in order; then pairs of parts are added,
  /// pairs of pairs, and halves.
  template <class F, class S>
  KOKKOS_FUNCTION void column_sum(int rows, int cols, const F& f, S* out, Update update) const {
    constexpr int cols_at_once = 64;
    static_assert(parts * cols_at_once * sizeof(S) <= bytes);
    S* const shared = static_cast<S*>(scratch_);
    for (int first = 0; shared != nullptr && first < cols; first += cols_at_once) {
      const int count = math::minimum(cols_at_once, cols - first);
      map(parts, count,
          [&](int p, int j) { shared[p * count + j] = part_of_column<S>(rows, f, first + j, p); });
      each_row(count, [&](int j) {
        S sums[parts];
        VRFM_UNROLL
        for (int p = 0; p < parts; ++p) sums[p] = shared[p * count + j];
        finish_column(sums, out[first + j], update);
      });
    }
    if (shared == nullptr) {
      each_row(cols, [&](int j) {
        S sums[parts];
        for (int p = 0; p < parts; ++p) sums[p] = part_of_column<S>(rows, f, j, p);
        finish_column(sums, out[j], update);
      });
    }
  }

  template <class T, class S>
  KOKKOS_FUNCTION void column_sum(const Matrix<T>& x, S* out, Update update) const {
    column_sum(x.rows, x.cols, Element<std::remove_const_t<T>>{x}, out, update);
  }

  template <class F, class T>
  KOKKOS_FUNCTION void each_tile(int count, const F& f, Arena<T>& arena) const {
    detail::each_tile_in_turn(*this, count, f, arena);
  }

  template <class S>
  KOKKOS_FUNCTION S read(const S* number) const {
    const S value = *number;
    member_.team_barrier();  // nobody overwrites the number before all have read it
    return value;
  }

 private:
  static constexpr int parts = 8;

  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue>
  KOKKOS_FUNCTION void product(const A& a, const B& b, Matrix<T> c, Update update,
                               const Epilogue& epilogue) const {
    if constexpr (compute != Compute::float32 && std::is_same_v<T, float>) {
      detail::tensor_core_gemm<compute, OpA, OpB>(member_, scratch_, a, b, c, update, epilogue);
    } else {
      detail::team_gemm<OpA, OpB>(member_, scratch_, a, b, c, update, epilogue);
    }
    member_.team_barrier();
  }

  template <class S, class F>
  KOKKOS_INLINE_FUNCTION static S part_of_column(int rows, const F& f, int j, int part) {
    S sum = S(0);
    for (int i = part; i < rows; i += parts) sum += static_cast<S>(f(i, j));
    return sum;
  }

  template <class S>
  KOKKOS_INLINE_FUNCTION static void finish_column(const S (&s)[parts], S& out, Update update) {
    const S sum = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
    out = update == Update::accumulate ? out + sum : sum;
  }

  const Member& member_;
  void* scratch_;
};

}  // namespace vrfm
