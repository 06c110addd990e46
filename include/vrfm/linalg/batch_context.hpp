// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// BatchContext: the verbs of linalg/context.hpp as launches over the whole batch on one
// execution-space instance, in order and without fences. On host spaces a gemm is cut into tiles of
// C, and its epilogue runs while a tile is in cache. On CUDA, cuBLASLt multiplies where CMake found
// it, and patches are gathered for it in chunks; elsewhere a portable product gives each tile of C
// to a team. In programs that link oneDNN or cuDNN, that library multiplies the patches that it
// can.
#pragma once

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/detail/column_sums.hpp>
#include <vrfm/linalg/detail/cublaslt.hpp>
#include <vrfm/linalg/detail/cudnn.hpp>
#include <vrfm/linalg/detail/gathered_gemm.hpp>
#include <vrfm/linalg/detail/host_gemm.hpp>
#include <vrfm/linalg/detail/onednn.hpp>
#include <vrfm/linalg/detail/tiled_gemm.hpp>
#include <vrfm/linalg/tile_context.hpp>

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

/// On hosts f runs on one row (a vector loop inside), on devices on one element.
template <bool by_row, class F>
struct MapElement {
  int cols;
  F f;

  KOKKOS_FUNCTION void operator()(std::int64_t index) const {
    if constexpr (by_row) {
      const int i = static_cast<int>(index);
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < cols; ++j) f(i, j);
    } else {
      f(static_cast<int>(index / cols), static_cast<int>(index % cols));
    }
  }
};

template <class F>
struct RowElement {
  F f;
  KOKKOS_FUNCTION void operator()(int i) const { f(i); }
};

/// Worker w calls f for w, w + workers, ..., with working memory of its own.
template <class F, class T>
struct EachTile {
  F f;
  Matrix<T> memory;  // workers x elements of working memory
  int count;

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int worker) const {
    for (int k = worker; k < count; k += memory.rows) {
      Arena<T> arena(memory.row(worker), static_cast<std::size_t>(memory.cols));
      f(ctx, k, arena);
    }
  }
};

}  // namespace detail

/// `compute`: the precision of products of float matrices.
template <ExecutionSpace Exec, Compute compute = Compute::float32>
class BatchContext {
 public:
  explicit BatchContext(const Exec& exec) : exec_(exec) {
#if defined(KOKKOS_ENABLE_CUDA) && defined(VRFM_HAS_CUBLASLT)
    // Allocates what the stream needs now, not in the first product.
    if constexpr (std::is_same_v<Exec, Kokkos::Cuda>) detail::CublasLt::of(exec);
#endif
  }

