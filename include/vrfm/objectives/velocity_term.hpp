// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What objectives share: VelocityPass, one evaluation of a velocity network that a backward pass may
// follow; ConditionedVelocity, any number of them under one z and c; and VelocityError,
// the loss of an answer, weight(t) sum_j d(v_j - u_j), with its gradient.
#pragma once

#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/objectives/adaptive_weight.hpp>
#include <vrfm/objectives/distance.hpp>
#include <vrfm/paths/stochastic_path.hpp>
#include <vrfm/paths/time_sampler.hpp>

namespace vrfm {

/// Says in one sentence what a part of an objective lacks.
template <class Path, class Times, class D, class W>
struct RequireLossParts {
  static_assert(ConditionalPath<Path>,
                "vrfm: a schedule needs at(T t) const -> ScheduleValue<T>, for float and double; a "
                "path with noise is a StochasticPath");
  static_assert(TimeSampler<Times>,
                "vrfm: a time sampler needs draw<T>(const RandomStream&, std::uint64_t sample, "
                "std::uint32_t step) const -> T");
  static_assert(Distance<D>, "vrfm: a distance needs evaluate(T error) const -> ErrorAndSlope<T>");
  static_assert(TimeWeight<W>, "vrfm: a weight over t needs operator()(T t) const -> T");
  static constexpr bool ok =
      ConditionalPath<Path> && TimeSampler<Times> && Distance<D> && TimeWeight<W>;
};

/// Throws std::invalid_argument if the networks have a posterior, which must tell z of each pair. Without one z is
/// that of the coupling. `other`: the objective that trains a posterior.
template <class Networks>
void check_no_posterior(const Networks& networks, const char* name, const std::string& other) {
  const int latent = networks.velocity.inputs().latent;
  expect(latent == 0 || networks.posterior.latent() == 0, name,
         " trains a flow without latent variable, got latent = ", latent, "; use ", other);
}

/// Throws std::invalid_argument unless the networks have a second time.
template <class Networks>
void check_second_time(const Networks& networks, const char* name) {
  expect(networks.velocity.inputs().second_time, name,
         " trains a flow map u(x, t, s): expected a velocity network with a second time");
}

/// Row function: losses(i, 0) = factor weight(t) sum_j d(v - u); v becomes the gradient of row_weight
/// times that and the adaptive weight of sum_j d.
template <class T, Distance D = SquaredDistance, TimeWeight W = UnitWeight>
struct VelocityError {
  ConstMatrix<T> t, u;
  Matrix<T> v;
  Matrix<T> losses;
  T factor;
  T row_weight;
  D distance = {};
  W time_weight = {};
  AdaptiveWeight adaptive = {};

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T scale = factor * time_weight(t(i, 0));
    T sum = T(0);
    for (int j = 0; j < v.cols; ++j) {
      const auto error = distance.evaluate(v(i, j) - u(i, j));
      sum += error.value;
      v(i, j) = row_weight * scale * error.slope;
    }
    losses(i, 0) = scale * sum;
    if (adaptive.power == 0) return;
    const T w = adaptive.at(sum, v.cols);
    for (int j = 0; j < v.cols; ++j) v(i, j) *= w;
  }
};

/// Row function: the gradient of v(x_t, t) - u with respect to x0, dx0 = sigma(t) dx_t - sigma'(t) dv, where dx0 is
/// dx_t before.
template <class T, Schedule Path>
struct SourceGradient {
  Path path;
  ConstMatrix<T> t, dv;
  Matrix<T> dx0;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const auto at = path.at(t(i, 0));
    for (int j = 0; j < dv.cols; ++j) {
      dx0(i, j) = at.sigma * dx0(i, j) - at.sigma_rate * dv(i, j);
    }
  }
};

/// The same of a path, whose noise does not depend on x0.
template <class Ctx, class T, ConditionalPath Path>
KOKKOS_FUNCTION void source_gradient(const Ctx& ctx, const Path& path, Matrix<const T> t,
                                     Matrix<const T> dv, Matrix<T> dx0) {
  const auto& schedule = schedule_of(path);
  using S = std::remove_cvref_t<decltype(schedule)>;
  ctx.each_row(dx0.rows, SourceGradient<T, S>{schedule, t, dv, dx0});
}

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

/// z and c as a velocity network with parameters of type P prepares them, for any number of evaluations.
template <VelocityModel Model, class T, class P = T>
struct PreparedCondition {
  Matrix<T> value;     ///< rows x prepared_cols(); empty if there is nothing to prepare
  Matrix<T> gradient;  ///< the same, from zero() on: evaluations add theirs
  typename Model::template PreparedSaved<T> saved;

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const Model& model, const P* p,
                               const Condition<T>& condition, int rows, Arena<T>& arena) {
    value = take(model, rows, arena);
    model.prepare(ctx, p, condition, value, &saved, arena);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void zero(const Ctx& ctx, const Model& model, int rows, Arena<T>& arena) {
    gradient = take(model, rows, arena);
    ctx.map(gradient.rows, gradient.cols, Fill<T>{gradient, T(0)});
  }

  /// Gradients of what zero() and the evaluations left: of the parameters, and of z into dz unless that
  /// is empty.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const Model& model, const P* p, Gradient<T> g,
                                Matrix<T> dz, Arena<T>& arena) const {
    model.prepare_backward(ctx, p, g, ConstMatrix<T>(gradient),
                           ConditionGradient<T>{dz, Matrix<T>(), Matrix<T>()}, saved, arena);
  }

 private:
  KOKKOS_INLINE_FUNCTION static Matrix<T> take(const Model& model, int rows, Arena<T>& arena) {
    const int cols = model.prepared_cols();
    return cols > 0 ? arena.take(rows, cols) : Matrix<T>();
  }
};

