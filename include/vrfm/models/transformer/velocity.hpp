// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TransformerVelocity: u(x, t, s | z, c) of images by SiT (Ma et al. 2024), with a latent variable (Guo and
// Schwing 2025): the embeddings of z, of a label and of a vector are added to that of t, and for a second time
// that of s - t; a field lies beside the image's channels. Names as in SiT: x_embedder, t_embedder,
// y_embedder, blocks, final_layer; and latent_embed, vector_emb, span_embed.
#pragma once

#include <vrfm/models/blocks/image_condition.hpp>
#include <vrfm/models/blocks/image_rows.hpp>
#include <vrfm/models/blocks/time_conditioning.hpp>
#include <vrfm/models/transformer/trunk.hpp>
#include <vrfm/models/velocity_model.hpp>

namespace vrfm {

struct TransformerVelocityOptions {
  TransformerOptions trunk = {};
  int latent = 0;             ///< columns of z; 0: rectified flow
  int classes = 0;            ///< of labels; 0: no label
  int condition_columns = 0;  ///< of the vector; 0: no vector
  int field_channels = 0;     ///< of a field on the image's grid; 0: no field
  bool second_time = false;   ///< a flow map
  /// Twice the channels leave the last layer, and the second half is not used: SiT's published weights.
  bool learn_sigma = false;
};

namespace detail {

/// Columns of SiT's encoding of a time, and the deviation of its embedding's weights at first.
inline constexpr int sit_time_features = 256;
inline constexpr double sit_deviation = 0.02;
inline constexpr LabelTable sit_labels{"y_embedder.embedding_table", sit_deviation};

/// Between pixels and the columns [y in the patch][x in the patch][channel] of tokens.
struct PatchColumns {
  int width, channels, patch, token_channels;

  KOKKOS_INLINE_FUNCTION int token(int pixel) const {
    return pixel / width / patch * (width / patch) + pixel % width / patch;
  }
  KOKKOS_INLINE_FUNCTION int column(int pixel, int channel) const {
    return (pixel / width % patch * patch + pixel % width % patch) * token_channels + channel;
  }
};

/// Element: v of a sample, pixels row by row, channels last, from its tokens.
template <class T>
struct FromTokens {
  ConstMatrix<T> tokens;  // (samples count) x (patch patch token_channels)
  Matrix<T> v;
  PatchColumns columns;
  int count;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const int pixel = j / columns.channels;
    v(i, j) = tokens(i * count + columns.token(pixel), columns.column(pixel, j % columns.channels));
  }
};

/// Element: the other way, written from the image's side.
template <class T>
struct ToTokens {
  ConstMatrix<T> v;
  Matrix<T> tokens;
  PatchColumns columns;
  int count;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const int pixel = j / columns.channels;
    tokens(i * count + columns.token(pixel), columns.column(pixel, j % columns.channels)) = v(i, j);
  }
};

}  // namespace detail

class TransformerVelocity {
 public:
  static constexpr bool host_only = true;

  template <class T>
  using PreparedSaved = ImageCondition::Saved<T>;

  template <class T, class P = T>
  struct Saved {
    TimeConditioning::Saved<T> time;
    TransformerTrunk::Saved<T, P> trunk;
    Matrix<T> tokens;
  };

  TransformerVelocity() = default;

