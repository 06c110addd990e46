// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualMlpVelocity: u(x, t, s | z, c) of rows of many columns. x enters a ResidualMlp as it is, on request also as
// sinusoids of each column; t, z and c are encoded and enter every block as a sum m of parts: that of z and c is
// prepared once for a whole path, and that of t computed once where all rows share a time.
// A second time adds an encoding of s - t to that of t, which is zero at first.
// Parameters: <name>.time_encoder, .span_encoder, .latent_encoder, .label_emb, .vector_emb, .modulation, .trunk.
#pragma once

#include <vrfm/models/blocks/latent_condition.hpp>
#include <vrfm/models/blocks/residual_mlp.hpp>
#include <vrfm/models/blocks/time_encoder.hpp>
#include <vrfm/models/velocity_model.hpp>

namespace vrfm {

struct ResidualMlpVelocityOptions {
  int dimension = 1;
  int latent = 0;             ///< columns of z; 0: no latent variable
  int classes = 0;            ///< of labels; 0: no label
  int condition_columns = 0;  ///< of the vector; 0: no vector
  bool second_time = false;   ///< a flow map
  ResidualMlpShape trunk = {};
  int features = 0;             ///< sinusoids of each column of x, beside it; 0: none
  EncoderOptions encoder = {};  ///< of times; its width is that of what z and c are encoded to, too
};

template <Activation Act = Silu>
class ResidualMlpVelocity {
  using Waves = BasicSinusoidalEmbedding<typename MathOf<Act>::type>;

 public:
  template <class T>
  using PreparedSaved = typename LatentCondition<Act, Act>::template Saved<T>;

  template <class T>
  struct Saved {
    typename TimeEncoder<Act>::template Saved<T> time;
    typename Waves::template Saved<T> waves;
    typename ResidualMlp<Act>::template Saved<T> trunk;
    Matrix<T> time_features;
    ConstMatrix<T> inputs;  ///< of the trunk
  };

  ResidualMlpVelocity() = default;

