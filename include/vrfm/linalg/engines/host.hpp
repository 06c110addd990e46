// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products on host spaces: C is cut into tiles (host_gemm.hpp), and an epilogue runs while its tile is in cache.
#pragma once

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/linalg/detail/host_gemm.hpp>
#include <vrfm/linalg/engines/engine.hpp>

namespace vrfm {

namespace detail {

/// Part `part` of `parts` of [0, extent), cut between multiples of `unit`; the last has the rest.
struct Piece {
  int first, count;
  KOKKOS_INLINE_FUNCTION Piece(int extent, int unit, int parts, int part) {
    const std::int64_t units = extent / unit;
    first = static_cast<int>(units * part / parts) * unit;
    const int end = static_cast<int>(units * (part + 1) / parts) * unit;
    count = (part + 1 == parts ? extent : end) - first;
  }
};

/// A host product cut into row_parts x col_parts tiles of C. The cut does not change an element's
/// bits, so it may depend on the number of threads.
template <Op OpA, Op OpB, class T, class Epilogue, class A, class B>
struct HostGemmTile {
  A a;
  B b;
  Matrix<T> c;
  Update update;
  Epilogue epilogue;
  int row_parts, col_parts;

  /// Chooses parts that keep `threads` threads busy. They are as square as possible, because each
  /// part reads and packs its A and its B anew; columns are cut first, because a transposed A is
  /// dearer to pack; and no part is higher than what an epilogue still finds in cache.
  void cut(int threads) {
    const int most_row_parts = math::maximum(1, c.rows / (8 * block_rows));
    const int most_col_parts = math::maximum(1, c.cols / block_cols<T>);
    row_parts = col_parts = 1;
    std::int64_t least = 0;
    for (int cols = 1; cols <= threads; ++cols) {
      if (threads % cols != 0 || cols > most_col_parts) continue;
      const int rows = math::minimum(threads / cols, most_row_parts);
      const std::int64_t cost = std::int64_t(rows) * c.cols + std::int64_t(cols) * c.rows;
      const int busy = rows * cols - row_parts * col_parts;
      if (busy > 0 || (busy == 0 && cost <= least)) {
        row_parts = rows;
        col_parts = cols;
        least = cost;
      }
    }
    if (!std::is_same_v<Epilogue, NoEpilogue>) {
      row_parts *= math::maximum(1, c.rows / (row_parts * 2 * near_rows));
    }
  }

  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_FUNCTION void operator()(int tile) const {
    const Piece rows(c.rows, block_rows, row_parts, tile / col_parts);
    const Piece cols(c.cols, block_cols<T>, col_parts, tile % col_parts);
    host_gemm<OpA, OpB, T>(a, b, c, {rows.first, rows.count, cols.first, cols.count}, update);
    for (int i = rows.first; i < rows.first + rows.count; ++i) {
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = cols.first; j < cols.first + cols.count; ++j) epilogue(i, j);
    }
  }
};

}  // namespace detail

struct HostEngine {
  template <class Exec, class A, class B>
  static constexpr bool takes = is_host_space<Exec> && !std::is_same_v<A, Matrix<const BFloat16>>;
  static constexpr bool complete = true;

  template <Op OpA, Op OpB, class Ctx, class A, class B, class T, class Epilogue>
  static void gemm(const Ctx& ctx, const A& a, const B& b, Matrix<T> c, Update update,
                   const Epilogue& epilogue) {
    using Exec = std::decay_t<decltype(ctx.exec())>;
    using Policy = Kokkos::RangePolicy<Exec, LightKernel, Kokkos::IndexType<int>>;
    detail::HostGemmTile<OpA, OpB, T, Epilogue, A, B> tile{a, b, c, update, epilogue, 1, 1};
    tile.cut(static_cast<int>(ctx.exec().concurrency()));
    Kokkos::parallel_for("vrfm::BatchContext::gemm",
                         Policy(ctx.exec(), 0, tile.row_parts * tile.col_parts), tile);
  }
};

}  // namespace vrfm