/// One evaluation of a network whose z and c are prepared, in memory of the arena.
template <VelocityModel Model, class T, class P = T>
struct VelocityEvaluation {
  Matrix<T> v;  ///< rows x dimension
  saved_of<Model, T, P> saved;

  /// v = u(query), with dropout at `draws` unless that is null.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const Model& model, const P* p,
                               const Query<T>& query, ConstMatrix<T> prepared,
                               const DrawAddress* draws, Arena<T>& arena) {
    v = arena.take(query.x.rows, model.dimension());
    model.forward(ctx, p, query, prepared, draws, v, &saved, arena);
  }

  /// The same where no gradient follows: nothing is saved.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION static Matrix<T> stopped(const Ctx& ctx, const Model& model, const P* p,
                                           const Query<T>& query, ConstMatrix<T> prepared,
                                           const DrawAddress* draws, Arena<T>& arena) {
    const Matrix<T> v = arena.take(query.x.rows, model.dimension());
    saved_of<Model, T, P>* const unsaved = nullptr;
    model.forward(ctx, p, query, prepared, draws, v, unsaved, arena);
    return v;
  }

  /// Gradients from `dv`: of the parameters, added to dprepared, and of x into dx unless that is empty.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const Model& model, const P* p, Gradient<T> g,
                                ConstMatrix<T> dv, Matrix<T> dprepared, Arena<T>& arena,
                                Matrix<T> dx = {}) const {
    QueryGradient<T> dquery{};
    dquery.x = dx;
    model.backward(ctx, p, g, dv, dquery, dprepared, saved, arena);
  }
};

/// The velocity network of a problem under its condition, for an objective that asks it several times with one dropout
/// mask: prepare() first, and for the gradient begin_backward(), backward() of each evaluation, end_backward().
template <class Networks, class T>
struct ConditionedVelocity {
  using Model = VelocityOf<Networks>;
  using P = storage_of<Networks, T>;
  using Evaluation = VelocityEvaluation<Model, T, P>;

  const LossProblem<Networks, T>& problem;
  PreparedCondition<Model, T, P> prepared = {};
  Gradient<T> gradient =
      problem.gradient;  ///< of the parameters; evaluations behind the first add theirs

  KOKKOS_INLINE_FUNCTION const Model& model() const { return problem.networks.velocity; }
  KOKKOS_INLINE_FUNCTION ConstMatrix<T> condition() const { return prepared.value; }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void prepare(const Ctx& ctx, Arena<T>& arena) {
    prepared.forward(ctx, model(), problem.parameters, problem.condition, problem.rows(), arena);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const Query<T>& query, Evaluation& evaluation,
                               Arena<T>& arena) const {
    evaluation.forward(ctx, model(), problem.parameters, query, condition(), problem.dropout(),
                       arena);
  }

  /// The answer where no gradient follows.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION Matrix<T> stopped(const Ctx& ctx, const Query<T>& query, Arena<T>& arena) const {
    return Evaluation::stopped(ctx, model(), problem.parameters, query, condition(),
                               problem.dropout(), arena);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void begin_backward(const Ctx& ctx, Arena<T>& arena) {
    prepared.zero(ctx, model(), problem.rows(), arena);
  }

  /// evaluation.v is the gradient of what it was.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const Evaluation& evaluation, Arena<T>& arena) {
    evaluation.backward(ctx, model(), problem.parameters, gradient, evaluation.v, prepared.gradient,
                        arena);
    gradient.accumulate = true;
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void end_backward(const Ctx& ctx, Arena<T>& arena) const {
    prepared.backward(ctx, model(), problem.parameters, problem.gradient, problem.dz, arena);
  }
};

/// One evaluation with a condition of its own.
template <VelocityModel Model, class T, class P = T>
struct VelocityPass {
  Matrix<T> v;  ///< rows x dimension
  PreparedCondition<Model, T, P> prepared;
  VelocityEvaluation<Model, T, P> evaluation;

  /// v = u(query | condition), with dropout at `draws` unless that is null.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const Model& model, const P* p,
                               const Condition<T>& condition, const Query<T>& query,
                               const DrawAddress* draws, Arena<T>& arena) {
    prepared.forward(ctx, model, p, condition, query.x.rows, arena);
    evaluation.forward(ctx, model, p, query, ConstMatrix<T>(prepared.value), draws, arena);
    v = evaluation.v;
  }

  /// Gradients from `dv`: of the parameters, and of z and x into dz and dx unless these are empty.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const Model& model, const P* p, Gradient<T> g,
                                ConstMatrix<T> dv, Matrix<T> dz, Arena<T>& arena,
                                Matrix<T> dx = {}) {
    const auto mark = arena.used();
    prepared.zero(ctx, model, dv.rows, arena);
    evaluation.backward(ctx, model, p, g, dv, prepared.gradient, arena, dx);
    prepared.backward(ctx, model, p, g, dz, arena);
    arena.rewind(mark);
  }
};

}  // namespace vrfm
