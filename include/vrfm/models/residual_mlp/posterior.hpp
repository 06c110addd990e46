// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualMlpPosterior: N(mu, diag(exp(s))) of z, s = ln sigma^2, from chosen ones of {x0, x1, x_t, t} and c, of rows of many columns. x0, x1
// and x_t enter a ResidualMlp as they are, t and c encoded, all side by side. Seeing x0 or nothing but c it serves as a
// prior, too. Parameters: <name>.t_encoder, .label_emb, .vector_emb, .trunk.
#pragma once

#include <vrfm/models/blocks/condition_embedding.hpp>
#include <vrfm/models/blocks/encoder.hpp>
#include <vrfm/models/blocks/residual_mlp.hpp>
#include <vrfm/models/latent_model.hpp>

namespace vrfm {

struct ResidualMlpPosteriorOptions {
  int dimension = 1;
  int latent = 1;
  int classes = 0;            ///< of labels; 0: no label
  int condition_columns = 0;  ///< of the vector; 0: no vector
  EncoderInput input = EncoderInput::x1;
  ResidualMlpShape trunk = {};
  EncoderOptions encoder = {};  ///< of t; its width is that of what c is encoded to, too
};

template <Activation Act = Silu>
class ResidualMlpPosterior {
 public:
  template <class T>
  struct Saved {
    typename Encoder<Act>::template Saved<T> time;
    typename ConditionEmbedding<Act>::template Saved<T> condition;
    typename ResidualMlp<Act>::template Saved<T> trunk;
    Matrix<T> features;
    ConstMatrix<T> t;
  };

  ResidualMlpPosterior() = default;

  /// Throws std::invalid_argument naming the first impossible extent or an empty input set.
  ResidualMlpPosterior(ParameterList& list, const std::string& name,
                       const ResidualMlpPosteriorOptions& o)
      : dimension_(o.dimension),
        inputs_{.latent = o.latent, .classes = o.classes, .condition_columns = o.condition_columns},
        input_(o.input) {
    check_columns("posterior network", o.dimension, o.latent, 1);
    if (sees(EncoderInput::t)) {
      time_ = make_encoder<Act>(list, name + ".t_encoder", 1, o.encoder);
    }
    condition_ = ConditionEmbedding<Act>(list, name + '.', inputs_, o.encoder.width);
    const int features = data_columns() + time_columns() + condition_.outputs();
    expect(features > 0, "posterior network needs at least one input of {x0, x1, x_t, t}");
    trunk_ = ResidualMlp<Act>(list, name + ".trunk", features, o.trunk, 2 * o.latent);
    list.note(name, "input", name_of(o.input));
  }

  KOKKOS_INLINE_FUNCTION int latent() const { return inputs_.latent; }
  KOKKOS_INLINE_FUNCTION EncoderInput input() const { return input_; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const { return inputs_; }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void moments(const Ctx& ctx, const P* p, const LatentInputs<T>& inputs,
                               Matrix<T> moments, Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> features = arena.take(moments.rows, trunk_.inputs());
    int column = 0;
    const ConstMatrix<T> data[] = {inputs.x0, inputs.x1, inputs.x_t};
    for (unsigned k = 0; k < 3; ++k) {
      if (!sees(static_cast<EncoderInput>(1u << k))) continue;
      ctx.map(moments.rows, dimension_, Copy<T>{data[k], features.col_range(column, dimension_)});
      column += dimension_;
    }
    if (sees(EncoderInput::t)) {
      time_.forward(ctx, p, inputs.t, features.col_range(column, time_columns()),
                    saved == nullptr ? nullptr : &saved->time, arena);
      column += time_columns();
    }
    if (condition_.outputs() > 0) {
      condition_.forward(ctx, p, inputs.condition, features.col_range(column, condition_.outputs()),
                         saved == nullptr ? nullptr : &saved->condition, arena);
    }
    trunk_.forward(ctx, p, features, moments, saved == nullptr ? nullptr : &saved->trunk, arena);
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->features = features;
      saved->t = inputs.t;
    }
  }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> dmoments,
                                const ConditionGradient<T>& dcondition, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool encodes = sees(EncoderInput::t) || condition_.outputs() > 0;
    const Matrix<T> d = encodes ? arena.take(dmoments.rows, trunk_.inputs()) : Matrix<T>();
    trunk_.backward(ctx, p, g, saved.features, dmoments, d, Matrix<T>(), saved.trunk, arena);
    if (sees(EncoderInput::t)) {
      time_.backward(ctx, p, g, saved.t,
                     ConstMatrix<T>(d.col_range(data_columns(), time_columns())), Matrix<T>(),
                     saved.time, arena);
    }
    if (condition_.outputs() > 0) {
      condition_.backward(ctx, p, g,
                          d.col_range(data_columns() + time_columns(), condition_.outputs()),
                          dcondition.vector, saved.condition, arena);
    }
    arena.rewind(mark);
  }

 private:
  KOKKOS_INLINE_FUNCTION bool sees(EncoderInput input) const { return contains(input_, input); }
  KOKKOS_INLINE_FUNCTION int data_columns() const {
    const int count = (sees(EncoderInput::x0) ? 1 : 0) + (sees(EncoderInput::x1) ? 1 : 0) +
                      (sees(EncoderInput::x_t) ? 1 : 0);
    return count * dimension_;
  }
  KOKKOS_INLINE_FUNCTION int time_columns() const {
    return sees(EncoderInput::t) ? time_.outputs() : 0;
  }

  int dimension_ = 0;
  ModelInputs inputs_;
  EncoderInput input_ = EncoderInput::x1;
  Encoder<Act> time_;
  ConditionEmbedding<Act> condition_;
  ResidualMlp<Act> trunk_;
};

}  // namespace vrfm
