// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The VelocityModel concept: a network u(x, t, s | z, c) with hand-derived derivatives. What depends on
// z and c alone is computed once for a whole path, by prepare; a model chooses what that is, and it is
// one matrix, so that rows can be left out of it on the way.
//
//   dimension()                       columns of x and of the velocity
//   inputs()                          ModelInputs: what the model takes
//   prepared_cols()                   columns of what prepare writes; 0: nothing
//   PreparedSaved<T>, Saved<T>        what the backward of prepare and of forward read; Saved<T, P> where the
//                                     parameters' type P may be another than T (models/stored.hpp)
//   prepare(ctx, p, condition, prepared, saved, arena)
//                                     prepared: rows x prepared_cols(), overwritten; empty if these are 0
//   prepare_backward(ctx, p, g, dprepared, dcondition, saved, arena)
//   forward(ctx, p, query, prepared, draws, v, saved, arena)
//                                     v: rows x dimension(), overwritten
//   backward(ctx, p, g, dv, dquery, dprepared, saved, arena)
//                                     adds to dprepared unless it is empty, so that several forwards of
//                                     one preparation have one prepare_backward; overwrites dquery
//   tangent(ctx, p, rates, dv, saved, arena)   optional (DifferentiableModel): dv = (dv/dq) rates
//
// p: flat parameters; g: Gradient (layers/parameters.hpp). `saved` is a pointer in prepare and forward:
// null means that nothing follows, and working memory is given back. Dropout happens exactly if `draws`
// (a pointer) is given. The caller keeps x, t, s, the condition and the arena's mark from forward to the
// last backward or tangent.
#pragma once

#include <vrfm/layers/parameters.hpp>
#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/models/condition.hpp>
#include <vrfm/models/stored.hpp>

namespace vrfm {

namespace detail {

template <class M>
concept HasVelocityShape = requires(const M& model) {
  { model.dimension() } -> std::same_as<int>;
  { model.inputs() } -> std::same_as<ModelInputs>;
  { model.prepared_cols() } -> std::same_as<int>;
};

template <class M>
concept HasVelocitySaved = requires {
  typename M::template PreparedSaved<float>;
  typename M::template Saved<float>;
};

template <class M>
concept HasPrepare = requires(
    const M& model, const MeasureContext& ctx, const float* p, Gradient<float> g,
    const Condition<float>& condition, const ConditionGradient<float>& dcondition,
    Matrix<float> out, typename M::template PreparedSaved<float>* saved, Arena<float>& arena) {
  model.prepare(ctx, p, condition, out, saved, arena);
  model.prepare_backward(ctx, p, g, Matrix<const float>(out), dcondition, *saved, arena);
};

template <class M>
concept HasForward =
    requires(const M& model, const MeasureContext& ctx, const float* p, const Query<float>& query,
             Matrix<const float> in, const DrawAddress* draws, Matrix<float> out,
             typename M::template Saved<float>* saved,
             Arena<float>& arena) { model.forward(ctx, p, query, in, draws, out, saved, arena); };

template <class M>
concept HasBackward =
    requires(const M& model, const MeasureContext& ctx, const float* p, Gradient<float> g,
             Matrix<const float> in, const QueryGradient<float>& dquery, Matrix<float> out,
             const typename M::template Saved<float>& saved,
             Arena<float>& arena) { model.backward(ctx, p, g, in, dquery, out, saved, arena); };

}  // namespace detail

template <class M>
concept VelocityModel =
    KernelValue<M> && detail::HasVelocityShape<M> && detail::HasVelocitySaved<M> &&
    detail::HasPrepare<M> && detail::HasForward<M> && detail::HasBackward<M>;

/// A VelocityModel with a derivative in forward mode.
template <class M>
concept DifferentiableModel =
    VelocityModel<M> &&
    requires(const M& model, const MeasureContext& ctx, const float* p, const Query<float>& rates,
             Matrix<float> out, const typename M::template Saved<float>& saved,
             Arena<float>& arena) { model.tangent(ctx, p, rates, out, saved, arena); };

/// Says in one sentence what a velocity model lacks.
template <class M>
struct RequireVelocityModel {
  static_assert(KernelValue<M>,
                "vrfm: a velocity model needs to be trivially copyable, as it travels into "
                "kernels, or `static constexpr bool host_only = true`");
  static_assert(
      detail::HasVelocityShape<M>,
      "vrfm: a velocity model needs dimension() const -> int, inputs() const -> ModelInputs "
      "and prepared_cols() const -> int");
  static_assert(detail::HasVelocitySaved<M>,
                "vrfm: a velocity model needs the member templates PreparedSaved<T> and Saved<T>");
  static_assert(
      !detail::HasVelocitySaved<M> || detail::HasPrepare<M>,
      "vrfm: a velocity model needs prepare(const Ctx&, const T* p, const Condition<T>&, "
      "Matrix<T> prepared, PreparedSaved<T>*, Arena<T>&) const and prepare_backward(const "
      "Ctx&, const T* p, Gradient<T>, ConstMatrix<T> dprepared, const "
      "ConditionGradient<T>&, const PreparedSaved<T>&, Arena<T>&) const");
  static_assert(!detail::HasVelocitySaved<M> || detail::HasForward<M>,
                "vrfm: a velocity model needs forward(const Ctx&, const T* p, const Query<T>&, "
                "ConstMatrix<T> prepared, const DrawAddress* draws, Matrix<T> v, Saved<T>*, "
                "Arena<T>&) const");
  static_assert(!detail::HasVelocitySaved<M> || detail::HasBackward<M>,
                "vrfm: a velocity model needs backward(const Ctx&, const T* p, Gradient<T>, "
                "ConstMatrix<T> dv, const QueryGradient<T>&, Matrix<T> dprepared, const Saved<T>&, "
                "Arena<T>&) const");
  static constexpr bool ok = VelocityModel<M>;
};

/// The velocity model of a flow's networks.
template <class Networks>
using VelocityOf = std::remove_cvref_t<decltype(Networks::velocity)>;

}  // namespace vrfm
