// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ImageCondition: what the networks of images are told of z and c, prepared once for a whole path: the
// columns [embedding | bottleneck | field]. The embedding, that of z, of the label and of the vector
// added up, is added to that of t; the bottleneck's features take z in its place (Fusion); the field lies
// beside the image's channels and is zero where c is dropped. Parameters: <prefix>latent_embed,
// <prefix>label_emb (torchcfm's name, with one row more for the null class), <prefix>vector_emb.
#pragma once

#include <vrfm/models/blocks/condition_embedding.hpp>
#include <vrfm/models/blocks/embedding.hpp>

namespace vrfm {

/// Where z enters: as part of the embedding, or a U-Net's bottleneck.
enum class Fusion { adaptive_norm, bottleneck_sum };

struct ImageConditionOptions {
  ModelInputs inputs = {};
  Fusion fusion = Fusion::adaptive_norm;
  int latent_width = 512;  ///< hidden width of z's embedding
  int embedding = 512;     ///< columns of the embedding
  int bottleneck = 256;    ///< channels of the bottleneck
  LabelTable labels = {};
};

class ImageCondition {
 public:
  template <class T>
  struct Saved {
    Embedding::Saved<T> latent;
    ConditionEmbedding<Silu>::Saved<T> condition;
    ConstMatrix<T> z;
    Matrix<const std::int32_t> dropped;
  };

  /// Of nothing.
  ImageCondition() = default;

  /// Throws std::invalid_argument naming the first impossible extent.
  ImageCondition(ParameterList& list, const std::string& prefix, const ImageConditionOptions& o)
      : o_(o) {
    if (o.inputs.latent > 0) {
      latent_ = make_embedding(list, prefix + "latent_embed", o.inputs.latent, o.latent_width,
                               sums() ? o.bottleneck : o.embedding);
    }
    condition_ = ConditionEmbedding<Silu>(list, prefix, o.inputs, o.embedding, o.labels);
  }

  KOKKOS_INLINE_FUNCTION const ModelInputs& inputs() const { return o_.inputs; }
  KOKKOS_INLINE_FUNCTION int cols() const {
    return embedding_cols() + bottleneck_cols() + o_.inputs.field_columns;
  }
  bool has_embedding() const { return embedding_cols() > 0; }
  /// True if z enters the bottleneck.
  KOKKOS_INLINE_FUNCTION bool sums() const {
    return o_.inputs.latent > 0 && o_.fusion == Fusion::bottleneck_sum;
  }
  bool has_field() const { return o_.inputs.field_columns > 0; }

  /// Columns of `prepared` or of its gradient; no data if there are none.
  template <class T>
  Matrix<T> embedding(Matrix<T> prepared) const {
    return part(prepared, 0, embedding_cols());
  }
  template <class T>
  Matrix<T> bottleneck(Matrix<T> prepared) const {
    return part(prepared, embedding_cols(), bottleneck_cols());
  }
  template <class T>
  Matrix<T> field(Matrix<T> prepared) const {
    return part(prepared, embedding_cols() + bottleneck_cols(), o_.inputs.field_columns);
  }

  /// prepared: rows x cols(), overwritten. `saved`: null if no backward follows.
  template <class Ctx, class P, class T>
  void forward(const Ctx& ctx, const P* p, const Condition<T>& condition, Matrix<T> prepared,
               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool latent = o_.inputs.latent > 0, save = saved != nullptr;
    if (latent) {
      latent_.forward(ctx, p, condition.z, latent_part(prepared), save ? &saved->latent : nullptr,
                      arena);
    }
    if (condition_.outputs() > 0) {
      const Matrix<T> sum = embedding(prepared);
      const bool add = latent && !sums();
      const Matrix<T> e = add ? arena.take(sum.rows, sum.cols) : sum;
      condition_.forward(ctx, p, condition, e, save ? &saved->condition : nullptr, arena);
      if (add) ctx.map(sum.rows, sum.cols, AddScaled<T>{T(1), e, sum});
    }
    if (has_field()) {
      const Matrix<T> out = field(prepared);
      ctx.map(out.rows, out.cols,
              detail::WhereDropped<T>{condition.field, condition.dropped, false, out});
    }
    if (!save) {
      arena.rewind(mark);
      return;
    }
    saved->z = condition.z;
    saved->dropped = condition.dropped;
  }

  template <class Ctx, class P, class T>
  void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> dprepared,
                const ConditionGradient<T>& dcondition, const Saved<T>& saved,
                Arena<T>& arena) const {
    if (o_.inputs.latent > 0 && (!g.ignored() || !dcondition.z.empty())) {
      latent_.backward(ctx, p, g, saved.z, latent_part(dprepared), dcondition.z, saved.latent,
                       arena);
    }
    if (condition_.outputs() > 0) {
      condition_.backward(ctx, p, g, embedding(dprepared), dcondition.vector, saved.condition,
                          arena);
    }
    if (has_field() && !dcondition.field.empty()) {
      const Matrix<const T> d = field(dprepared);
      ctx.map(d.rows, d.cols, detail::WhereDropped<T>{d, saved.dropped, false, dcondition.field});
    }
  }

 private:
  KOKKOS_INLINE_FUNCTION int embedding_cols() const {
    const bool of_latent = o_.inputs.latent > 0 && !sums();
    return of_latent || condition_.outputs() > 0 ? o_.embedding : 0;
  }
  KOKKOS_INLINE_FUNCTION int bottleneck_cols() const { return sums() ? o_.bottleneck : 0; }
  template <class T>
  static Matrix<T> part(Matrix<T> prepared, int first, int cols) {
    return cols > 0 ? prepared.col_range(first, cols) : Matrix<T>();
  }
  template <class T>
  Matrix<T> latent_part(Matrix<T> prepared) const {
    return sums() ? bottleneck(prepared) : embedding(prepared);
  }

  ImageConditionOptions o_ = {};
  Embedding latent_;
  ConditionEmbedding<Silu> condition_;
};

}  // namespace vrfm
