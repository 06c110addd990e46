// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// UnetPosterior: q(z | chosen inputs) = N(mu, diag(exp(s))) of images (Guo and Schwing 2025): the way
// down of a U-Net, further strided convolutions and residual blocks until one pixel is left, and
// norm, SiLU and a dense layer to (mu, s), s = ln sigma^2. The images it sees are channels of its
// input; t, if it sees it, conditions the blocks by adaptive norm. No dropout. Parameters:
// <name>.time_embed, .input_blocks, .out.
#pragma once

#include <vrfm/models/blocks/down_path.hpp>
#include <vrfm/models/blocks/time_conditioning.hpp>
#include <vrfm/models/mlp/posterior.hpp>

namespace vrfm {

struct UnetPosteriorOptions {
  /// Of the images; its channels are those of one image, its conditioning, embedding and dropout are
  /// set here.
  DownPathOptions path = {.base = 16};
  int latent = 768;
  EncoderInput input = EncoderInput::x1;
};

class UnetPosterior {
 public:
  static constexpr bool host_only = true;

  template <class T>
  struct Saved {
    TimeConditioning::Saved<T> time;
    DownPath::Saved<T> down;
    GroupNorm<Silu>::Saved<T> norm;
    Matrix<T> last, normed, e;
  };

  UnetPosterior() = default;

  /// Throws std::invalid_argument naming the first impossible option, or if no image is seen.
  UnetPosterior(ParameterList& list, const std::string& name, const UnetPosteriorOptions& options)
      : o_(options), image_channels_(options.path.channels) {
    expect(o_.latent >= 1, "the posterior needs latent >= 1, got ", o_.latent);
    DownPathOptions& path = o_.path;
    path.channels = 0;
    for (const auto input : images) path.channels += sees(input) ? image_channels_ : 0;
    expect(path.channels > 0, "the posterior needs at least one image of {x0, x1, x_t}");
    path.dropout = 0;
    path.conditioning = sees(EncoderInput::t) ? Conditioning::adaptive_norm : Conditioning::none;
    path.embedding = 4 * path.base;
    if (sees(EncoderInput::t)) {
      time_ = TimeConditioning(list, name + ".time_embed", path.base, path.embedding);
    }
    int number = 0;
    down_ = DownPath(list, name + ".input_blocks", path, number);
    while (down_.stages().back().pixels() > 1) {
      down_.extend(list, name + ".input_blocks", path, number);
    }
    norm_ = GroupNorm<Silu>(list, name + ".out.0", 1, down_.channels(),
                            path.groups(down_.channels(), 1));
    head_ = Dense<>(list, name + ".out.2", down_.channels(), 2 * o_.latent);
  }

  int latent() const { return o_.latent; }
  EncoderInput input() const { return o_.input; }

  /// Writes mu into columns [0, latent) of `moments` and s into [latent, 2 latent).
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, const Pairs<T>& pairs, Matrix<T> moments,
               Saved<T>& saved, Arena<T>& arena) const {
    const int rows = moments.rows;
    const Matrix<T> seen = arena.take(rows * pixels(), o_.path.channels);
    int channel = 0;
    for (const auto input : images) {
      if (!sees(input)) continue;
      const Matrix<T> from = input == EncoderInput::x0   ? pairs.x0
                             : input == EncoderInput::x1 ? pairs.x1
                                                         : pairs.x_t;
      ctx.map(seen.rows, image_channels_,
              Copy<T>{split_rows(from, pixels()), seen.col_range(channel, image_channels_)});
      channel += image_channels_;
    }
    if (sees(EncoderInput::t)) {
      saved.e = arena.take(rows, time_.outputs());
      time_.forward(ctx, p, pairs.t, Matrix<const T>(), saved.e, &saved.time, arena);
    }
    const auto outputs = take_outputs<T>(rows, arena);
    down_.forward(ctx, p, DrawAddress{}, seen, saved.e, outputs, &saved.down, arena);
    saved.last = down_.last(outputs);
    saved.normed = arena.take(rows, down_.channels());
    norm_.forward(ctx, p, saved.last, saved.normed, &saved.norm, arena);
    head_.forward(ctx, p, saved.normed, moments, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
  }

  /// Parameter gradients of sum(dmoments * moments).
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dmoments,
                const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    Matrix<T> de;
    if (sees(EncoderInput::t)) {
      de = arena.take(dmoments.rows, time_.outputs());
      ctx.map(de.rows, de.cols, Fill<T>{de, T(0)});
    }
    const auto doutputs = take_outputs<T>(dmoments.rows, arena);
    for (std::size_t k = 0; k < down_.stages().size(); ++k) {
      ctx.map(doutputs[k].rows, doutputs[k].cols, Fill<T>{doutputs[k], T(0)});
    }
    const Matrix<T> dlast = down_.last(doutputs);
    head_.backward(ctx, p, g, saved.normed, dmoments, dlast, {}, arena);
    norm_.backward(ctx, p, g, saved.last, dlast, dlast, saved.norm, arena);
    down_.backward(ctx, p, g, doutputs, Matrix<T>(), de, saved.down, arena);
    if (sees(EncoderInput::t)) time_.backward(ctx, p, g, de, saved.time, arena);
    arena.rewind(mark);
  }

 private:
  static constexpr EncoderInput images[] = {EncoderInput::x0, EncoderInput::x1, EncoderInput::x_t};

  bool sees(EncoderInput input) const { return contains(o_.input, input); }
  int pixels() const { return o_.path.height * o_.path.width; }

  template <class T>
  PerStage<Matrix<T>> take_outputs(int rows, Arena<T>& arena) const {
    PerStage<Matrix<T>> outputs;
    for (std::size_t k = 0; k < down_.stages().size(); ++k) {
      const Stage& stage = down_.stages()[k];
      outputs[k] = arena.take(rows * stage.pixels(), stage.channels);
    }
    return outputs;
  }

  UnetPosteriorOptions o_;
  int image_channels_ = 0;  // of one image
  TimeConditioning time_;
  DownPath down_;
  GroupNorm<Silu> norm_;
  Dense<> head_;
};

}  // namespace vrfm
