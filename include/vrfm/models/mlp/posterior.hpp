// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MlpPosterior: N(mu, diag(exp(s))) of z from chosen inputs and c, of data of few dimensions (Guo and
// Schwing 2025). One encoder for each chosen input of {x0, x1, x_t, t} and for c, concatenated, and three
// dense layers to (mu, s), s = ln sigma^2. Seeing x0 alone it serves as a prior, too. Parameters:
// <name>.x0_encoder, .x1_encoder, .xt_encoder, .t_encoder, .label_emb, .vector_emb, .head.
#pragma once

#include <vrfm/models/blocks/condition_embedding.hpp>
#include <vrfm/models/blocks/encoder.hpp>
#include <vrfm/models/latent_model.hpp>

namespace vrfm {

struct MlpPosteriorOptions {
  int dimension = 1;
  int latent = 1;
  int classes = 0;            ///< of labels; 0: no label
  int condition_columns = 0;  ///< of the vector; 0: no vector
  EncoderInput input = EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t;
  EncoderOptions encoder = {};
  int head_width = 128;
  int head_depth = 3;
};

template <Activation Act = Gelu>
class MlpPosterior {
 public:
  static constexpr int max_inputs = 4;

  template <class T>
  struct Saved {
    typename Encoder<Act>::template Saved<T> encoder[max_inputs];
    typename ConditionEmbedding<Act>::template Saved<T> condition;
    typename Mlp<Act>::template Saved<T> head;
    Matrix<T> features;
    ConstMatrix<T> input[max_inputs];
  };

  MlpPosterior() = default;

  /// Throws std::invalid_argument naming the first impossible extent or an empty input set.
  MlpPosterior(ParameterList& list, const std::string& name, const MlpPosteriorOptions& o)
      : inputs_{.latent = o.latent, .classes = o.classes, .condition_columns = o.condition_columns},
        input_(o.input) {
    check_columns("posterior network", o.dimension, o.latent, 1);
    const char* names[max_inputs] = {".x0_encoder", ".x1_encoder", ".xt_encoder", ".t_encoder"};
    int features = 0;
    for (int k = 0; k < max_inputs; ++k) {
      if (!uses(k)) continue;
      encoder_[k] = make_encoder<Act>(list, name + names[k], k == 3 ? 1 : o.dimension, o.encoder);
      features += encoder_[k].outputs();
    }
    condition_ = ConditionEmbedding<Act>(list, name + '.', inputs_, o.encoder.width);
    features += condition_.outputs();
    expect(features > 0, "posterior network needs at least one input of {x0, x1, x_t, t}");
    head_ = Mlp<Act>(list, name + ".head",
                     stack_widths(features, o.head_width, o.head_depth, 2 * o.latent));
  }

  KOKKOS_INLINE_FUNCTION int latent() const { return inputs_.latent; }
  KOKKOS_INLINE_FUNCTION EncoderInput input() const { return input_; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const { return inputs_; }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void moments(const Ctx& ctx, const P* p, const LatentInputs<T>& inputs,
                               Matrix<T> moments, Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> features = arena.take(moments.rows, head_.inputs());
    const ConstMatrix<T> source[max_inputs] = {inputs.x0, inputs.x1, inputs.x_t, inputs.t};
    int column = 0;
    for (int k = 0; k < max_inputs; ++k) {
      if (!uses(k)) continue;
      encoder_[k].forward(ctx, p, source[k], features.col_range(column, encoder_[k].outputs()),
                          saved == nullptr ? nullptr : &saved->encoder[k], arena);
      column += encoder_[k].outputs();
      if (saved != nullptr) saved->input[k] = source[k];
    }
    if (condition_.outputs() > 0) {
      condition_.forward(ctx, p, inputs.condition, features.col_range(column, condition_.outputs()),
                         saved == nullptr ? nullptr : &saved->condition, arena);
    }
    head_.forward(ctx, p, features, moments, saved == nullptr ? nullptr : &saved->head, arena);
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->features = features;
    }
  }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> dmoments,
                                const ConditionGradient<T>& dcondition, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> d = arena.take(dmoments.rows, head_.inputs());
    head_.backward(ctx, p, g, saved.features, dmoments, d, saved.head, arena);
    int column = 0;
    for (int k = 0; k < max_inputs; ++k) {
      if (!uses(k)) continue;
      encoder_[k].backward(ctx, p, g, saved.input[k],
                           ConstMatrix<T>(d.col_range(column, encoder_[k].outputs())), Matrix<T>(),
                           saved.encoder[k], arena);
      column += encoder_[k].outputs();
    }
    if (condition_.outputs() > 0) {
      condition_.backward(ctx, p, g, d.col_range(column, condition_.outputs()), dcondition.vector,
                          saved.condition, arena);
    }
    arena.rewind(mark);
  }

 private:
  KOKKOS_INLINE_FUNCTION bool uses(int k) const {
    return contains(input_, static_cast<EncoderInput>(1u << k));
  }

  ModelInputs inputs_;
  EncoderInput input_ = EncoderInput::x0;
  Encoder<Act> encoder_[max_inputs];
  ConditionEmbedding<Act> condition_;
  Mlp<Act> head_;
};

}  // namespace vrfm
