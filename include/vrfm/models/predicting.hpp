// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Predicting: networks whose velocity model predicts the data, the noise or the score, o(x, t | z, c), and is used as
// the velocity v = a(t) x + b(t) o that this is on an affine path (paths/prediction.hpp). Objectives, solvers and
// likelihoods see a velocity model as any other:
//
//   Flow<float, Exec, Predicting<Prediction::data, MlpNetworks<>>>(exec, {.networks = {.dimension = 2}}, seed)
//
// Times of a and b, not those that the network sees, are kept within [first, last]. The path is that of the objective.
// The loss of velocities counts errors of o by b^2, which is large near an end; objectives/prediction_weight.hpp has
// the weight of o's own loss. Parameters have the names of the inner networks; what is predicted is a note of the
// file, so that no others read it. A flow map's mean velocity from t to s is no such combination, and is refused.
#pragma once

#include <vrfm/models/latent_model.hpp>
#include <vrfm/models/velocity_model.hpp>
#include <vrfm/paths/prediction.hpp>

namespace vrfm {

namespace detail {

/// Row: a, b and their rates at its time.
template <Prediction prediction, class T, class Path>
struct FactorRows {
  Path path;
  PredictionTimes<prediction, Path> times;
  ConstMatrix<T> t;
  Matrix<T> factors;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T within = times.within(t(i, 0));
    const auto s = path.at(within);
    const auto f = velocity_factors<prediction>(s);
    factors(i, 0) = f.x;
    factors(i, 1) = f.output;
    const bool moves = within == t(i, 0);
    const auto rates = velocity_factor_rates<prediction>(s, path.curvature(within));
    factors(i, 2) = moves ? rates.x : T(0);
    factors(i, 3) = moves ? rates.output : T(0);
  }
};

/// Element: v = a x + b o, where o may be v.
template <class T>
struct ToVelocity {
  ConstMatrix<T> factors, x, o;
  Matrix<T> v;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    v(i, j) = factors(i, 0) * x(i, j) + factors(i, 1) * o(i, j);
  }
};

/// Element: d_o = b dv.
template <class T>
struct ToOutputGradient {
  ConstMatrix<T> factors, dv;
  Matrix<T> d_o;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    d_o(i, j) = factors(i, 1) * dv(i, j);
  }
};

/// Element: dx += a dv.
template <class T>
struct AddInputGradient {
  ConstMatrix<T> factors, dv;
  Matrix<T> dx;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    dx(i, j) += factors(i, 0) * dv(i, j);
  }
};

/// Row: dt += sum_j (a' x + b' o) dv.
template <class T>
struct AddTimeGradient {
  ConstMatrix<T> factors, x, o, dv;
  Matrix<T> dt;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    T sum = T(0);
    for (int j = 0; j < x.cols; ++j) {
      sum += (factors(i, 2) * x(i, j) + factors(i, 3) * o(i, j)) * dv(i, j);
    }
    dt(i, 0) += sum;
  }
};

/// Element: dv = b dv + a dx + (a' x + b' o) dt, where dv is d_o before; dt and dx may be empty.
template <class T>
struct ToVelocityTangent {
  ConstMatrix<T> factors, x, o, dt, dx;
  Matrix<T> dv;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    T d = factors(i, 1) * dv(i, j);
    if (!dx.empty()) d += factors(i, 0) * dx(i, j);
    if (!dt.empty()) d += (factors(i, 2) * x(i, j) + factors(i, 3) * o(i, j)) * dt(i, 0);
    dv(i, j) = d;
  }
};

template <class Model, class T, class P>
concept SavesFor = std::same_as<T, P> || requires { typename Model::template Saved<T, P>; };

}  // namespace detail

/// The velocity of a model that predicts something else.
template <Prediction prediction, VelocityModel Model, Schedule Path = LinearSchedule>
class PredictingVelocity {
  static_assert(DifferentiableSchedule<Path>,
                "vrfm: a prediction needs a schedule with curvature(T t) const -> "
                "ScheduleCurvature<T>, for float and "
                "double, its second derivatives");

 public:
  static constexpr bool host_only = vrfm::host_only<Model>;

  template <class T>
  using PreparedSaved = typename Model::template PreparedSaved<T>;

  template <class T, class P = T>
    requires detail::SavesFor<Model, T, P>
  struct Saved {
    saved_of<Model, T, P> model;
    Matrix<T> output, factors;
    ConstMatrix<T> x;
  };

  PredictingVelocity() = default;

  /// Throws std::invalid_argument for impossible times, or a model with a second time.
  explicit PredictingVelocity(const Model& model, const Path& path = {},
                              const PredictionTimes<prediction, Path>& times = {})
      : model_(model), path_(path), times_(times) {
    if constexpr (requires { path.check(); }) path.check();
    times.check();
    expect(!model.inputs().second_time,
           "a flow map's mean velocity from t to s is no prediction of data, noise or score: "
           "expected networks "
           "without a second time");
  }

