// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The velocity field of a flow, v(x, t | z, c). A trajectory has one z, drawn from the flow's prior
// p(z | x0, c) or given, and one condition c; what depends on them alone is computed once, by the
// model's prepare (Guo and Schwing 2025). With guidance g it is v_null + g (v_c - v_null), where
// v_null is the velocity without the condition and z is the same in both (Ho and Salimans 2022): g = 1
// is the conditional field, g = 0 the one without. Both are one evaluation of twice the rows. Guidance may be for some
// times alone (Kynkaanniemi et al. 2024, "Applying guidance in a limited interval") and for some channels (SiT guides
// the first 3 of 4). A flow map is integrated as
// u(x, t, t); its steps from t to s are FlowMap's (sampling/flow_map.hpp).
#pragma once

#include <cmath>

#include <vrfm/integrators/velocity.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/sampling/detail/latents.hpp>

namespace vrfm {

namespace detail {

/// Element: v = v_null + g (v_c - v_null), where guidance reaches; elsewhere v_c.
template <class T>
struct Guide {
  T guidance, from, to;
  int channels, of;
  ConstMatrix<T> t, v_c, v_null;
  Matrix<T> v;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const T now = t(i, 0);
    const bool reached = now >= from && now <= to && j % of < channels;
    v(i, j) = reached ? v_null(i, j) + guidance * (v_c(i, j) - v_null(i, j)) : v_c(i, j);
  }
};

/// Element: row i of `above` in row i of out, row i of `below` in row rows + i.
template <class T>
struct Stack {
  ConstMatrix<T> above, below;
  Matrix<T> out;
  int rows;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    out(i, j) = above(i, j);
    out(rows + i, j) = below(i, j);
  }
};

}  // namespace detail

/// Where guidance is; elsewhere the field is the conditional one.
struct GuidanceReach {
  double from = 0, to = 1;   ///< times, inclusive
  int channels = 1, of = 1;  ///< the first `channels` of the `of` channels of each pixel

  bool operator==(const GuidanceReach&) const = default;
};

/// A velocity model whose z and c are prepared, with parameters of type P.
template <Real T, VelocityModel Model, class P = T>
struct BoundModelVelocity {
  using value_type = T;

  struct Saved {
    saved_of<Model, T, P> model;
    Matrix<const T> t;
  };

  static constexpr bool tangents = DifferentiableModel<Model>;

  /// Models that kernels cannot carry are referred to: the field that was bound outlives this one.
  std::conditional_t<host_only<Model>, const Model&, Model> model;
  const P* parameters;
  Matrix<T> prepared;
  Matrix<T> null_prepared;  ///< without the condition
  bool guided;              ///< both are evaluated
  T guidance;
  GuidanceReach reach;

