// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products on any device where no vendor's library multiplies: one team for each tile of C (team_gemm.hpp).
// The number of teams does not change an element's bits. On NVIDIA's tensor cores where the context's precision
// asks for them and the device has them.
#pragma once

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/linalg/detail/team_launch.hpp>
#include <vrfm/linalg/detail/tensor_core.hpp>
#include <vrfm/linalg/engines/engine.hpp>

namespace vrfm::detail {

/// Team t computes tile t of C; tiles are numbered row by row.
template <Compute compute, Op OpA, Op OpB, class A, class B, class T, class Epilogue>
struct GemmTiles {
  using Number = sum_type<T>;
  static constexpr bool rounds = compute != Compute::float32 && std::is_same_v<Number, float>;
  static constexpr std::size_t scratch_bytes =
      math::maximum(team_gemm_scratch<Number>,
                    rounds ? 2 * sizeof(std::uint32_t) * tensor_block_words : std::size_t(0));

  A a;
  B b;
  Matrix<T> c;
  Update update;
  Epilogue epilogue;

  KOKKOS_INLINE_FUNCTION int tiles_across() const {
    return (c.cols + team_tile_cols - 1) / team_tile_cols;
  }
  int tiles() const { return (c.rows + team_tile_rows - 1) / team_tile_rows * tiles_across(); }

  template <class Member>
  KOKKOS_FUNCTION void operator()(const Member& member) const {
    compute_tile(member, member.league_rank());
  }

  template <class Member>
  KOKKOS_FUNCTION void compute_tile(const Member& member, int tile) const {
    const int across = tiles_across();
    const int i0 = tile / across * team_tile_rows, j0 = tile % across * team_tile_cols;
    void* scratch = member.team_scratch(0).get_shmem_aligned(static_cast<int>(scratch_bytes), 16);
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    if constexpr (rounds) {
      using Warp = CudaWarp<Member>;
      multiply(WarpWorkers<Warp, compute, team_tile_rows>(Warp{member}), scratch, i0, j0);
    } else {
      multiply(ThreadWorkers<Member, Number, team_tile_rows>(member), scratch, i0, j0);
    }
#else
    multiply(ThreadWorkers<Member, Number, team_tile_rows>(member), scratch, i0, j0);
#endif
    // The epilogue comes after the tile has left the registers: a large epilogue would leave the
    // tile none.
    if constexpr (!std::is_same_v<Epilogue, NoEpilogue>) {
      member.team_barrier();
      const int rows = math::minimum(team_tile_rows, c.rows - i0);
      const int cols = math::minimum(team_tile_cols, c.cols - j0);
      for (int e = member.team_rank(); e < rows * cols; e += member.team_size()) {
        epilogue(i0 + e / cols, j0 + e % cols);
      }
    }
  }

 private:
  template <class Workers>
  KOKKOS_INLINE_FUNCTION void multiply(Workers workers, void* scratch, int i0, int j0) const {
    gemm_tile<OpA, OpB>(workers, scratch_words<typename Workers::Word>(scratch), a, b, c, update,
                        NoEpilogue{}, i0, j0);
  }
};

/// Teams [k tiles, (k + 1) tiles) compute product k.
template <class Tiles, class A, class B, class T>
struct GemmTilesOfBatch {
  BatchCounts counts;
  MatrixBatch<A> a;
  MatrixBatch<B> b;
  MatrixBatch<T> c;
  Update update;
  int tiles;

  template <class Member>
  KOKKOS_FUNCTION void operator()(const Member& member) const {
    const int k = member.league_rank() / tiles;
    const Tiles product{a.at(k, counts), b.at(k, counts), c.at(k, counts), update, {}};
    product.compute_tile(member, member.league_rank() % tiles);
  }
};

}  // namespace vrfm::detail

namespace vrfm {

struct TiledEngine {
  template <class Exec, class A, class B>
  static constexpr bool takes = !is_host_space<Exec>;
  static constexpr bool complete = false;

  template <Op OpA, Op OpB, class Ctx, class A, class B, class T, class Epilogue>
  static Launched gemm(const Ctx& ctx, const A& a, const B& b, Matrix<T> c, Update update,
                       const Epilogue& epilogue) {
    constexpr bool rounded = std::is_same_v<detail::element_of<A>, BFloat16> &&
                             std::is_same_v<detail::element_of<B>, BFloat16>;
    constexpr Compute compute = rounded ? Compute::bfloat16 : Ctx::compute;
    using Tiles = detail::GemmTiles<compute, OpA, OpB, A, B, T, Epilogue>;
    // Most of a team would have no work. Whether operands are rounded must not depend on the number of rows.
    if (c.cols <= 4 || (c.rows <= 2 && !Tiles::rounds)) return Launched::nothing;
    const Tiles tiles{a, b, c, update, epilogue};
    detail::launch_teams(ctx.exec(), "vrfm::BatchContext::gemm", tiles.tiles(),
                         Tiles::scratch_bytes + 16, tiles);
    return Launched::product_and_epilogue;
  }

  template <Op OpA, Op OpB, class Ctx, class A, class B, class T>
  static bool gemm_batch(const Ctx& ctx, const BatchCounts& counts, const MatrixBatch<A>& a,
                         const MatrixBatch<B>& b, const MatrixBatch<T>& c, Update update) {
    constexpr bool rounded = std::is_same_v<A, const BFloat16> && std::is_same_v<B, A>;
    constexpr Compute compute = rounded ? Compute::bfloat16 : Ctx::compute;
    using Tiles = detail::GemmTiles<compute, OpA, OpB, Matrix<A>, Matrix<B>, T, NoEpilogue>;
    if (c.first.cols <= 4) return false;  // as gemm: most of a team would have no work
    const int tiles = Tiles{a.first, b.first, c.first, update, {}}.tiles();
    detail::launch_teams(ctx.exec(), "vrfm::BatchContext::gemm_batch", counts.all() * tiles,
                         Tiles::scratch_bytes + 16,
                         detail::GemmTilesOfBatch<Tiles, A, B, T>{counts, a, b, c, update, tiles});
    return true;
  }
};

/// The same beside a library that multiplies operands of one type.
struct MixedTiledEngine : TiledEngine {
  template <class Exec, class A, class B>
  static constexpr bool takes = TiledEngine::takes<Exec, A, B> && !detail::is_patches<A> &&
                                !detail::is_patches<B> && !std::is_same_v<A, B>;
};

}  // namespace vrfm