  /// `name` may be empty. Throws std::invalid_argument naming the first impossible option.
  TransformerVelocity(ParameterList& list, const std::string& name,
                      const TransformerVelocityOptions& options)
      : o_(options) {
    const std::string prefix = name.empty() ? name : name + '.';
    const TransformerOptions& t = o_.trunk;
    t.check();
    expect(o_.latent >= 0, "a transformer needs latent >= 0, got ", o_.latent);
    expect(o_.field_channels >= 0, "a transformer needs field_channels >= 0, got ",
           o_.field_channels);
    expect(o_.field_channels <= (std::numeric_limits<int>::max)() / pixels() - t.channels,
           "a transformer needs a field whose numbers an int counts, got ", t.height, " x ",
           t.width, " x ", o_.field_channels, " beside ", t.channels, " channels");
    time_ = TimeConditioning(list, prefix,
                             {.features = detail::sit_time_features,
                              .width = t.embedding,
                              .span = o_.second_time,
                              .name = "t_embedder.mlp",
                              .deviation = detail::sit_deviation});
    condition_ = ImageCondition(list, prefix,
                                {.inputs = {.latent = o_.latent,
                                            .classes = o_.classes,
                                            .condition_columns = o_.condition_columns,
                                            .field_columns = pixels() * o_.field_channels,
                                            .second_time = o_.second_time},
                                 .latent_width = t.embedding,
                                 .embedding = t.embedding,
                                 .labels = detail::sit_labels});
    trunk_ = TransformerTrunk(list, prefix, t, t.channels + o_.field_channels);
    const auto zero = Initializer::constant(0);
    last_ = Dense<>(list, prefix + "final_layer.linear", t.embedding,
                    t.patch * t.patch * columns().token_channels, zero, zero);
  }

  const TransformerVelocityOptions& options() const { return o_; }
  KOKKOS_INLINE_FUNCTION int dimension() const { return pixels() * o_.trunk.channels; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const { return condition_.inputs(); }
  /// Columns [embedding of z and c | field], as far as there are any.
  KOKKOS_INLINE_FUNCTION int prepared_cols() const { return condition_.cols(); }

  template <class Ctx, class P, class T>
  void prepare(const Ctx& ctx, const P* p, const Condition<T>& condition, Matrix<T> prepared,
               PreparedSaved<T>* saved, Arena<T>& arena) const {
    condition_.forward(ctx, p, condition, prepared, saved, arena);
  }

  template <class Ctx, class P, class T>
  void prepare_backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> dprepared,
                        const ConditionGradient<T>& dcondition, const PreparedSaved<T>& saved,
                        Arena<T>& arena) const {
    condition_.backward(ctx, p, g, dprepared, dcondition, saved, arena);
  }

  /// x and v: rows x dimension(), pixels row by row, channels last.
  template <class Ctx, class P, class T>
  void forward(const Ctx& ctx, const P* p, const Query<T>& query, ConstMatrix<T> prepared,
               const DrawAddress*, Matrix<T> v, Saved<T, P>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = v.rows, count = trunk_.tokens();
    const bool save = saved != nullptr;
    const Matrix<T> e = arena.take(rows, time_.outputs()), image = take_image(rows, arena),
                    tokens = arena.take(rows_of_parts(rows, count), o_.trunk.embedding),
                    patches = arena.take(rows_of_parts(rows, count), last_.outputs());
    detail::to_pixels<Ctx, T>(ctx, query.x, image_columns(image), pixels());
    if (condition_.has_field()) {
      detail::to_pixels<Ctx, T>(ctx, condition_.field(prepared), field_columns(image), pixels());
    }
    time_.forward(ctx, p, query.t, query.s, condition_.embedding(prepared), e,
                  save ? &saved->time : nullptr, arena);
    trunk_.forward(ctx, p, image, e, tokens, save ? &saved->trunk : nullptr, arena);
    last_.forward(ctx, p, tokens, patches, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
    ctx.map(rows, v.cols, detail::FromTokens<T>{patches, v, columns(), count});
    if (!save) {
      arena.rewind(mark);
      return;
    }
    saved->tokens = tokens;
  }

  template <class Ctx, class P, class T>
  void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> dv,
                const QueryGradient<T>& dquery, Matrix<T> dprepared, const Saved<T, P>& saved,
                Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dv.rows, count = trunk_.tokens();
    const bool field = condition_.has_field() && !dprepared.empty();
    const Matrix<T> de = arena.take(rows, time_.outputs()),
                    dtokens = arena.take(rows_of_parts(rows, count), o_.trunk.embedding),
                    dpatches = arena.take(rows_of_parts(rows, count), last_.outputs());
    Matrix<T> dimage;
    if (field || !dquery.x.empty()) dimage = take_image(rows, arena);
    ctx.map(de.rows, de.cols, Fill<T>{de, T(0)});
    if (o_.learn_sigma) ctx.map(dpatches.rows, dpatches.cols, Fill<T>{dpatches, T(0)});
    ctx.map(rows, dv.cols, detail::ToTokens<T>{dv, dpatches, columns(), count});
    last_.backward(ctx, p, g, saved.tokens, dpatches, dtokens, {}, arena);
    trunk_.backward(ctx, p, g, dtokens, dimage, de, saved.trunk, arena);
    if (!dquery.x.empty()) {
      detail::from_pixels<Ctx, T>(ctx, image_columns(dimage), dquery.x, pixels());
    }
    time_.backward(ctx, p, g, de, dquery.t, dquery.s, saved.time, arena);
    if (!dprepared.empty()) {
      const Matrix<T> sum = condition_.embedding(dprepared);
      if (!sum.empty()) ctx.map(sum.rows, sum.cols, AddScaled<T>{T(1), de, sum});
      if (field) {
        ctx.map(
            dimage.rows, o_.field_channels,
            detail::AddFromPixels<T>{field_columns(dimage), condition_.field(dprepared), pixels()});
      }
    }
    arena.rewind(mark);
  }

