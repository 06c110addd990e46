// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TileContext: the verbs of linalg/context.hpp inside one kernel, on a tile of samples. On host
// spaces a tile belongs to one thread and its activations stay in that core's cache; elsewhere it
// belongs to a team. launch_tiles starts the kernel; a user's own kernel may build the context
// itself (`TileContext<Kokkos::OpenMP>{}` on a host thread, `TileContext<Kokkos::Cuda>{member}` in a
// team).
#pragma once

#include <string>

#include <vrfm/core/launch.hpp>
#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/detail/host_gemm.hpp>
#include <vrfm/linalg/detail/team_launch.hpp>
#include <vrfm/linalg/team_context.hpp>

namespace vrfm {

/// `compute`: the precision of float products where there is a choice, see Compute.
template <ExecutionSpace Exec, Compute compute = Compute::float32>
class TileContext;

/// On a host space: the calling thread does everything.
template <ExecutionSpace Exec, Compute compute>
  requires is_host_space<Exec>
class TileContext<Exec, compute> {
 public:
  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(Matrix<A> a, Matrix<B> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    product<OpA, OpB>(Matrix<const A>(a), Matrix<const B>(b), c, update, epilogue);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class A, class B, class T>
  KOKKOS_FUNCTION void gemm_batch(const BatchCounts& counts, const MatrixBatch<A>& a,
                                  const MatrixBatch<B>& b, const MatrixBatch<T>& c,
                                  Update update) const {
    detail::gemm_batch_in_turn<OpA, OpB>(*this, counts, a, b, c, update);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(const Patches<A>& a, Matrix<B> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    product<OpA, OpB>(a, Matrix<const B>(b), c, update, epilogue);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(Matrix<A> a, const Patches<B>& b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    product<OpA, OpB>(Matrix<const A>(a), b, c, update, epilogue);
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
  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class A, class B, class T, class Epilogue>
  KOKKOS_FUNCTION void product(const A& a, const B& b, Matrix<T> c, Update update,
                               const Epilogue& epilogue) const {
    detail::host_gemm<OpA, OpB, T>(a, b, c, {0, c.rows, 0, c.cols}, update);
    map(c.rows, c.cols, epilogue);
  }
};

/// On a device: the threads of one team share the work.
template <ExecutionSpace Exec, Compute compute>
  requires(!is_host_space<Exec>)
class TileContext<Exec, compute>
    : public TeamContext<typename Kokkos::TeamPolicy<Exec>::member_type, compute> {
 public:
  using Member = typename Kokkos::TeamPolicy<Exec>::member_type;
  using TeamContext<Member, compute>::TeamContext;
};

namespace detail {

/// Adapts a tile functor to Kokkos' policies.
template <class Ctx, class F>
struct TileLaunch {
  F f;

  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_FUNCTION void operator()(int worker) const { f(Ctx{}, worker); }

  template <class Member>
    requires requires(const Member& m) { m.league_rank(); }
  KOKKOS_FUNCTION void operator()(const Member& member) const {
    f(Ctx(member), member.league_rank());
  }
};

}  // namespace detail

/// How many tiles of `exec` run at the same time, which is the natural number of workers.
template <ExecutionSpace Exec>
int tile_concurrency(const Exec& exec) {
  if constexpr (is_host_space<Exec>) {
    return static_cast<int>(exec.concurrency());
  } else {
    using Traits = DeviceTraits<Exec>;
    return math::maximum(1, static_cast<int>(exec.concurrency()) /
                                (Traits::resident_threads / Traits::teams_together));
  }
}

/// Calls f(TileContext, worker) for worker = 0 ... workers-1 in one kernel on `exec`, whose float
/// products are in `compute` precision. Returns at once; no fence.
template <Compute compute = Compute::float32, ExecutionSpace Exec, class F>
void launch_tiles(const Exec& exec, const std::string& label, int workers, const F& f) {
  if (workers == 0) return;
  using Ctx = TileContext<Exec, compute>;
  const detail::TileLaunch<Ctx, F> body{f};
  if constexpr (is_host_space<Exec>) {
    launch_each(exec, label, workers, body);
  } else {
    static_assert(Ctx::team_scratch_bytes <= DeviceTraits<Exec>::team_scratch);
    detail::launch_teams(exec, label, workers, Ctx::team_scratch_bytes, body);
  }
}

}  // namespace vrfm
