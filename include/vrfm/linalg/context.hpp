// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The Context concept: the few verbs in which every layer, objective and integrator is written,
// once. Three types meet it:
//   BatchContext   each verb is a launch over the whole batch, or nothing in the dry run that sizes the
//                  arena                                                  (batch_context.hpp)
//   TileContext    each verb runs inside one kernel, on a tile of rows    (tile_context.hpp)
//   MeasureContext each verb does nothing: the dry run of what only tiles run (here)
//
// Verbs (all matrices are row-major slices, vrfm/core/matrix.hpp):
//   gemm<OpA, OpB>(A, B, C, update, epilogue)
//                           C = op(A) op(B), or C += ...; then epilogue(i, j) for each element of
//                           C. Each matrix may be of float or BFloat16, with sums in float, or all are
//                           of double. For convolutions, A of a (none, transpose) or B of a (transpose, none)
//                           product may be Patches (linalg/patches.hpp) of
//                           float, BFloat16 or double
//   gemm_batch<OpA, OpB>(counts, A, B, C, update)
//                           the products of the matrices of three batches (linalg/matrix_batch.hpp)
//   map(rows, cols, f)      f(i, j) once for each element, in any order, all independent
//   each_row(rows, f)       f(i) once for each row
//   column_sum(rows, cols, f, out, update)
//                           out[j] = sum_i f(i, j), or +=; summed in a fixed order. Also of a matrix:
//                           column_sum(X, out, update)
//   each_tile(count, f, arena)  f(tile, k, arena) once for each k < count, all independent; `tile` is a
//                           context whose verbs may share f's working memory
//   read(p)                 the number at p in whoever runs this code, who may branch on it: the
//                           only verb that waits for those before it
// A verb's results are visible to the next verb. Function objects are trivially copyable structs
// with `KOKKOS_FUNCTION operator() const`.
#pragma once

#include <vrfm/core/arena.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/linalg/matrix_batch.hpp>
#include <vrfm/linalg/patches.hpp>

namespace vrfm {

/// How a gemm reads an operand.
enum class Op { none, transpose };

/// Whether a result replaces what its destination held or is added to it.
enum class Update { overwrite, accumulate };

/// In what precision a device multiplies float matrices: what operands are rounded to on their way
/// into the multiplier. Sums and results are float. Host spaces, devices without such multipliers,
/// and products of double compute in their own type, whatever is asked for.
enum class Compute {
  float32,  ///< operands as they are
  tf32,     ///< 10 bits of mantissa, float's range
  bfloat16  ///< 7 bits of mantissa, float's range
};

/// e, the largest relative error of a rounded operand. A product's relative error is then at most
/// 2 e + e^2, and a sum's error at most that times sum |a| |b|, besides float's roundings. TF32
/// hardware may cut the operand off (e = 2^-10); bfloat16 is rounded to nearest (e = 2^-8).
constexpr double operand_error(Compute compute) {
  return compute == Compute::float32 ? 0 : compute == Compute::tf32 ? 1.0 / 1024 : 1.0 / 256;
}

/// The epilogue that does nothing.
struct NoEpilogue {
  KOKKOS_INLINE_FUNCTION void operator()(int, int) const {}
};

/// The row function that does nothing; the concept below uses it.
struct NoRowFunction {
  KOKKOS_INLINE_FUNCTION void operator()(int) const {}
};

/// f(i, j) = x(i, j)
template <class T>
struct Element {
  ConstMatrix<T> x;
  KOKKOS_INLINE_FUNCTION T operator()(int i, int j) const { return x(i, j); }
};

template <class C>
concept Context = requires(const C& ctx, Matrix<float> a, Matrix<float> c, float* sums) {
  ctx.template gemm<Op::none, Op::transpose>(a, a, c, Update::overwrite, NoEpilogue{});
  ctx.map(1, 1, NoEpilogue{});
  ctx.each_row(1, NoRowFunction{});
  ctx.column_sum(1, 1, Element<float>{}, sums, Update::overwrite);
  ctx.column_sum(a, sums, Update::overwrite);
  { ctx.read(sums) } -> std::same_as<float>;
};

struct MeasureContext;

namespace detail {

/// Elements of working memory that one call of an each_tile function takes.
template <class T, class F>
KOKKOS_FUNCTION std::size_t tile_need(const F& f);

/// gemm_batch where the products follow one another.
VRFM_UNCHECKED_HOST_DEVICE
template <Op OpA, Op OpB, class Ctx, class A, class B, class T>
KOKKOS_FUNCTION void gemm_batch_in_turn(const Ctx& ctx, const BatchCounts& counts,
                                        const MatrixBatch<A>& a, const MatrixBatch<B>& b,
                                        const MatrixBatch<T>& c, Update update) {
  for (int k = 0; k < counts.all(); ++k) {
    ctx.template gemm<OpA, OpB>(a.at(k, counts), b.at(k, counts), c.at(k, counts), update);
  }
}

}  // namespace detail

/// The context of a dry run: see arena.hpp. `workers`: how many tiles each_tile runs at a time in
/// the context that is measured (tile_concurrency for BatchContext).
struct MeasureContext {
  int workers = 1;

  template <Op, Op, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(Matrix<A>, Matrix<B>, Matrix<T>, Update, const Epilogue& = {}) const {}

  template <Op, Op, class A, class B, class T>
  KOKKOS_FUNCTION void gemm_batch(const BatchCounts&, const MatrixBatch<A>&, const MatrixBatch<B>&,
                                  const MatrixBatch<T>&, Update) const {}

  template <class F>
  KOKKOS_FUNCTION void map(int, int, const F&) const {}

  template <class F>
  KOKKOS_FUNCTION void each_row(int, const F&) const {}

  template <Op, Op, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(const Patches<A>&, Matrix<B>, Matrix<T>, Update,
                            const Epilogue& = {}) const {}
  template <Op, Op, class A, class B, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(Matrix<A>, const Patches<B>&, Matrix<T>, Update,
                            const Epilogue& = {}) const {}

  template <class T, class S>
  KOKKOS_FUNCTION void column_sum(const Matrix<T>&, S*, Update) const {}
  template <class F, class S>
  KOKKOS_FUNCTION void column_sum(int, int, const F&, S*, Update) const {}

  template <class F, class T>
  KOKKOS_FUNCTION void each_tile(int count, const F& f, Arena<T>& arena) const {
    const auto mark = arena.used();
    arena.take(math::minimum(workers, count), static_cast<int>(detail::tile_need<T>(f)));
    arena.rewind(mark);
  }

  /// Always zero: a loop must end on zero.
  template <class S>
  KOKKOS_FUNCTION S read(const S*) const {
    return S(0);
  }
};

template <class T, class F>
KOKKOS_FUNCTION std::size_t detail::tile_need(const F& f) {
  auto arena = Arena<T>::measure();
  f(MeasureContext{}, 0, arena);
  return Arena<T>::padded(arena.peak());
}

}  // namespace vrfm
