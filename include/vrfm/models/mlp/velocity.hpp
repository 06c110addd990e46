// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MlpVelocity: u(x, t, s | z, c) of data of few dimensions (Guo and Schwing 2025, synthetic
// experiments). Encoders of t and x (sinusoidal encoding, two dense layers), of z (three dense layers)
// and of c are concatenated and decoded by four dense layers. The decoder's first layer is a sum of parts:
// that of z and c is prepared once for a whole path, and that of t once where all rows share a time.
// A second time adds an encoding of s - t to that of t, which is zero at first.
// Parameters: <name>.time_encoder, .data_encoder, .span_encoder, .latent_encoder, .label_emb,
// .vector_emb, .decoder.
#pragma once

#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/models/blocks/latent_condition.hpp>
#include <vrfm/models/blocks/time_encoder.hpp>
#include <vrfm/models/velocity_model.hpp>

namespace vrfm {

struct MlpVelocityOptions {
  int dimension = 1;
  int latent = 0;             ///< columns of z; 0: no latent variable
  int classes = 0;            ///< of labels; 0: no label
  int condition_columns = 0;  ///< of the vector; 0: no vector
  bool second_time = false;   ///< a flow map
  EncoderOptions encoder = {};
  int latent_width = 128;
  int latent_depth = 3;
  int decoder_width = 64;
  int decoder_depth = 4;
};

template <Activation Act = Gelu>
class MlpVelocity {
 public:
  template <class T>
  using PreparedSaved = typename LatentCondition<Act>::template Saved<T>;

  template <class T>
  struct Saved {
    typename TimeEncoder<Act>::template Saved<T> time;
    typename Encoder<Act>::template Saved<T> data;
    typename Mlp<Act>::template Saved<T> decoder;
    Matrix<T> features;
    ConstMatrix<T> x;
  };

  MlpVelocity() = default;

