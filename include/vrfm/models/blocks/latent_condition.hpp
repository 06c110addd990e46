// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LatentCondition: what the velocity networks of rows are told of z and c, e = [Mlp(z) | ConditionEmbedding(c)], and
// its part W e of a layer's sum, which is prepared once for a whole path. Parameters: <prefix>latent_encoder,
// <prefix>label_emb, <prefix>vector_emb.
#pragma once

#include <vrfm/models/blocks/condition_embedding.hpp>
#include <vrfm/models/blocks/encoder.hpp>

namespace vrfm {

/// `Last` comes after the last layer of z's encoder.
template <Activation Act, Activation Last = Identity>
class LatentCondition {
 public:
  template <class T>
  struct Saved {
    typename Mlp<Act, Last>::template Saved<T> latent;
    typename ConditionEmbedding<Act>::template Saved<T> condition;
    Matrix<T> encoded;  ///< e
    ConstMatrix<T> z;
  };

  /// Of nothing: outputs() is 0.
  LatentCondition() = default;

  /// z and c to `outputs` columns each, z by `latent_depth` layers with `latent_width` columns between. Throws
  /// std::invalid_argument naming the first impossible extent.
  LatentCondition(ParameterList& list, const std::string& prefix, const ModelInputs& inputs,
                  int latent_width, int latent_depth, int outputs) {
    if (inputs.latent > 0) {
      latent_ = Mlp<Act, Last>(list, prefix + "latent_encoder",
                               stack_widths(inputs.latent, latent_width, latent_depth, outputs));
    }
    condition_ = ConditionEmbedding<Act>(list, prefix, inputs, outputs);
  }

  /// Columns of e.
  KOKKOS_INLINE_FUNCTION int outputs() const { return latent_.outputs() + condition_.outputs(); }

  /// part: the part of e in the sum of `layer`, a Dense or an Mlp (its first), whose inputs from `first` on e is;
  /// overwritten. Nothing if outputs() is 0. `saved`: null if no backward follows.
  template <class Ctx, class P, class T, class Layer>
  KOKKOS_FUNCTION void contribute(const Ctx& ctx, const P* p, const Layer& layer, int first,
                                  const Condition<T>& condition, Matrix<T> part, Saved<T>* saved,
                                  Arena<T>& arena) const {
    if (outputs() == 0) return;
    const auto mark = arena.used();
    const Matrix<T> encoded = arena.take(part.rows, outputs());
    if (latent_.outputs() > 0) {
      latent_.forward(ctx, p, condition.z, latent_columns(encoded),
                      saved == nullptr ? nullptr : &saved->latent, arena);
    }
    if (condition_.outputs() > 0) {
      condition_.forward(ctx, p, condition, condition_columns(encoded),
                         saved == nullptr ? nullptr : &saved->condition, arena);
    }
    layer.contribute(ctx, p, first, encoded, part);
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->encoded = encoded;
      saved->z = condition.z;
    }
  }

  /// Gradients from dpart: of the parameters, also of these columns of the layer's weight, and of z and the vector
  /// unless theirs are empty.
  template <class Ctx, class P, class T, class Layer>
  KOKKOS_FUNCTION void contribute_backward(const Ctx& ctx, const P* p, Gradient<T> g,
                                           const Layer& layer, int first, ConstMatrix<T> dpart,
                                           const ConditionGradient<T>& dcondition,
                                           const Saved<T>& saved, Arena<T>& arena) const {
    if (outputs() == 0) return;
    const auto mark = arena.used();
    const Matrix<T> d = arena.take(dpart.rows, outputs());
    layer.contribute_backward(ctx, p, g, first, saved.encoded, dpart, d);
    if (latent_.outputs() > 0 && (!g.ignored() || !dcondition.z.empty())) {
      latent_.backward(ctx, p, g, saved.z, latent_columns(d), dcondition.z, saved.latent, arena);
    }
    if (condition_.outputs() > 0) {
      condition_.backward(ctx, p, g, condition_columns(d), dcondition.vector, saved.condition,
                          arena);
    }
    arena.rewind(mark);
  }

 private:
  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<T> latent_columns(Matrix<T> m) const {
    return m.col_range(0, latent_.outputs());
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<T> condition_columns(Matrix<T> m) const {
    return m.col_range(latent_.outputs(), condition_.outputs());
  }

  Mlp<Act, Last> latent_;
  ConditionEmbedding<Act> condition_;
};

}  // namespace vrfm
