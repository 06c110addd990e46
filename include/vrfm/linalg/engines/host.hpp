// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products on host spaces: C is cut into tiles (host_gemm.hpp), and an epilogue runs while its tile is in cache.
#pragma once

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/core/launch.hpp>
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

/// Into how many parts the rows and the columns of a product are cut.
struct Cut {
  int rows, cols;
};

/// The parts of a product of rows x cols, in blocks of so many columns, that keep `threads` threads busy. They are
/// as square as possible, because each part reads and packs its A and its B anew; columns are cut first, because a
/// transposed A is dearer to pack; and no part is higher than what an epilogue still finds in cache.
inline Cut cut_of(int rows, int cols, int columns_of_block, bool has_epilogue, int threads) {
  const int most_rows = math::maximum(1, rows / (8 * block_rows));
  const int most_cols = math::maximum(1, cols / columns_of_block);
  Cut cut{1, 1};
  std::int64_t least = 0;
  for (int c = 1; c <= threads; ++c) {
    if (threads % c != 0 || c > most_cols) continue;
    const int r = math::minimum(threads / c, most_rows);
    const std::int64_t cost = std::int64_t(r) * cols + std::int64_t(c) * rows;
    const int busy = r * c - cut.rows * cut.cols;
    if (busy > 0 || (busy == 0 && cost <= least)) {
      cut = {r, c};
      least = cost;
    }
  }
  if (has_epilogue) cut.rows *= math::maximum(1, rows / (cut.rows * 2 * near_rows));
  return cut;
}

/// One tile of C. The cut does not change an element's bits, so it may depend on the number of threads.
template <Op OpA, Op OpB, class T, class Epilogue, class A, class B>
struct HostGemmTile {
  A a;
  B b;
  Matrix<T> c;
  Update update;
  Epilogue epilogue;
  Cut cut;

  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_FUNCTION void operator()(int tile) const {
    const Piece rows(c.rows, block_rows, cut.rows, tile / cut.cols);
    const Piece cols(c.cols, block_cols<sum_type<T>>, cut.cols, tile % cut.cols);
    host_gemm<OpA, OpB, T>(a, b, c, {rows.first, rows.count, cols.first, cols.count}, update);
    for (int i = rows.first; i < rows.first + rows.count; ++i) {
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = cols.first; j < cols.first + cols.count; ++j) epilogue(i, j);
    }
  }
};

/// One product of a batch.
template <Op OpA, Op OpB, class A, class B, class T>
struct HostGemmOfBatch {
  BatchCounts counts;
  MatrixBatch<A> a;
  MatrixBatch<B> b;
  MatrixBatch<T> c;
  Update update;

  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_FUNCTION void operator()(int k) const {
    const Matrix<T> out = c.at(k, counts);
    host_gemm<OpA, OpB, T>(a.at(k, counts), b.at(k, counts), out, {0, out.rows, 0, out.cols},
                           update);
  }
};

}  // namespace detail

struct HostEngine {
  template <class Exec, class A, class B>
  static constexpr bool takes = is_host_space<Exec>;
  static constexpr bool complete = true;

  template <Op OpA, Op OpB, class Ctx, class A, class B, class T, class Epilogue>
  static void gemm(const Ctx& ctx, const A& a, const B& b, Matrix<T> c, Update update,
                   const Epilogue& epilogue) {
    const detail::Cut cut = detail::cut_of(c.rows, c.cols, detail::block_cols<sum_type<T>>,
                                           !std::is_same_v<Epilogue, NoEpilogue>,
                                           static_cast<int>(ctx.exec().concurrency()));
    launch_each(ctx.exec(), "vrfm::BatchContext::gemm", cut.rows * cut.cols,
                detail::HostGemmTile<OpA, OpB, T, Epilogue, A, B>{a, b, c, update, epilogue, cut});
  }

  template <Op OpA, Op OpB, class Ctx, class A, class B, class T>
  static bool gemm_batch(const Ctx& ctx, const BatchCounts& counts, const MatrixBatch<A>& a,
                         const MatrixBatch<B>& b, const MatrixBatch<T>& c, Update update) {
    launch_each(ctx.exec(), "vrfm::BatchContext::gemm_batch", counts.all(),
                detail::HostGemmOfBatch<OpA, OpB, A, B, T>{counts, a, b, c, update});
    return true;
  }
};

}  // namespace vrfm
