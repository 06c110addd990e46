// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What objectives share: VelocityPass, one evaluation of a velocity network that a backward pass may
// follow, and VelocityError, the loss of its answer, weight(t) sum_j d(v_j - u_j), with its gradient.
#pragma once

#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/objectives/distance.hpp>
#include <vrfm/objectives/objective.hpp>
#include <vrfm/paths/schedule.hpp>
#include <vrfm/paths/time_sampler.hpp>

namespace vrfm {

/// Says in one sentence what a part of an objective lacks.
template <class Path, class Times, class D, class W>
struct RequireLossParts {
  static_assert(Schedule<Path>,
                "vrfm: a schedule needs at(T t) const -> ScheduleValue<T>, for float and double");
  static_assert(TimeSampler<Times>,
                "vrfm: a time sampler needs draw<T>(const RandomStream&, std::uint64_t sample, "
                "std::uint32_t step) const -> T");
  static_assert(Distance<D>, "vrfm: a distance needs evaluate(T error) const -> ErrorAndSlope<T>");
  static_assert(TimeWeight<W>, "vrfm: a weight over t needs operator()(T t) const -> T");
  static constexpr bool ok = Schedule<Path> && TimeSampler<Times> && Distance<D> && TimeWeight<W>;
};

/// Row function: losses(i, 0) = factor weight(t) sum_j d(v - u); v becomes the gradient of row_weight
/// times that.
template <class T, Distance D = SquaredDistance, TimeWeight W = UnitWeight>
struct VelocityError {
  ConstMatrix<T> t, u;
  Matrix<T> v;
  Matrix<T> losses;
  T factor;
  T row_weight;
  D distance = {};
  W time_weight = {};

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T scale = factor * time_weight(t(i, 0));
    T sum = T(0);
    for (int j = 0; j < v.cols; ++j) {
      const auto error = distance.evaluate(v(i, j) - u(i, j));
      sum += error.value;
      v(i, j) = row_weight * scale * error.slope;
    }
    losses(i, 0) = scale * sum;
  }
};

/// Row function: d *= weight at the step that the kernel runs in: how a gradient gets a weight that varies
/// over the training.
template <class T>
struct ScaleByStep {
  StepFunction weight;
  StepNumber step;
  Matrix<T> d;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T scale = static_cast<T>(weight.at(std::uint32_t(step)));
    for (int j = 0; j < d.cols; ++j) d(i, j) *= scale;
  }
};

/// One evaluation of a velocity network with parameters of type P, in memory of the arena.
template <VelocityModel Model, class T, class P = T>
struct VelocityPass {
  Matrix<T> v;         ///< rows x dimension
  Matrix<T> prepared;  ///< rows x prepared_cols()
  typename Model::template PreparedSaved<T> prepared_saved;
  saved_of<Model, T, P> saved;

  /// v = u(query | condition), with dropout at `draws` unless that is null.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const Model& model, const P* p,
                               const Condition<T>& condition, const Query<T>& query,
                               const DrawAddress* draws, Arena<T>& arena) {
    const int rows = query.x.rows;
    v = arena.take(rows, model.dimension());
    prepared = take_prepared(model, rows, arena);
    model.prepare(ctx, p, condition, prepared, &prepared_saved, arena);
    model.forward(ctx, p, query, ConstMatrix<T>(prepared), draws, v, &saved, arena);
  }

  /// Gradients from `dv`: of the parameters, and of z into dz unless that is empty.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const Model& model, const P* p, Gradient<T> g,
                                ConstMatrix<T> dv, Matrix<T> dz, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> dprepared = take_prepared(model, dv.rows, arena);
    ctx.map(dprepared.rows, dprepared.cols, Fill<T>{dprepared, T(0)});
    model.backward(ctx, p, g, dv, QueryGradient<T>{}, dprepared, saved, arena);
    model.prepare_backward(ctx, p, g, ConstMatrix<T>(dprepared),
                           ConditionGradient<T>{dz, Matrix<T>(), Matrix<T>()}, prepared_saved,
                           arena);
    arena.rewind(mark);
  }

 private:
  /// Empty where there is nothing to prepare.
  KOKKOS_INLINE_FUNCTION static Matrix<T> take_prepared(const Model& model, int rows,
                                                        Arena<T>& arena) {
    const int cols = model.prepared_cols();
    return cols > 0 ? arena.take(rows, cols) : Matrix<T>();
  }
};

}  // namespace vrfm
