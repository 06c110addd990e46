// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensor cores: D += A B by the 32 threads (lanes) of a CUDA warp, with A of 16 lines and B of 8,
// both in 32-bit words along the depth. A word is one TF32 element (mma.m16n8k8) or two bfloat16
// elements (mma.m16n8k16); in words, the two instructions spread their operands over the lanes
// alike. Layouts: NVIDIA, "Parallel Thread Execution ISA", matrix fragments for mma.m16n8k8 and
// mma.m16n8k16.
#pragma once

#include <vrfm/linalg/detail/team_gemm.hpp>

namespace vrfm::detail {

/// A row or column, and the index in it.
struct FragmentPlace {
  int line, at;
};

/// Line of A and word along the depth in register `r` (0 ... 3) of lane `lane`.
KOKKOS_INLINE_FUNCTION constexpr FragmentPlace left_place(int lane, int r) {
  return {lane / 4 + r % 2 * 8, lane % 4 + r / 2 * 4};
}

/// Line (column) of B and word along the depth in register `r` (0, 1).
KOKKOS_INLINE_FUNCTION constexpr FragmentPlace right_place(int lane, int r) {
  return {lane / 4, lane % 4 + r * 4};
}

/// Row and column of the result in register `r` (0 ... 3).
KOKKOS_INLINE_FUNCTION constexpr FragmentPlace result_place(int lane, int r) {
  return {lane / 4 + r / 2 * 8, lane % 4 * 2 + r % 2};
}

/// Words of a line that one instruction takes, words of a line in scratch, and the distance of
/// lines: with it, the 32 words that a warp reads at once are in 32 banks.
inline constexpr int mma_words = 8, line_words = 32, line_stride = 36;
/// Elements in a word.
template <Compute compute>
inline constexpr int numbers_a_word = compute == Compute::bfloat16 ? 2 : 1;

/// x with 10 bits of mantissa, to nearest, ties away from zero: cvt.rna.tf32.f32.
KOKKOS_INLINE_FUNCTION std::uint32_t tf32_word(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint32_t word;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(x));
  return word;
#else
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  return math::is_finite(x) ? (bits + 0x1000u) & 0xFFFFE000u : bits;
#endif
}

/// Two elements with 7 bits of mantissa, to nearest even; the first in the lower half:
/// cvt.rn.bf16x2.f32.
KOKKOS_INLINE_FUNCTION std::uint32_t bfloat16_word(float first, float second) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
  return word;
#else
  const float x[2] = {first, second};
  std::uint32_t half[2];
  for (int i = 0; i < 2; ++i) {
    const auto bits = __builtin_bit_cast(std::uint32_t, x[i]);
    const std::uint32_t rounded = bits + 0x7FFFu + ((bits >> 16) & 1u);
    half[i] = x[i] == x[i] ? rounded >> 16 : 0x7FFFu;
  }
  return half[0] | half[1] << 16;
#endif
}

/// A block of an operand in scratch.
inline constexpr std::size_t tensor_block_words = team_tile_rows * line_stride;

/// Result tiles (16 x 8) of a warp in a tile of C with `tile_rows` rows, and its lanes' registers.
template <int tile_rows>
struct WarpTiles {
  static constexpr int down = tile_rows == team_tile_rows ? 2 : 1;
  static constexpr int right = tile_rows == team_tile_rows ? 4 : 2;
  static constexpr int across = team_tile_cols / (8 * right);  // warps beside each other

  struct Registers {
    float sum[std::size_t(down)][std::size_t(right)][4];
    std::uint32_t a[std::size_t(down)][4];
    std::uint32_t b[std::size_t(right)][2];
  };
};

/// Workers of blocked_gemm that are warps. `Warp` says how many there are, and runs their lanes.
template <class Warp, Compute compute, int tile_rows>
class WarpWorkers {
  using Tiles = WarpTiles<tile_rows>;

 public:
  using Word = std::uint32_t;
  static constexpr int rows = tile_rows, cols = team_tile_cols;
  static constexpr int units = tile_rows / (16 * Tiles::down) * Tiles::across;
  static constexpr int depth = line_words * numbers_a_word<compute>;
  static constexpr std::size_t block_words = tensor_block_words;

  KOKKOS_INLINE_FUNCTION explicit WarpWorkers(const Warp& warp) : warp_(warp) {}

  KOKKOS_INLINE_FUNCTION int index() const { return warp_.index(); }
  KOKKOS_INLINE_FUNCTION int count() const { return warp_.count(); }
  KOKKOS_INLINE_FUNCTION void barrier() const { warp_.barrier(); }

  /// block[line][word] = the elements of x(first + line, ...) from depth first_k on
  template <int lines, bool along_depth, class X>
  KOKKOS_INLINE_FUNCTION void stage(const TeamOperand<along_depth, X>& x, int first, int first_k,
                                    Word* block) const {
    warp_.each_lane([&](int lane) {
      stage_numbers<lines * line_words>(
          32 * index() + lane, 32 * count(),
          [&](int e) {
            const auto place = block_place<lines, along_depth>(e);
            const int k = first_k + numbers_a_word<compute> * place.at;
            if constexpr (compute == Compute::bfloat16) {
              return bfloat16_word(x(first + place.line, k), x(first + place.line, k + 1));
            } else {
              return tf32_word(x(first + place.line, k));
            }
          },
          [&](int e, Word word) {
            const auto place = block_place<lines, along_depth>(e);
            block[place.line * line_stride + place.at] = word;
          });
    });
  }

  KOKKOS_INLINE_FUNCTION bool owns(int unit, int rows_left, int cols_left) const {
    return unit < units && first_row(unit) < rows_left && first_col(unit) < cols_left;
  }