  KOKKOS_INLINE_FUNCTION int dimension() const { return model.dimension(); }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, Matrix<const T> t, Matrix<const T> x, Matrix<T> v,
                                  Arena<T>& arena) const {
    const auto mark = arena.used();
    evaluate(ctx, {t, x, {}}, v, nullptr, arena);
    arena.rewind(mark);
  }

  /// u = u(x, t, s), the mean velocity from t to s; of a model with a second time.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void mean_velocity(const Ctx& ctx, Matrix<const T> t, Matrix<const T> s,
                                     Matrix<const T> x, Matrix<T> u, Arena<T>& arena) const {
    const auto mark = arena.used();
    evaluate(ctx, {t, x, s}, u, nullptr, arena);
    arena.rewind(mark);
  }

  template <class Ctx>
  KOKKOS_FUNCTION void keep_rows(const Ctx& ctx, const RowSelection<T>& selection) const {
    selection.keep(ctx, prepared);
    if (guided) selection.keep(ctx, null_prepared);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
    requires tangents
  KOKKOS_FUNCTION void linearize(const Ctx& ctx, Matrix<const T> t, Matrix<const T> x, Matrix<T> v,
                                 Saved& saved, Arena<T>& arena) const {
    evaluate(ctx, {t, x, {}}, v, &saved, arena);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
    requires tangents
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, Matrix<const T> dx, Matrix<T> dv, const Saved& saved,
                               Arena<T>& arena) const {
    const auto mark = arena.used();
    Query<T> rates{};
    rates.x = guided ? stacked<Ctx>(ctx, dv.rows, dx, dx, arena) : dx;
    const Matrix<T> both = guided ? arena.take(2 * dv.rows, dv.cols) : dv;
    model.tangent(ctx, parameters, rates, both, saved.model, arena);
    if (guided) ctx.map(dv.rows, dv.cols, guide(saved.t, both, dv));
    arena.rewind(mark);
  }

 private:
  /// What is taken of the arena stays taken.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void evaluate(const Ctx& ctx, const Query<T>& asked, Matrix<T> v, Saved* saved,
                                Arena<T>& arena) const {
    const DrawAddress* const draws = nullptr;
    saved_of<Model, T, P>* const kept = saved == nullptr ? nullptr : &saved->model;
    if (!guided) {
      model.forward(ctx, parameters, asked, prepared, draws, v, kept, arena);
      return;
    }
    const int rows = v.rows;
    const Matrix<T> c = stacked<Ctx>(ctx, rows, prepared, null_prepared, arena),
                    both = arena.take(2 * rows, v.cols);
    Query<T> query{};
    query.t = stacked<Ctx>(ctx, rows, asked.t, asked.t, arena);
    query.x = stacked<Ctx>(ctx, rows, asked.x, asked.x, arena);
    if (!asked.s.empty()) query.s = stacked<Ctx>(ctx, rows, asked.s, asked.s, arena);
    model.forward(ctx, parameters, query, c, draws, both, kept, arena);
    ctx.map(rows, v.cols, guide(asked.t, both, v));
    if (saved != nullptr) saved->t = asked.t;
  }

  /// The first `rows` rows of two matrices, one above the other.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION static Matrix<T> stacked(const Ctx& ctx, int rows, ConstMatrix<T> above,
                                           ConstMatrix<T> below, Arena<T>& arena) {
    const Matrix<T> out = arena.take(2 * rows, above.cols);
    ctx.map(rows, above.cols, detail::Stack<T>{above, below, out, rows});
    return out;
  }

  /// v from both velocities, the one without the condition below.
  KOKKOS_INLINE_FUNCTION detail::Guide<T> guide(ConstMatrix<T> t, ConstMatrix<T> both,
                                                Matrix<T> v) const {
    return {guidance,
            static_cast<T>(reach.from),
            static_cast<T>(reach.to),
            reach.channels,
            reach.of,
            t,
            both.row_range(0, v.rows),
            both.row_range(v.rows, v.rows),
            v};
  }
};

template <Real T, ExecutionSpace Exec>
struct VelocityOptions {
  Table<const T, Exec> latents = {};  ///< z of sample i is row i % rows; empty: from the prior
  ConditionTables<T, Exec> condition = {};
  double guidance = 1;       ///< 1: the conditional field; 0: without the condition
  GuidanceReach reach = {};  ///< of the guidance
};

/// The field of a flow. It shares the flow's parameters and the tables; where the parameters are Stored, it has
/// a copy of what they are when it is made.
template <Real T, ExecutionSpace Exec, class Networks, Compute precision, class List>
class ModelVelocity {
 public:
  using value_type = T;
  using Model = VelocityOf<Networks>;
  using Prior = PriorOf<Networks>;
  using P = storage_of<Networks, T>;
  using products = Products<precision, List>;
  static constexpr bool host_only = vrfm::host_only<Model> || vrfm::host_only<Prior>;

  /// Throws std::invalid_argument unless the options give what the networks take, and nothing else.
  ModelVelocity(const Flow<T, Exec, Networks, precision, List>& flow,
                const VelocityOptions<T, Exec>& options)
      : model_(flow.networks().velocity),
        prior_(flow.networks().prior),
        values_(stored_values<P>(flow.exec(), flow.values())),
        latents_(options.latents),
        condition_(options.condition),
        guidance_(static_cast<T>(options.guidance)),
        reach_(options.reach),
        guided_(options.guidance != 1 && (options.guidance != 0 || reach_ != GuidanceReach{})) {
    const ModelInputs inputs = model_.inputs();
    const Networks& networks = flow.networks();
    if (inputs.latent > 0) {
      const EncoderInput seen = networks.posterior.input();
      tells_start_ = networks.posterior.latent() == 0 || contains(seen, EncoderInput::x0) ||
                     contains(seen, EncoderInput::x_t);
    }
    if constexpr (requires { networks.source_posterior; }) tells_start_ = true;
    latent_given_ = detail::is_given(latents_);
    inputs_ = latent_given_ ? inputs : detail::either(inputs, prior_.inputs());
    if (latent_given_) {
      expect_same("the table of latents", latents_.extent(1), "the flow's z",
                  static_cast<std::size_t>(inputs.latent), "columns");
      expect(latents_.extent(0) > 0, "the table of latents has no rows");
      (void)matrix(latents_);
    }
    expect(std::isfinite(options.guidance), "guidance must be finite, got ", options.guidance);
    expect(options.guidance == 1 || inputs.conditional(), "guidance is ", options.guidance,
           ", but this flow takes no condition: expected 1");
    expect(reach_.from <= reach_.to, "guidance reaches from t = ", reach_.from, " to ", reach_.to,
           ": expected a first time that is not behind the last");
    expect(reach_.channels >= 1 && reach_.channels <= reach_.of && dimension() % reach_.of == 0,
           "guidance reaches ", reach_.channels, " of ", reach_.of,
           " channels: expected 1 or more of channels that divide the ", dimension(),
           " columns of the field");
    detail::check_condition(flow.exec(), condition_, inputs_, "the flow",
                            options.guidance != 0 || guided_);
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return model_.dimension(); }