  /// Throws std::invalid_argument naming the first impossible extent.
  ResidualMlpVelocity(ParameterList& list, const std::string& name,
                      const ResidualMlpVelocityOptions& o)
      : dimension_(o.dimension),
        inputs_{.latent = o.latent,
                .classes = o.classes,
                .condition_columns = o.condition_columns,
                .second_time = o.second_time} {
    check_columns("velocity network", o.dimension, o.latent, 0);
    expect(o.features >= 0, "velocity network needs features >= 0, got ", o.features);
    time_encoder_ = TimeEncoder<Act>(list, name + ".time_encoder", o.encoder);
    if (o.second_time) time_encoder_.add_span(list, name + ".span_encoder", o.encoder);
    condition_ = LatentCondition<Act, Act>(list, name + '.', inputs_, o.encoder.width,
                                           o.encoder.depth, o.encoder.width);
    if (o.features > 0) {
      waves_ = Waves(o.dimension, o.features, o.encoder.scale, o.encoder.max_period);
      has_waves_ = true;
      list.note(name + ".trunk", "scale", o.encoder.scale);
      list.note(name + ".trunk", "max_period", o.encoder.max_period);
    }
    trunk_ =
        ResidualMlp<Act>(list, name + ".trunk", o.dimension + wave_cols(), o.trunk, o.dimension);
    expect(trunk_.modulations() > 0, "velocity network needs at least 1 block, got ",
           o.trunk.blocks);
    modulation_ = Dense<>(list, name + ".modulation",
                          time_encoder_.outputs() + condition_.outputs(), trunk_.modulations());
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return dimension_; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const { return inputs_; }
  /// Columns of z's and c's part of m.
  KOKKOS_INLINE_FUNCTION int prepared_cols() const {
    return condition_.outputs() > 0 ? trunk_.modulations() : 0;
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void prepare(const Ctx& ctx, const T* p, const Condition<T>& condition,
                               Matrix<T> prepared, PreparedSaved<T>* saved, Arena<T>& arena) const {
    condition_.contribute(ctx, p, modulation_, time_encoder_.outputs(), condition, prepared, saved,
                          arena);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void prepare_backward(const Ctx& ctx, const T* p, Gradient<T> g,
                                        ConstMatrix<T> dprepared,
                                        const ConditionGradient<T>& dcondition,
                                        const PreparedSaved<T>& saved, Arena<T>& arena) const {
    condition_.contribute_backward(ctx, p, g, modulation_, time_encoder_.outputs(), dprepared,
                                   dcondition, saved, arena);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, const Query<T>& query,
                               ConstMatrix<T> prepared, const DrawAddress*, Matrix<T> v,
                               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int all = query.x.rows;
    const bool shared =
        saved == nullptr && query.t.stride == 0 && (query.s.empty() || query.s.stride == 0);
    const int rows = shared ? math::minimum(all, 1) : all;
    Matrix<T> m = arena.take(rows, trunk_.modulations());
    const Matrix<T> time = arena.take(rows, time_encoder_.outputs());
    time_encoder_.forward(ctx, p, query.t.row_range(0, rows),
                          query.s.empty() ? query.s : query.s.row_range(0, rows), time,
                          saved == nullptr ? nullptr : &saved->time, arena);
    modulation_.complete(ctx, p, 0, time, m, none<Dense<>, T>(), arena);
    if (shared) m = Matrix<T>(m.data, all, m.cols, 0);
    const ConstMatrix<T> inputs = trunk_inputs(ctx, p, query.x, saved, arena);
    typename ResidualMlp<Act>::template Saved<T>* const kept =
        saved == nullptr ? nullptr : &saved->trunk;
    if (prepared_cols() > 0) {
      trunk_.forward(ctx, p, inputs, v, kept, arena, m, prepared);
    } else {
      trunk_.forward(ctx, p, inputs, v, kept, arena, m);
    }
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->time_features = time;
      saved->inputs = inputs;
    }
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dv,
                                const QueryGradient<T>& dquery, Matrix<T> dprepared,
                                const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dv.rows;
    const bool data = !dquery.x.empty(),
               times = !g.ignored() || !dquery.t.empty() || !dquery.s.empty();
    const bool of_m = times || !dprepared.empty();
    const Matrix<T> dm = of_m ? arena.take(rows, trunk_.modulations()) : Matrix<T>();
    const Matrix<T> dinputs = data && has_waves_ ? arena.take(rows, trunk_.inputs()) : dquery.x;
    trunk_.backward(ctx, p, g, saved.inputs, dv, dinputs, dm, saved.trunk, arena);
    if (prepared_cols() > 0 && !dprepared.empty()) {
      ctx.map(rows, dm.cols, AddScaled<T>{T(1), dm, dprepared});
    }
    if (data && has_waves_) {
      const Matrix<T> of_waves = wave_columns(dinputs);
      waves_.backward(ctx, p, g, saved.inputs.col_range(0, dimension_), of_waves, dquery.x,
                      saved.waves, arena);
      ctx.map(rows, dimension_, AddScaled<T>{T(1), dinputs.col_range(0, dimension_), dquery.x});
    }
    if (times) {
      const Matrix<T> dtime = arena.take(rows, time_encoder_.outputs());
      modulation_.backward_from_sum(ctx, p, g, saved.time_features, dm, dtime, NoEpilogue{});
      time_encoder_.backward(ctx, p, g, dtime, dquery.t, dquery.s, saved.time, arena);
    }
    arena.rewind(mark);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, const Query<T>& rates, Matrix<T> dv,
                               const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dv.rows;
    Matrix<T> dm;
    if (!rates.t.empty() || !rates.s.empty()) {
      dm = arena.take(rows, trunk_.modulations());
      const Matrix<T> dtime = arena.take(rows, time_encoder_.outputs());
      time_encoder_.tangent(ctx, p, rates.t, rates.s, dtime, saved.time, arena);
      modulation_.contribute(ctx, p, 0, dtime, dm);
    }
    ConstMatrix<T> dinputs = rates.x;
    if (has_waves_ && !rates.x.empty()) {
      const Matrix<T> d = arena.take(rows, trunk_.inputs());
      ctx.map(rows, dimension_, Copy<T>{rates.x, d.col_range(0, dimension_)});
      waves_.tangent(ctx, p, rates.x, wave_columns(d), saved.waves, arena);
      dinputs = d;
    }
    trunk_.tangent(ctx, p, dinputs, dm, dv, saved.trunk, arena);
    arena.rewind(mark);
  }

 private:
  template <class Layer, class T>
  KOKKOS_INLINE_FUNCTION static typename Layer::template Saved<T>* none() {
    return nullptr;
  }

  /// x, or [x | sinusoids], in memory that is not given back.
  template <class Ctx, class T>
  KOKKOS_FUNCTION ConstMatrix<T> trunk_inputs(const Ctx& ctx, const T* p, ConstMatrix<T> x,
                                              Saved<T>* saved, Arena<T>& arena) const {
    if (!has_waves_) return x;
    const Matrix<T> inputs = arena.take(x.rows, trunk_.inputs());
    ctx.map(x.rows, dimension_, Copy<T>{x, inputs.col_range(0, dimension_)});
    waves_.forward(ctx, p, x, wave_columns(inputs), saved == nullptr ? nullptr : &saved->waves,
                   arena);
    return inputs;
  }

  KOKKOS_INLINE_FUNCTION int wave_cols() const { return has_waves_ ? waves_.outputs() : 0; }
  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<T> wave_columns(Matrix<T> m) const {
    return m.col_range(dimension_, wave_cols());
  }

  int dimension_ = 0;
  ModelInputs inputs_;
  TimeEncoder<Act> time_encoder_;
  LatentCondition<Act, Act> condition_;
  bool has_waves_ = false;
  Waves waves_;
  Dense<> modulation_;
  ResidualMlp<Act> trunk_;
};

}  // namespace vrfm
