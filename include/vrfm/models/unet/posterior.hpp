// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// UnetPosterior: N(mu, diag(exp(s))) of z from chosen inputs and c, of images (Guo and Schwing 2025): the
// way down of a U-Net, further strided convolutions and residual blocks until one pixel is left, and
// norm, SiLU and a dense layer to (mu, s), s = ln sigma^2. The images it sees and a field are channels
// of its input; t, a label and a vector, as far as it sees them, condition the blocks by adaptive norm.
// No dropout. Seeing x0 alone it serves as a prior, too. Parameters: <name>.time_embed, .label_emb,
// .vector_emb, .input_blocks, .out.
#pragma once

#include <vrfm/models/blocks/down_path.hpp>
#include <vrfm/models/blocks/image_condition.hpp>
#include <vrfm/models/blocks/seen_images.hpp>
#include <vrfm/models/blocks/time_conditioning.hpp>
#include <vrfm/models/latent_model.hpp>

namespace vrfm {

struct UnetPosteriorOptions {
  /// Of the images; its channels are those of one image, its conditioning, embedding and dropout are
  /// set here.
  DownPathOptions path = {.base = 16};
  int latent = 768;
  EncoderInput input = EncoderInput::x1;
  int classes = 0;            ///< of labels; 0: no label
  int condition_columns = 0;  ///< of the vector; 0: no vector
  int field_channels = 0;     ///< of a field on the image's grid; 0: no field
};

class UnetPosterior {
 public:
  static constexpr bool host_only = true;

  template <class T>
  struct Saved {
    ImageCondition::Saved<T> condition;
    TimeConditioning::Saved<T> time;
    DownPath::Saved<T> down;
    GroupNorm<Silu>::Saved<T> norm;
    Matrix<T> last, normed;
  };

  UnetPosterior() = default;

  /// Throws std::invalid_argument naming the first impossible option, or if no image is seen.
  UnetPosterior(ParameterList& list, const std::string& name, const UnetPosteriorOptions& options)
      : o_(options), seen_(options.input, pixels(), options.path.channels, options.field_channels) {
    expect(o_.latent >= 1, "the posterior needs latent >= 1, got ", o_.latent);
    DownPathOptions& path = o_.path;
    path.channels = seen_.channels();
    path.dropout = 0;
    path.embedding = 4 * path.base;
    if (seen_.sees(EncoderInput::t)) {
      time_ = TimeConditioning(list, name + '.', {.features = path.base, .width = path.embedding});
    } else if (o_.classes > 0 || o_.condition_columns > 0) {
      time_ = TimeConditioning(list, name + '.', {.width = path.embedding, .time = false});
    }
    condition_ = ImageCondition(list, name + '.',
                                {.inputs = {.classes = o_.classes,
                                            .condition_columns = o_.condition_columns,
                                            .field_columns = pixels() * o_.field_channels},
                                 .embedding = path.embedding});
    path.conditioning = conditioned() ? Conditioning::adaptive_norm : Conditioning::none;
    int number = 0;
    down_ = DownPath(list, name + ".input_blocks", path, number);
    while (down_.stages().back().pixels() > 1) {
      down_.extend(list, name + ".input_blocks", path, number);
    }
    norm_ = GroupNorm<Silu>(list, name + ".out.0", 1, down_.channels(),
                            path.groups_of(down_.channels(), 1));
    head_ = Dense<>(list, name + ".out.2", down_.channels(), 2 * o_.latent);
    list.note(name, "input", name_of(o_.input));
  }

  KOKKOS_INLINE_FUNCTION int latent() const { return o_.latent; }
  KOKKOS_INLINE_FUNCTION EncoderInput input() const { return o_.input; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const {
    ModelInputs result = condition_.inputs();
    result.latent = o_.latent;
    return result;
  }

  template <class Ctx, class T>
  void moments(const Ctx& ctx, const T* p, const LatentInputs<T>& inputs, Matrix<T> moments,
               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool save = saved != nullptr;
    const int rows = moments.rows;
    const Matrix<T> seen = arena.take(rows * pixels(), o_.path.channels),
                    told = arena.take(rows, condition_.cols());
    condition_.forward(ctx, p, inputs.condition, told, save ? &saved->condition : nullptr, arena);
    seen_.gather(ctx, inputs, condition_.field(told), seen);
    Matrix<T> e;
    if (conditioned()) {
      e = arena.take(rows, time_.outputs());
      time_.forward(ctx, p, inputs.t, Matrix<const T>(), condition_.embedding(told), e,
                    save ? &saved->time : nullptr, arena);
    }
    const auto outputs = take_outputs<T>(rows, arena);
    down_.forward(ctx, p, nullptr, seen, e, outputs, save ? &saved->down : nullptr, arena);
    const Matrix<T> last = down_.last(outputs), normed = arena.take(rows, down_.channels());
    norm_.forward(ctx, p, last, normed, save ? &saved->norm : nullptr, arena);
    head_.forward(ctx, p, normed, moments, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
    if (!save) {
      arena.rewind(mark);
      return;
    }
    saved->last = last;
    saved->normed = normed;
  }

  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dmoments,
                const ConditionGradient<T>& dcondition, const Saved<T>& saved,
                Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dmoments.rows;
    Matrix<T> de, dseen;
    if (conditioned()) {
      de = arena.take(rows, time_.outputs());
      ctx.map(de.rows, de.cols, Fill<T>{de, T(0)});
    }
    if (!dcondition.field.empty()) dseen = arena.take(rows * pixels(), o_.path.channels);
    const auto doutputs = take_outputs<T>(rows, arena);
    for (std::size_t k = 0; k < down_.stages().size(); ++k) {
      ctx.map(doutputs[k].rows, doutputs[k].cols, Fill<T>{doutputs[k], T(0)});
    }
    const Matrix<T> dlast = down_.last(doutputs);
    head_.backward(ctx, p, g, saved.normed, dmoments, dlast, {}, arena);
    norm_.backward(ctx, p, g, saved.last, dlast, dlast, saved.norm, arena);
    down_.backward(ctx, p, g, doutputs, dseen, de, saved.down, arena);
    if (conditioned()) {
      time_.backward(ctx, p, g, de, Matrix<T>(), Matrix<T>(), saved.time, arena);
    }
    if (condition_.cols() > 0) {
      const Matrix<T> dtold = arena.take(rows, condition_.cols());
      const Matrix<T> dembedding = condition_.embedding(dtold);
      if (!dembedding.empty()) ctx.map(rows, de.cols, Copy<T>{de, dembedding});
      if (!dseen.empty()) {
        detail::from_pixels<Ctx, T>(ctx, seen_.field(dseen), condition_.field(dtold), pixels());
      }
      condition_.backward(ctx, p, g, dtold, dcondition, saved.condition, arena);
    }
    arena.rewind(mark);
  }

 private:
  bool conditioned() const { return seen_.sees(EncoderInput::t) || condition_.has_embedding(); }
  int pixels() const { return o_.path.grid.pixels(); }

  template <class T>
  PerStage<Matrix<T>> take_outputs(int rows, Arena<T>& arena) const {
    PerStage<Matrix<T>> outputs;
    for (std::size_t k = 0; k < down_.stages().size(); ++k) {
      const Stage& stage = down_.stages()[k];
      outputs[k] = arena.take(rows * stage.pixels(), stage.channels);
    }
    return outputs;
  }

  UnetPosteriorOptions o_ = {.latent = 0};
  SeenImages seen_;
  ImageCondition condition_;
  TimeConditioning time_;
  DownPath down_;
  GroupNorm<Silu> norm_;
  Dense<> head_;
};

}  // namespace vrfm