  template <class Ctx, class P, class T>
  void tangent(const Ctx& ctx, const P* p, const Query<T>& rates, Matrix<T> dv,
               const Saved<T, P>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dv.rows, count = trunk_.tokens();
    const Matrix<T> dimage = take_image(rows, arena),
                    dtokens = arena.take(rows_of_parts(rows, count), o_.trunk.embedding),
                    dpatches = arena.take(rows_of_parts(rows, count), last_.outputs());
    if (rates.x.empty() || condition_.has_field()) {
      ctx.map(dimage.rows, dimage.cols, Fill<T>{dimage, T(0)});
    }
    if (!rates.x.empty()) {
      detail::to_pixels<Ctx, T>(ctx, rates.x, image_columns(dimage), pixels());
    }
    Matrix<T> de;
    if (!rates.t.empty() || !rates.s.empty()) {
      de = arena.take(rows, time_.outputs());
      time_.tangent(ctx, p, rates.t, rates.s, de, saved.time, arena);
    }
    trunk_.tangent(ctx, p, dimage, de, dtokens, saved.trunk, arena);
    last_.tangent(ctx, p, dtokens, dpatches, {}, arena);
    ctx.map(rows, dv.cols, detail::FromTokens<T>{dpatches, dv, columns(), count});
    arena.rewind(mark);
  }

 private:
  KOKKOS_INLINE_FUNCTION int pixels() const { return o_.trunk.height * o_.trunk.width; }
  KOKKOS_INLINE_FUNCTION detail::PatchColumns columns() const {
    const TransformerOptions& t = o_.trunk;
    return {t.width, t.channels, t.patch, o_.learn_sigma ? 2 * t.channels : t.channels};
  }

  /// Rows that are pixels, columns [image | field].
  template <class T>
  Matrix<T> take_image(int rows, Arena<T>& arena) const {
    return arena.take(rows_of_parts(rows, pixels()), o_.trunk.channels + o_.field_channels);
  }
  template <class T>
  Matrix<T> image_columns(Matrix<T> image) const {
    return image.col_range(0, o_.trunk.channels);
  }
  template <class T>
  Matrix<T> field_columns(Matrix<T> image) const {
    return image.col_range(o_.trunk.channels, o_.field_channels);
  }

  TransformerVelocityOptions o_ = {};
  TimeConditioning time_;
  ImageCondition condition_;
  TransformerTrunk trunk_;
  Dense<> last_;
};

}  // namespace vrfm