  /// The context of a dry run (core/arena.hpp): its verbs launch nothing. `workers`: as in
  /// MeasureContext, which would measure the same but be a third version of the whole program to compile.
  static BatchContext dry_run(const Exec& exec, int workers) {
    BatchContext ctx(exec);
    ctx.dry_workers_ = workers;
    return ctx;
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, Real T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(ConstMatrix<T> a, ConstMatrix<T> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    if (!dry()) launch_gemm<OpA, OpB>(a, b, c, update, epilogue);
  }

  /// The product of bfloat16 operands, at a device's full rate; sums are in float, C is float or
  /// bfloat16.
  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class T, class Epilogue = NoEpilogue>
    requires(std::is_same_v<T, float> || std::is_same_v<T, BFloat16>)
  KOKKOS_FUNCTION void gemm(Matrix<const BFloat16> a, Matrix<const BFloat16> b, Matrix<T> c,
                            Update update, const Epilogue& epilogue = {}) const {
    if (!dry()) launch_on_device<OpA, OpB, BFloat16>(a, b, c, update, epilogue);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(const Patches<T>& a, ConstMatrix<T> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    if (!dry()) launch_gemm<OpA, OpB>(a, b, c, update, epilogue);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(ConstMatrix<T> a, const Patches<T>& b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    if (!dry()) launch_gemm<OpA, OpB>(a, b, c, update, epilogue);
  }

#if defined(KOKKOS_ENABLE_CUDA) && defined(VRFM_HAS_CUBLASLT)
  /// See linalg/weight_gradient.hpp. False, and nothing is launched, if the library cannot.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class T>
    requires std::is_same_v<Exec, Kokkos::Cuda>
  KOKKOS_FUNCTION bool fused_weight_gradient(ConstMatrix<T> dy, ConstMatrix<T> x, Matrix<T> dw,
                                             T* db, Update update) const {
    return !dry() && update == Update::overwrite &&
           detail::cublaslt_weight_gradient<compute, T>(exec_, dy, x, dw, db);
  }
#endif

  VRFM_UNCHECKED_HOST_DEVICE
  template <class F>
  KOKKOS_FUNCTION void map(int rows, int cols, const F& f) const {
    if (!dry()) launch_map(rows, cols, f);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class F>
  KOKKOS_FUNCTION void each_row(int rows, const F& f) const {
    if (dry()) return;
    Kokkos::parallel_for("vrfm::BatchContext::each_row", range<int>(rows),
                         detail::RowElement<F>{f});
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class F, class S>
  KOKKOS_FUNCTION void column_sum(int rows, int cols, const F& f, S* out, Update update) const {
    if (!dry()) detail::launch_column_sums(exec_, rows, cols, f, out, update);
  }

  template <class T, class S>
  KOKKOS_FUNCTION void column_sum(const Matrix<T>& x, S* out, Update update) const {
    column_sum(x.rows, x.cols, Element<std::remove_const_t<T>>{x}, out, update);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class F, class T>
  KOKKOS_FUNCTION void each_tile(int count, const F& f, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int workers = dry() ? dry_workers_ : tile_concurrency(exec_);
    const Matrix<T> memory =
        arena.take(math::minimum(workers, count), static_cast<int>(detail::tile_need<T>(f)));
    if (!dry()) {
      launch_tiles<compute>(exec_, "vrfm::BatchContext::each_tile", memory.rows,
                            detail::EachTile<F, T>{f, memory, count});
    }
    arena.rewind(mark);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class S>
  KOKKOS_FUNCTION S read(const S* number) const {
    return dry() ? S(0) : copy_to_host(number);  // a loop ends on zero
  }

 private:
  KOKKOS_INLINE_FUNCTION bool dry() const { return dry_workers_ > 0; }

  template <class Index>
  auto range(Index count) const {
    return Kokkos::RangePolicy<Exec, LightKernel, Kokkos::IndexType<Index>>(exec_, 0, count);
  }

  template <class S>
  S copy_to_host(const S* number) const {
    using Unmanaged = Kokkos::MemoryTraits<Kokkos::Unmanaged>;
    S value;
    Kokkos::deep_copy(exec_, Kokkos::View<S, Kokkos::HostSpace, Unmanaged>(&value),
                      Kokkos::View<const S, typename Exec::memory_space, Unmanaged>(number));
    exec_.fence();
    return value;
  }

  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue>
  void launch_gemm(const A& a, const B& b, Matrix<T> c, Update update,
                   const Epilogue& epilogue) const {
    if constexpr (is_host_space<Exec>) {
#if defined(VRFM_CONVOLUTIONS_BY_ONEDNN)
      if constexpr (std::is_same_v<Exec, Kokkos::OpenMP> && std::is_same_v<T, float> &&
                    (detail::is_patches<A> || detail::is_patches<B>)) {
        if (finish(detail::onednn_gemm<OpA, OpB>(exec_, a, b, c, update, epilogue), c, epilogue)) {
          return;
        }
      }
#endif
      detail::HostGemmTile<OpA, OpB, T, Epilogue, A, B> tile{a, b, c, update, epilogue, 1, 1};
      tile.cut(static_cast<int>(exec_.concurrency()));
      Kokkos::parallel_for("vrfm::BatchContext::gemm", range<int>(tile.row_parts * tile.col_parts),
                           tile);
    } else if constexpr (detail::is_patches<A> || detail::is_patches<B>) {
      launch_on_patches<OpA, OpB>(a, b, c, update, epilogue);
    } else {
      launch_on_device<OpA, OpB, T>(a, b, c, update, epilogue);
    }
  }

  /// By a library on gathered patches if there is one; in bfloat16 the gathered operands are of
  /// that type.
  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue>
  void launch_on_patches(const A& a, const B& b, Matrix<T> c, Update update,
                         const Epilogue& epilogue) const {
#if defined(KOKKOS_ENABLE_CUDA) && defined(VRFM_HAS_CUBLASLT)
    if constexpr (std::is_same_v<Exec, Kokkos::Cuda>) {
#if defined(VRFM_CONVOLUTIONS_BY_CUDNN)
      if constexpr (std::is_same_v<T, float>) {
        const auto launched = detail::cudnn_gemm<OpA, OpB, compute>(*this, exec_, a, b, c, update);
        if (finish(launched, c, epilogue)) return;
      }
#endif
      constexpr bool rounded = compute == Compute::bfloat16 && std::is_same_v<T, float>;
      using Operand = std::conditional_t<rounded, BFloat16, T>;
      const auto buffer = detail::CublasLt::of(exec_).template operand_buffer<Operand>();
      if (detail::gathered_gemm<OpA, OpB>(*this, buffer, a, b, c, update, epilogue)) return;
    }
#endif
    detail::launch_tiled_gemm<compute, OpA, OpB>(exec_, a, b, c, update, epilogue);
  }

  /// By a library if it can; A and B are matrices of `Operand`.
  template <Op OpA, Op OpB, class Operand, class T, class Epilogue>
  void launch_on_device(Matrix<const Operand> a, Matrix<const Operand> b, Matrix<T> c,
                        Update update, const Epilogue& epilogue) const {
#if defined(KOKKOS_ENABLE_CUDA) && defined(VRFM_HAS_CUBLASLT)
    if constexpr (std::is_same_v<Exec, Kokkos::Cuda>) {
      if (finish(
              detail::cublaslt_gemm<OpA, OpB, compute, Operand>(exec_, a, b, c, update, epilogue),
              c, epilogue)) {
        return;
      }
    }
#endif
    detail::launch_tiled_gemm<compute, OpA, OpB>(exec_, a, b, c, update, epilogue);
  }

  /// Launches the epilogue unless the library did it; returns whether the library launched a
  /// product.
  template <class T, class Epilogue>
  bool finish(detail::Launched launched, Matrix<T> c, const Epilogue& epilogue) const {
    if (launched == detail::Launched::product && !std::is_same_v<Epilogue, NoEpilogue>) {
      launch_map(c.rows, c.cols, epilogue);
    }
    return launched != detail::Launched::nothing;
  }

  template <class F>
  void launch_map(int rows, int cols, const F& f) const {
    constexpr bool by_row = is_host_space<Exec>;
    const std::int64_t count = by_row ? rows : std::int64_t(rows) * cols;
    Kokkos::parallel_for("vrfm::BatchContext::map", range<std::int64_t>(count),
                         detail::MapElement<by_row, F>{cols, f});
  }

  Exec exec_;
  int dry_workers_ = 0;  // 0: verbs are launched
};

}  // namespace vrfm