  /// What predicts.
  KOKKOS_INLINE_FUNCTION const Model& model() const { return model_; }

  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_INLINE_FUNCTION int dimension() const { return model_.dimension(); }
  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const { return model_.inputs(); }
  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_INLINE_FUNCTION int prepared_cols() const { return model_.prepared_cols(); }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void prepare(const Ctx& ctx, const P* p, const Condition<T>& condition,
                               Matrix<T> prepared, PreparedSaved<T>* saved, Arena<T>& arena) const {
    model_.prepare(ctx, p, condition, prepared, saved, arena);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void prepare_backward(const Ctx& ctx, const P* p, Gradient<T> g,
                                        ConstMatrix<T> dprepared,
                                        const ConditionGradient<T>& dcondition,
                                        const PreparedSaved<T>& saved, Arena<T>& arena) const {
    model_.prepare_backward(ctx, p, g, dprepared, dcondition, saved, arena);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, const Query<T>& query,
                               ConstMatrix<T> prepared, const DrawAddress* draws, Matrix<T> v,
                               Saved<T, P>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> factors = factors_at(ctx, query.t, v.rows, arena);
    if (saved == nullptr) {
      saved_of<Model, T, P>* const unsaved = nullptr;
      model_.forward(ctx, p, query, prepared, draws, v, unsaved, arena);
      ctx.map(v.rows, v.cols, detail::ToVelocity<T>{factors, query.x, v, v});
      arena.rewind(mark);
      return;
    }
    saved->factors = factors;
    saved->output = arena.take(v.rows, v.cols);
    saved->x = query.x;
    model_.forward(ctx, p, query, prepared, draws, saved->output, &saved->model, arena);
    ctx.map(v.rows, v.cols, detail::ToVelocity<T>{factors, query.x, saved->output, v});
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> dv,
                                const QueryGradient<T>& dquery, Matrix<T> dprepared,
                                const Saved<T, P>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> d_o = arena.take(dv.rows, dv.cols);
    ctx.map(dv.rows, dv.cols, detail::ToOutputGradient<T>{saved.factors, dv, d_o});
    model_.backward(ctx, p, g, ConstMatrix<T>(d_o), dquery, dprepared, saved.model, arena);
    if (!dquery.x.empty()) {
      ctx.map(dv.rows, dv.cols, detail::AddInputGradient<T>{saved.factors, dv, dquery.x});
    }
    if (!dquery.t.empty()) {
      ctx.each_row(dv.rows,
                   detail::AddTimeGradient<T>{saved.factors, saved.x, saved.output, dv, dquery.t});
    }
    arena.rewind(mark);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class P, class T>
    requires DifferentiableModel<Model>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P* p, const Query<T>& rates, Matrix<T> dv,
                               const Saved<T, P>& saved, Arena<T>& arena) const {
    model_.tangent(ctx, p, rates, dv, saved.model, arena);
    ctx.map(
        dv.rows, dv.cols,
        detail::ToVelocityTangent<T>{saved.factors, saved.x, saved.output, rates.t, rates.x, dv});
  }

 private:
  /// Rows x 4, of stride 0 where all rows share a time.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION Matrix<T> factors_at(const Ctx& ctx, Matrix<const T> t, int rows,
                                       Arena<T>& arena) const {
    constexpr int width = 4;
    const bool shared = t.stride == 0;
    const int count = shared ? math::minimum(rows, 1) : rows;
    const Matrix<T> factors = arena.take(count, width);
    ctx.each_row(count, detail::FactorRows<prediction, T, Path>{path_, times_, t, factors});
    return shared ? Matrix<T>(factors.data, rows, width, 0) : factors;
  }

  Model model_;
  Path path_;
  PredictionTimes<prediction, Path> times_;
};

template <Prediction prediction, class Networks, Schedule Path = LinearSchedule>
struct Predicting {
  static constexpr bool host_only = vrfm::host_only<Networks>;

  struct Options {
    typename Networks::Options networks = {};
    Path path = {};
    PredictionTimes<prediction, Path> times = {};
  };

  PredictingVelocity<prediction, VelocityOf<Networks>, Path> velocity;
  PosteriorOf<Networks> posterior;
  PriorOf<Networks> prior;

  Predicting() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  Predicting(ParameterList& list, const Options& options)
      : Predicting(Networks(list, options.networks), options) {
    list.note("velocity", "predicts", name_of(prediction));
  }

 private:
  Predicting(const Networks& networks, const Options& options)
      : velocity(networks.velocity, options.path, options.times),
        posterior(networks.posterior),
        prior(networks.prior) {}
};

namespace detail {

/// As the inner networks are Stored.
template <Prediction prediction, class Networks, class Path, class T>
struct StorageOf<Predicting<prediction, Networks, Path>, T> : StorageOf<Networks, T> {};

}  // namespace detail

}  // namespace vrfm
