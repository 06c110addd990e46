// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// BatchContext: the verbs of linalg/context.hpp as launches over the whole batch on one
// execution-space instance, in order and without fences. Who multiplies is a list of engines
// (engines/list.hpp), which are asked one after the other.
#pragma once

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/linalg/detail/column_sums.hpp>
#include <vrfm/linalg/engines/cublaslt.hpp>
#include <vrfm/linalg/engines/cudnn.hpp>
#include <vrfm/linalg/engines/element.hpp>
#include <vrfm/linalg/engines/host.hpp>
#include <vrfm/linalg/engines/onednn.hpp>
#include <vrfm/linalg/engines/tiled.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/linalg/tile_context.hpp>

namespace vrfm {

namespace detail {

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

/// `precision`: of products of float matrices.
template <ExecutionSpace Exec, Compute precision = Compute::float32, class List = DefaultEngines>
class BatchContext {
 public:
  static constexpr Compute compute = precision;
  /// Whether many small products are better one batch (gemm_batch) than parts of tiles.
  static constexpr bool by_batches = !is_host_space<Exec>;

  explicit BatchContext(const Exec& exec) : exec_(exec) { prepare(List()); }

  const Exec& exec() const { return exec_; }

  /// The context of a dry run (core/arena.hpp) of the whole batch, or of one tile: its verbs launch nothing.
  /// MeasureContext would measure the same tile but be a third version of the whole program to compile.
  static BatchContext dry_run(const Exec& exec, Execution execution = Execution::batch) {
    BatchContext ctx(exec);
    ctx.measures_tile_ = execution == Execution::tiles;
    ctx.dry_workers_ = ctx.measures_tile_ ? 1 : tile_concurrency(exec);
    return ctx;
  }

  /// Whether the verbs are those of a dry run of one tile.
  KOKKOS_INLINE_FUNCTION bool measures_tile() const { return measures_tile_; }

