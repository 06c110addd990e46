// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TransformerPosterior: N(mu, diag(exp(s))) of z from chosen inputs and c, of images (Guo and Schwing 2025): the
// blocks of a transformer, the mean over their tokens, and a two-layer MLP to (mu, s), s = ln sigma^2. The images
// that it sees and a field are channels of its input; t, a label and a vector, as far as it sees them, condition
// the blocks. Seeing x0 alone it serves as a prior, too. Names: as TransformerVelocity's behind <name>., and
// <name>.head.
#pragma once

#include <vrfm/models/blocks/image_condition.hpp>
#include <vrfm/models/blocks/seen_images.hpp>
#include <vrfm/models/blocks/time_conditioning.hpp>
#include <vrfm/models/transformer/velocity.hpp>

namespace vrfm {

struct TransformerPosteriorOptions {
  TransformerOptions trunk = {};
  int latent = 768;
  EncoderInput input = EncoderInput::x1;
  int classes = 0;            ///< of labels; 0: no label
  int condition_columns = 0;  ///< of the vector; 0: no vector
  int field_channels = 0;     ///< of a field on the image's grid; 0: no field
};

namespace detail {

/// Element: rows of x times a factor.
template <class T>
struct ScaledRow {
  ConstMatrix<T> x;
  T factor;
  KOKKOS_INLINE_FUNCTION T operator()(int i, int j) const { return factor * x(i, j); }
};

/// Tile: row k of out = mean of the tokens of sample k.
template <class T>
struct MeanOfTokens {
  ConstMatrix<T> x;
  Matrix<T> out;
  int tokens;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    const ScaledRow<T> row{x.row_range(k * tokens, tokens), T(1) / static_cast<T>(tokens)};
    ctx.column_sum(tokens, x.cols, row, out.row(k), Update::overwrite);
  }
};

/// Element: its transpose.
template <class T>
struct SpreadOverTokens {
  ConstMatrix<T> d;
  Matrix<T> out;
  int tokens;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    out(i, j) = d(i / tokens, j) / static_cast<T>(tokens);
  }
};

}  // namespace detail

class TransformerPosterior {
 public:
  static constexpr bool host_only = true;

  template <class T, class P = T>
  struct Saved {
    ImageCondition::Saved<T> condition;
    TimeConditioning::Saved<T> time;
    TransformerTrunk::Saved<T, P> trunk;
    Embedding::Saved<T> head;
    Matrix<T> mean;
  };

  TransformerPosterior() = default;

  /// Throws std::invalid_argument naming the first impossible option, or if no image is seen.
  TransformerPosterior(ParameterList& list, const std::string& name,
                       const TransformerPosteriorOptions& options)
      : o_(options) {
    const TransformerOptions& t = o_.trunk;
    t.check();
    expect(o_.latent >= 1, "the posterior needs latent >= 1, got ", o_.latent);
    seen_ = SeenImages(o_.input, pixels(), t.channels, o_.field_channels);
    const bool time = seen_.sees(EncoderInput::t);
    time_ = TimeConditioning(list, name + '.',
                             {.features = detail::sit_time_features,
                              .width = t.embedding,
                              .time = time,
                              .name = "t_embedder.mlp",
                              .deviation = detail::sit_deviation});
    condition_ = ImageCondition(list, name + '.',
                                {.inputs = {.classes = o_.classes,
                                            .condition_columns = o_.condition_columns,
                                            .field_columns = pixels() * o_.field_channels},
                                 .embedding = t.embedding,
                                 .labels = detail::sit_labels});
    trunk_ = TransformerTrunk(list, name + '.', t, seen_.channels());
    head_ = make_embedding(list, name + ".head", t.embedding, t.embedding, 2 * o_.latent);
    list.note(name, "input", name_of(o_.input));
  }

  KOKKOS_INLINE_FUNCTION int latent() const { return o_.latent; }
  KOKKOS_INLINE_FUNCTION EncoderInput input() const { return o_.input; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const {
    ModelInputs result = condition_.inputs();
    result.latent = o_.latent;
    return result;
  }

  template <class Ctx, class P, class T>
  void moments(const Ctx& ctx, const P* p, const LatentInputs<T>& inputs, Matrix<T> moments,
               Saved<T, P>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool save = saved != nullptr;
    const int rows = moments.rows, count = trunk_.tokens(), n = o_.trunk.embedding;
    const Matrix<T> seen = arena.take(rows_of_parts(rows, pixels()), seen_.channels()),
                    told = arena.take(rows, condition_.cols()), e = arena.take(rows, n),
                    tokens = arena.take(rows_of_parts(rows, count), n), mean = arena.take(rows, n);
    condition_.forward(ctx, p, inputs.condition, told, save ? &saved->condition : nullptr, arena);
    seen_.gather(ctx, inputs, condition_.field(told), seen);
    time_.forward(ctx, p, inputs.t, Matrix<const T>(), condition_.embedding(told), e,
                  save ? &saved->time : nullptr, arena);
    trunk_.forward(ctx, p, seen, e, tokens, save ? &saved->trunk : nullptr, arena);
    ctx.each_tile(rows, detail::MeanOfTokens<T>{tokens, mean, count}, arena);
    head_.forward(ctx, p, mean, moments, save ? &saved->head : nullptr, arena);
    if (!save) {
      arena.rewind(mark);
      return;
    }
    saved->mean = mean;
  }

  template <class Ctx, class P, class T>
  void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> dmoments,
                const ConditionGradient<T>& dcondition, const Saved<T, P>& saved,
                Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dmoments.rows, count = trunk_.tokens(), n = o_.trunk.embedding;
    const Matrix<T> dmean = arena.take(rows, n),
                    dtokens = arena.take(rows_of_parts(rows, count), n), de = arena.take(rows, n);
    Matrix<T> dseen;
    if (!dcondition.field.empty())
      dseen = arena.take(rows_of_parts(rows, pixels()), seen_.channels());
    ctx.map(rows, n, Fill<T>{de, T(0)});
    head_.backward(ctx, p, g, saved.mean, dmoments, dmean, saved.head, arena);
    ctx.map(dtokens.rows, n, detail::SpreadOverTokens<T>{dmean, dtokens, count});
    trunk_.backward(ctx, p, g, dtokens, dseen, de, saved.trunk, arena);
    time_.backward(ctx, p, g, de, Matrix<T>(), Matrix<T>(), saved.time, arena);
    if (condition_.cols() > 0) {
      const Matrix<T> dtold = arena.take(rows, condition_.cols());
      const Matrix<T> dembedding = condition_.embedding(dtold);
      if (!dembedding.empty()) ctx.map(rows, n, Copy<T>{de, dembedding});
      if (!dseen.empty()) {
        detail::from_pixels<Ctx, T>(ctx, seen_.field(dseen), condition_.field(dtold), pixels());
      }
      condition_.backward(ctx, p, g, dtold, dcondition, saved.condition, arena);
    }
    arena.rewind(mark);
  }

 private:
  int pixels() const { return o_.trunk.height * o_.trunk.width; }

  TransformerPosteriorOptions o_ = {.latent = 0};
  SeenImages seen_;
  ImageCondition condition_;
  TimeConditioning time_;
  TransformerTrunk trunk_;
  Embedding head_;
};

}  // namespace vrfm
