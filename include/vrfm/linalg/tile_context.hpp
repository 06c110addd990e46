// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TileContext: the verbs of linalg/context.hpp inside one kernel, on a tile of samples. On host
// spaces a tile belongs to one thread and its activations stay in that core's cache; elsewhere it
// belongs to a team. launch_tiles starts the kernel; a user's own kernel may build the context
// itself (`TileContext<Kokkos::OpenMP>{}` on a host thread, `TileContext<Kokkos::Cuda>{member}` in a
// team).
#pragma once

#include <string>

#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/detail/host_gemm.hpp>
#include <vrfm/linalg/detail/team_gemm.hpp>

namespace vrfm {

template <ExecutionSpace Exec>
class TileContext;

namespace detail {

/// each_tile where there is nobody to share the work with.
template <class Ctx, class F, class T>
KOKKOS_FUNCTION void each_tile_in_turn(const Ctx& ctx, int count, const F& f, Arena<T>& arena) {
  const auto mark = arena.used();
  for (int k = 0; k < count; ++k) {
    f(ctx, k, arena);
    arena.rewind(mark);
  }
}

}  // namespace detail

/// On a host space: the calling thread does everything.
template <ExecutionSpace Exec>
  requires is_host_space<Exec>
class TileContext<Exec> {
 public:
  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(ConstMatrix<T> a, ConstMatrix<T> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    detail::host_gemm<OpA, OpB, T>(a, b, c, update);
    map(c.rows, c.cols, epilogue);
  }

  template <Op OpA, Op OpB, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(const Patches<T>& a, ConstMatrix<T> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    each_element<OpA, OpB>(a, b, c, update, epilogue);
  }

  template <Op OpA, Op OpB, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(ConstMatrix<T> a, const Patches<T>& b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    each_element<OpA, OpB>(a, b, c, update, epilogue);
  }

  template <class F>
  KOKKOS_FUNCTION void map(int rows, int cols, const F& f) const {
    for (int i = 0; i < rows; ++i) {
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < cols; ++j) f(i, j);
    }
  }

  template <class F>
  KOKKOS_FUNCTION void each_row(int rows, const F& f) const {
    for (int i = 0; i < rows; ++i) f(i);
  }

  template <class F, class S>
  KOKKOS_FUNCTION void column_sum(int rows, int cols, const F& f, S* out, Update update) const {
    if (update == Update::overwrite) {
      for (int j = 0; j < cols; ++j) out[j] = S(0);
    }
    for (int i = 0; i < rows; ++i) {
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < cols; ++j) out[j] += static_cast<S>(f(i, j));
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
    return *number;
  }

 private:
  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue>
  KOKKOS_FUNCTION void each_element(const A& a, const B& b, Matrix<T> c, Update update,
                                    const Epilogue& epilogue) const {
    const detail::GemmElement<OpA, OpB, T, Epilogue, A, B> element{a, b, c, update, epilogue};
    for (std::int64_t k = 0; k < std::int64_t(c.rows) * c.cols; ++k) element(k);
  }
};

/// On a device: the threads of one team share the work; a barrier ends each verb.
template <ExecutionSpace Exec>
  requires(!is_host_space<Exec>)
class TileContext<Exec> {
 public:
  using Member = typename Kokkos::TeamPolicy<Exec>::member_type;

  KOKKOS_FUNCTION explicit TileContext(const Member& member) : member_(member) {}

  template <Op OpA, Op OpB, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(ConstMatrix<T> a, ConstMatrix<T> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    detail::team_gemm<OpA, OpB, Member, T>(member_, a, b, c, update, epilogue);
    member_.team_barrier();
  }

  template <Op OpA, Op OpB, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(const Patches<T>& a, ConstMatrix<T> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    each_element<OpA, OpB>(a, b, c, update, epilogue);
  }

  template <Op OpA, Op OpB, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(ConstMatrix<T> a, const Patches<T>& b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    each_element<OpA, OpB>(a, b, c, update, epilogue);
  }

  template <class F>
  KOKKOS_FUNCTION void map(int rows, int cols, const F& f) const {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows * cols),
                         [&](int index) { f(index / cols, index % cols); });
    member_.team_barrier();
  }

  template <class F>
  KOKKOS_FUNCTION void each_row(int rows, const F& f) const {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, rows), [&](int i) { f(i); });
    member_.team_barrier();
  }

  template <class F, class S>
  KOKKOS_FUNCTION void column_sum(int rows, int cols, const F& f, S* out, Update update) const {
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, cols), [&](int j) {
      S sum = update == Update::accumulate ? out[j] : S(0);
      for (int i = 0; i < rows; ++i) sum += static_cast<S>(f(i, j));
      out[j] = sum;
    });
    member_.team_barrier();
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
  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue>
  KOKKOS_FUNCTION void each_element(const A& a, const B& b, Matrix<T> c, Update update,
                                    const Epilogue& epilogue) const {
    const detail::GemmElement<OpA, OpB, T, Epilogue, A, B> element{a, b, c, update, epilogue};
    Kokkos::parallel_for(Kokkos::TeamThreadRange(member_, c.rows * c.cols),
                         [&](int index) { element(index); });
    member_.team_barrier();
  }

  const Member& member_;
};

namespace detail {

/// Adapts a tile functor to Kokkos' policies.
template <class Exec, class F>
struct TileLaunch {
  F f;

  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_FUNCTION void operator()(int worker) const { f(TileContext<Exec>{}, worker); }

  template <class Member>
    requires requires(const Member& m) { m.league_rank(); }
  KOKKOS_FUNCTION void operator()(const Member& member) const {
    f(TileContext<Exec>(member), member.league_rank());
  }
};

}  // namespace detail

/// How many tiles of `exec` run at the same time: the natural number of workers.
template <ExecutionSpace Exec>
int tile_concurrency(const Exec& exec) {
  if constexpr (is_host_space<Exec>) {
    return static_cast<int>(exec.concurrency());
  } else {
    // Kokkos reports resident threads; a tile's team is 128 of them.
    return math::max(1, static_cast<int>(exec.concurrency()) / 128);
  }
}

/// Calls f(TileContext, worker) for worker = 0 ... workers-1 in one kernel on `exec`.
/// Returns at once; no fence.
template <ExecutionSpace Exec, class F>
void launch_tiles(const Exec& exec, const std::string& label, int workers, const F& f) {
  if (workers == 0) return;
  detail::TileLaunch<Exec, F> body{f};
  if constexpr (is_host_space<Exec>) {
    using Policy = Kokkos::RangePolicy<Exec, LightKernel, Kokkos::IndexType<int>>;
    Policy policy(exec, 0, workers);
    policy.set_chunk_size(1);
    Kokkos::parallel_for(label, policy, body);
  } else {
    Kokkos::parallel_for(label, Kokkos::TeamPolicy<Exec, LightKernel>(exec, workers, 128), body);
  }
}

}  // namespace vrfm