  template <class F>
  KOKKOS_INLINE_FUNCTION void each(int unit, const F& f) {
    warp_.each_lane([&](int lane) {
      VRFM_UNROLL
      for (int p = 0; p < Tiles::down; ++p) {
        VRFM_UNROLL
        for (int q = 0; q < Tiles::right; ++q) {
          VRFM_UNROLL
          for (int r = 0; r < 4; ++r) {
            const auto place = result_place(lane, r);
            f(first_row(unit) + 16 * p + place.line, first_col(unit) + 8 * q + place.at,
              registers_[lane].sum[p][q][r]);
          }
        }
      }
    });
  }

  /// Beyond `count` the blocks hold zeros.
  KOKKOS_INLINE_FUNCTION void multiply(int unit, const Word* left, const Word* right, int count) {
    left += first_row(unit) * line_stride;
    right += first_col(unit) * line_stride;
    constexpr int step = mma_words * numbers_a_word<compute>;
    for (int k = 0; k < count; k += step, left += mma_words, right += mma_words) {
      warp_.each_lane([&](int lane) {
        auto& own = registers_[lane];
        VRFM_UNROLL
        for (int r = 0; r < 4; ++r) {
          const auto place = left_place(lane, r);
          VRFM_UNROLL
          for (int p = 0; p < Tiles::down; ++p) {
            own.a[p][r] = left[(16 * p + place.line) * line_stride + place.at];
          }
        }
        VRFM_UNROLL
        for (int r = 0; r < 2; ++r) {
          const auto place = right_place(lane, r);
          VRFM_UNROLL
          for (int q = 0; q < Tiles::right; ++q) {
            own.b[q][r] = right[(8 * q + place.line) * line_stride + place.at];
          }
        }
      });
      VRFM_UNROLL
      for (int p = 0; p < Tiles::down; ++p) {
        VRFM_UNROLL
        for (int q = 0; q < Tiles::right; ++q) {
          warp_.template multiply_add<compute>(registers_, p, q);
        }
      }
    }
  }

 private:
  KOKKOS_INLINE_FUNCTION static int first_row(int unit) {
    return unit / Tiles::across * (16 * Tiles::down);
  }
  KOKKOS_INLINE_FUNCTION static int first_col(int unit) {
    return unit % Tiles::across * (8 * Tiles::right);
  }

  /// Where word e of a block belongs. Neighbours in e are neighbours in memory, eight of them (32
  /// bytes) where that is across the lines.
  template <int lines, bool along_depth>
  KOKKOS_INLINE_FUNCTION static FragmentPlace block_place(int e) {
    if constexpr (along_depth) {
      return {e / line_words, e % line_words};
    } else {
      return {e % 8 + e / 32 % (lines / 8) * 8, e / 8 % 4 + e / (4 * lines) * 4};
    }
  }

  Warp warp_;
  typename Warp::template PerLane<typename Tiles::Registers> registers_;
};

#if defined(__CUDACC__)

/// The warps of a CUDA team of 32 n threads. Each of its threads is one lane.
template <class Member>
struct CudaWarp {
  const Member& member;

  template <class R>
  struct PerLane {
    R own;
    KOKKOS_INLINE_FUNCTION R& operator[](int) { return own; }
  };

  KOKKOS_INLINE_FUNCTION int index() const { return member.team_rank() / 32; }
  KOKKOS_INLINE_FUNCTION int count() const { return member.team_size() / 32; }
  KOKKOS_INLINE_FUNCTION void barrier() const { member.team_barrier(); }

  template <class F>
  KOKKOS_INLINE_FUNCTION void each_lane(const F& f) const {
    f(member.team_rank() % 32);
  }

  /// sum[p][q] += a[p] b[q]
  template <Compute compute, class R>
  KOKKOS_INLINE_FUNCTION void multiply_add(PerLane<R>& registers, int p, int q) const {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    float(&d)[4] = registers.own.sum[p][q];
    const std::uint32_t(&a)[4] = registers.own.a[p];
    const std::uint32_t(&b)[2] = registers.own.b[q];
    if constexpr (compute == Compute::bfloat16) {
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
          "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    } else {
      asm volatile(
          "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
          "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
          : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
#else
    static_cast<void>(registers), static_cast<void>(p), static_cast<void>(q);
#endif
  }
};

#endif

/// The product on tensor cores by the threads of `member`. Where this team has none, or C is too
/// narrow for them, by elements in float. That choice is the same for all rows of C. No barrier at
/// the end.
template <Compute compute, Op OpA, Op OpB, class Member, class A, class B, class Epilogue>
KOKKOS_FUNCTION VRFM_CALLED void tensor_core_gemm(const Member& member, void* scratch, A a, B b,
                                                  Matrix<float> c, Update update,
                                                  Epilogue epilogue) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  if (scratch != nullptr && c.cols > 4 && member.team_size() % 32 == 0) {
    using Warp = CudaWarp<Member>;
    auto* const words = scratch_words<std::uint32_t>(scratch);
    if (c.rows <= team_low_rows) {
      blocked_gemm<OpA, OpB>(WarpWorkers<Warp, compute, team_low_rows>(Warp{member}), words, a, b,
                             c, update, epilogue);
    } else {
      blocked_gemm<OpA, OpB>(WarpWorkers<Warp, compute, team_tile_rows>(Warp{member}), words, a, b,
                             c, update, epilogue);
    }
    return;
  }
  team_gemm_by_element<OpA, OpB>(member, a, b, c, update, epilogue);
#else
  team_gemm<OpA, OpB>(member, scratch, a, b, c, update, epilogue);
#endif
}

}  // namespace vrfm::detail