  /// True if the flow is a map: mean_velocity may be asked for.
  bool second_time() const { return model_.inputs().second_time; }

  /// True if z is drawn from a prior that sees x0.
  bool depends_on_start() const {
    return model_.inputs().latent > 0 && !latent_given_ && !prior_.standard() &&
           contains(prior_.input(), EncoderInput::x0);
  }

  /// True if z was trained by a posterior that sees x0 or x_t, or depends on x0 by its prior; or if x0 was not
  /// independent of x1: that of pairs that give z, or of a learned source.
  bool tells_start() const { return tells_start_ || depends_on_start(); }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION BoundModelVelocity<T, Model, P> bind(const Ctx& ctx, const SampleBlock& block,
                                                       Matrix<const T> x, Arena<T>& arena) const {
    const ModelInputs inputs = model_.inputs();
    const P* const p = values_.data();
    const Matrix<T> prepared = arena.take(block.count, model_.prepared_cols());
    const Matrix<T> null_prepared = guided_ ? arena.take(block.count, prepared.cols) : Matrix<T>();
    const auto mark = arena.used();
    Condition<T> given =
        detail::gather_condition(ctx, detail::rows_of(condition_), inputs_, block, arena);
    Condition<T> null{};
    if (guidance_ != T(1)) null = detail::dropped_condition(ctx, given, block.count, arena);
    if (guidance_ == T(0) && !guided_) given = null;
    Matrix<T> z;
    if (inputs.latent > 0) {
      z = arena.take(block.count, inputs.latent);
      if (latent_given_) {
        ctx.map(z.rows, z.cols, detail::LookUpRound<T>{detail::rows_of(latents_), block, T(0), z});
      } else {
        detail::draw_from_prior(ctx, prior_, p, block, x, given, z, arena);
      }
    }
    prepare(ctx, given, z, prepared, arena);
    if (guided_) prepare(ctx, null, z, null_prepared, arena);
    arena.rewind(mark);
    return {model_, p, prepared, null_prepared, guided_, guidance_, reach_};
  }

 private:
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void prepare(const Ctx& ctx, const Condition<T>& c, Matrix<T> z,
                               Matrix<T> prepared, Arena<T>& arena) const {
    Condition<T> condition = detail::taken_of(c, model_.inputs());
    condition.z = z;
    typename Model::template PreparedSaved<T>* const unsaved = nullptr;
    model_.prepare(ctx, static_cast<const P*>(values_.data()), condition, prepared, unsaved, arena);
  }

  Model model_;
  Prior prior_;
  Array<const P, Exec> values_;
  Table<const T, Exec> latents_;
  ConditionTables<T, Exec> condition_;
  ModelInputs inputs_;  // what model and prior take of c
  bool tells_start_ = false;
  bool latent_given_ = false;
  T guidance_;
  GuidanceReach reach_;
  bool guided_;  // both fields are evaluated
};

/// The velocity field of `flow`. Throws std::invalid_argument as ModelVelocity does.
template <Real T, ExecutionSpace Exec, class Networks, Compute precision, class List>
ModelVelocity<T, Exec, Networks, precision, List> velocity_of(
    const Flow<T, Exec, Networks, precision, List>& flow,
    const VelocityOptions<T, Exec>& options = {}) {
  return {flow, options};
}

}  // namespace vrfm