  /// Throws std::invalid_argument naming the first impossible extent.
  MlpVelocity(ParameterList& list, const std::string& name, const MlpVelocityOptions& o)
      : dimension_(o.dimension),
        inputs_{.latent = o.latent,
                .classes = o.classes,
                .condition_columns = o.condition_columns,
                .second_time = o.second_time} {
    check_columns("velocity network", o.dimension, o.latent, 0);
    time_encoder_ = TimeEncoder<Act>(list, name + ".time_encoder", o.encoder);
    data_encoder_ = make_encoder<Act>(list, name + ".data_encoder", o.dimension, o.encoder);
    if (o.second_time) time_encoder_.add_span(list, name + ".span_encoder", o.encoder);
    condition_ = LatentCondition<Act>(list, name + '.', inputs_, o.latent_width, o.latent_depth,
                                      o.encoder.width);
    decoder_ = Mlp<Act>(list, name + ".decoder",
                        stack_widths(features() + condition_.outputs(), o.decoder_width,
                                     o.decoder_depth, o.dimension));
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return dimension_; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const { return inputs_; }
  /// Columns of z's and c's part of the decoder's first layer.
  KOKKOS_INLINE_FUNCTION int prepared_cols() const {
    return condition_.outputs() > 0 ? decoder_.first_outputs() : 0;
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void prepare(const Ctx& ctx, const T* p, const Condition<T>& condition,
                               Matrix<T> prepared, PreparedSaved<T>* saved, Arena<T>& arena) const {
    condition_.contribute(ctx, p, decoder_, features(), condition, prepared, saved, arena);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void prepare_backward(const Ctx& ctx, const T* p, Gradient<T> g,
                                        ConstMatrix<T> dprepared,
                                        const ConditionGradient<T>& dcondition,
                                        const PreparedSaved<T>& saved, Arena<T>& arena) const {
    condition_.contribute_backward(ctx, p, g, decoder_, features(), dprepared, dcondition, saved,
                                   arena);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, const Query<T>& query,
                               ConstMatrix<T> prepared, const DrawAddress*, Matrix<T> v,
                               Saved<T>* saved, Arena<T>& arena) const {
    if (saved == nullptr) {
      infer(ctx, p, query, prepared, v, arena);
      return;
    }
    const int rows = query.x.rows;
    saved->features = arena.take(rows, features());
    saved->x = query.x;
    time_encoder_.forward(ctx, p, query.t, query.s, time_columns(saved->features), &saved->time,
                          arena);
    data_encoder_.forward(ctx, p, query.x, data_columns(saved->features), &saved->data, arena);
    if (prepared_cols() > 0) {
      decoder_.complete(ctx, p, 0, saved->features, v, &saved->decoder, arena, prepared);
    } else {
      decoder_.complete(ctx, p, 0, saved->features, v, &saved->decoder, arena);
    }
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dv,
                                const QueryGradient<T>& dquery, Matrix<T> dprepared,
                                const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool times = !g.ignored() || !dquery.t.empty() || !dquery.s.empty();
    const bool data = !g.ignored() || !dquery.x.empty();
    const Matrix<const T> dsum = decoder_.backward_to_sum(ctx, p, g, dv, saved.decoder, arena);
    const Matrix<T> d = times || data ? arena.take(dv.rows, features()) : Matrix<T>();
    decoder_.backward_from_sum(ctx, p, g, 0, saved.features, dsum, d);
    if (prepared_cols() > 0 && !dprepared.empty()) {
      ctx.map(dsum.rows, dsum.cols, AddScaled<T>{T(1), dsum, dprepared});
    }
    if (times) {
      time_encoder_.backward(ctx, p, g, time_columns(d), dquery.t, dquery.s, saved.time, arena);
    }
    if (data) {
      data_encoder_.backward(ctx, p, g, saved.x, data_columns(d), dquery.x, saved.data, arena);
    }
    arena.rewind(mark);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, const Query<T>& rates, Matrix<T> dv,
                               const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool times = !rates.t.empty() || !rates.s.empty();
    const int rows = dv.rows;
    const Matrix<T> d = arena.take(rows, features());
    if (times) {
      time_encoder_.tangent(ctx, p, rates.t, rates.s, time_columns(d), saved.time, arena);
    }
    if (rates.x.empty()) {
      const Matrix<T> ddata = data_columns(d);
      ctx.map(rows, ddata.cols, Fill<T>{ddata, T(0)});
    } else {
      data_encoder_.tangent(ctx, p, rates.x, data_columns(d), saved.data, arena);
    }
    // Without a rate of the times their columns do not vary.
    const int first = times ? 0 : time_encoder_.outputs();
    decoder_.tangent_of(ctx, p, first, ConstMatrix<T>(d.col_range(first, features() - first)), dv,
                        saved.decoder, arena);
    arena.rewind(mark);
  }

 private:
  /// forward without saving anything.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void infer(const Ctx& ctx, const T* p, const Query<T>& query,
                             ConstMatrix<T> prepared, Matrix<T> v, Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool shared = query.t.stride == 0 && (query.s.empty() || query.s.stride == 0);
    const int all = query.x.rows, rows = shared ? 1 : all;
    const Matrix<T> time = arena.take(rows, time_encoder_.outputs());
    const Matrix<T> data = arena.take(all, data_encoder_.outputs());
    Matrix<T> time_part = arena.take(rows, decoder_.first_outputs());
    typename TimeEncoder<Act>::template Saved<T>* const no_time = nullptr;
    time_encoder_.forward(ctx, p, query.t.row_range(0, rows), query.s.row_range(0, rows), time,
                          no_time, arena);
    decoder_.contribute(ctx, p, 0, time, time_part);
    if (shared) time_part = Matrix<T>(time_part.data, all, time_part.cols, 0);
    data_encoder_.forward(ctx, p, query.x, data, none<T>(), arena);
    const int first = time_encoder_.outputs();
    typename Mlp<Act>::template Saved<T>* const unsaved = nullptr;
    if (prepared_cols() > 0) {
      decoder_.complete(ctx, p, first, data, v, unsaved, arena, prepared, time_part);
    } else {
      decoder_.complete(ctx, p, first, data, v, unsaved, arena, time_part);
    }
    arena.rewind(mark);
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION static typename Encoder<Act>::template Saved<T>* none() {
    return nullptr;
  }

  KOKKOS_INLINE_FUNCTION int features() const {
    return time_encoder_.outputs() + data_encoder_.outputs();
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<T> time_columns(Matrix<T> m) const {
    return m.col_range(0, time_encoder_.outputs());
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<T> data_columns(Matrix<T> m) const {
    return m.col_range(time_encoder_.outputs(), data_encoder_.outputs());
  }

  int dimension_ = 0;
  ModelInputs inputs_;
  TimeEncoder<Act> time_encoder_;
  Encoder<Act> data_encoder_;
  Mlp<Act> decoder_;
  LatentCondition<Act> condition_;
};

}  // namespace vrfm