  /// Of two BFloat16 operands at a device's full rate.
  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(Matrix<A> a, Matrix<B> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    if (!dry()) {
      ask<OpA, OpB>(List(), Matrix<const A>(a), Matrix<const B>(b), c, update, epilogue);
    }
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class A, class B, class T>
  KOKKOS_FUNCTION void gemm_batch(const BatchCounts& counts, const MatrixBatch<A>& a,
                                  const MatrixBatch<B>& b, const MatrixBatch<T>& c,
                                  Update update) const {
    if (dry() || counts.all() == 0) return;
    ask_for_batch<OpA, OpB>(List(), counts, MatrixBatch<const A>(a), MatrixBatch<const B>(b), c,
                            update);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(const Patches<A>& a, Matrix<B> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    if (!dry()) ask<OpA, OpB>(List(), a, Matrix<const B>(b), c, update, epilogue);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(Matrix<A> a, const Patches<B>& b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    if (!dry()) ask<OpA, OpB>(List(), Matrix<const A>(a), b, c, update, epilogue);
  }

  /// See linalg/weight_gradient.hpp. False, and nothing is launched, if no engine can.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class T>
  KOKKOS_FUNCTION bool fused_weight_gradient(ConstMatrix<T> dy, ConstMatrix<T> x, Matrix<T> dw,
                                             T* db, Update update) const {
    return !dry() && update == Update::overwrite && weight_gradient(List(), dy, x, dw, db);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class F>
  KOKKOS_FUNCTION void map(int rows, int cols, const F& f) const {
    if (!dry()) launch_map(rows, cols, f);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class F>
  KOKKOS_FUNCTION void each_row(int rows, const F& f) const {
    if (dry()) return;
    launch_each(exec_, "vrfm::BatchContext::each_row", rows, detail::RowElement<F>{f});
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

  template <class S>
  S copy_to_host(const S* number) const {
    using Unmanaged = Kokkos::MemoryTraits<Kokkos::Unmanaged>;
    S value;
    Kokkos::deep_copy(exec_, Kokkos::View<S, Kokkos::HostSpace, Unmanaged>(&value),
                      Kokkos::View<const S, typename Exec::memory_space, Unmanaged>(number));
    exec_.fence();
    return value;
  }

  template <class... Engine>
  void prepare(Engines<Engine...>) const {
    (prepare_one<Engine>(), ...);
  }
  template <class Engine>
  void prepare_one() const {
    if constexpr (requires { Engine::prepare(exec_); }) Engine::prepare(exec_);
  }

  /// The first engine that can.
  template <Op OpA, Op OpB, class First, class... Rest, class A, class B, class T, class Epilogue>
  void ask(Engines<First, Rest...>, const A& a, const B& b, Matrix<T> c, Update update,
           const Epilogue& epilogue) const {
    static_assert(std::is_same_v<sum_type<detail::element_of<A>>, sum_type<T>> &&
                      std::is_same_v<sum_type<detail::element_of<B>>, sum_type<T>>,
                  "vrfm: a product's operands are of float and BFloat16, or all of double");
    if constexpr (!First::template takes<Exec, A, B>) {
      ask<OpA, OpB>(Engines<Rest...>(), a, b, c, update, epilogue);
    } else if constexpr (First::complete) {
      First::template gemm<OpA, OpB>(*this, a, b, c, update, epilogue);
    } else {
      const Launched launched = First::template gemm<OpA, OpB>(*this, a, b, c, update, epilogue);
      if (launched == Launched::nothing) {
        ask<OpA, OpB>(Engines<Rest...>(), a, b, c, update, epilogue);
      } else if (launched == Launched::product && !std::is_same_v<Epilogue, NoEpilogue>) {
        launch_map(c.rows, c.cols, epilogue);
      }
    }
  }

  /// The first engine that can; the last one of every list can.
  template <Op OpA, Op OpB, class First, class... Rest, class A, class B, class T>
  void ask_for_batch(Engines<First, Rest...>, const BatchCounts& counts, const MatrixBatch<A>& a,
                     const MatrixBatch<B>& b, const MatrixBatch<T>& c, Update update) const {
    constexpr bool able = First::template takes<Exec, Matrix<A>, Matrix<B>> && requires {
      First::template gemm_batch<OpA, OpB>(*this, counts, a, b, c, update);
    };
    if constexpr (able) {
      if (First::template gemm_batch<OpA, OpB>(*this, counts, a, b, c, update)) return;
    }
    if constexpr (sizeof...(Rest) > 0) {
      ask_for_batch<OpA, OpB>(Engines<Rest...>(), counts, a, b, c, update);
    }
  }

  template <class... Engine, class T>
  bool weight_gradient(Engines<Engine...>, ConstMatrix<T> dy, ConstMatrix<T> x, Matrix<T> dw,
                       T* db) const {
    return (weight_gradient_by<Engine>(dy, x, dw, db) || ...);
  }
  template <class Engine, class T>
  bool weight_gradient_by(ConstMatrix<T> dy, ConstMatrix<T> x, Matrix<T> dw, T* db) const {
    if constexpr (requires { Engine::weight_gradient(*this, dy, x, dw, db); }) {
      return Engine::weight_gradient(*this, dy, x, dw, db);
    } else {
      return false;
    }
  }

  template <class F>
  void launch_map(int rows, int cols, const F& f) const {
    constexpr bool by_row = is_host_space<Exec>;
    const std::int64_t count = by_row ? rows : std::int64_t(rows) * cols;
    launch_each(exec_, "vrfm::BatchContext::map", count, detail::MapElement<by_row, F>{cols, f});
  }

  Exec exec_;
  int dry_workers_ = 0;  // 0: verbs are launched
  bool measures_tile_ = false;
};

/// The context of a whole batch for the products of a flow or a field.
template <class Exec, class F>
using BatchContextOf =
    BatchContext<Exec, products_of<F>::compute, typename products_of<F>::engines>;

}  // namespace vrfm
