// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualPosterior: N(mu, diag(exp(s))) of z from chosen images, for small grey ones (Guo and Schwing
// 2025, MNIST): one residual stack for each image of {x0, x1, x_t}, side by side, then residual blocks
// with average pooling between them and two dense layers to (mu, s), s = ln sigma^2. Seeing x0 alone it
// serves as a prior, too. Names: <name>.x0_encoder, ..., .in, .blocks.<k>, .head.
#pragma once

#include <vrfm/layers/resample.hpp>
#include <vrfm/models/blocks/image_rows.hpp>
#include <vrfm/models/blocks/mlp.hpp>
#include <vrfm/models/blocks/residual_stack.hpp>
#include <vrfm/models/latent_model.hpp>

namespace vrfm {

struct ResidualPosteriorOptions {
  /// {height, width} of images, {n} of signals, {depth, height, width} of volumes.
  PixelGrid grid = {28, 28};
  int channels = 1;
  int latent = 2;
  int features = 32;  ///< channels of the stacks and blocks
  EncoderInput input = EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t;
};

class ResidualPosterior {
 public:
  static constexpr bool host_only = true;
  static constexpr int levels = 3;

  template <class T>
  struct Saved {
    ResidualStack::Saved<T> encoder[3];
    ResidualBlock::Saved<T> block[levels];
    Matrix<T> joined, pooled[levels], flat;
    typename Mlp<Silu>::template Saved<T> head;
  };

  ResidualPosterior() = default;

  /// Throws std::invalid_argument naming the first impossible option, or if no image is seen, or t.
  ResidualPosterior(ParameterList& list, const std::string& name, const ResidualPosteriorOptions& o)
      : o_(o) {
    expect(o.latent >= 1, "the posterior needs latent >= 1, got ", o.latent);
    expect(!contains(o.input, EncoderInput::t),
           "the posterior of small images sees images of {x0, x1, x_t}, not t");
    const int features = o.features;
    const char* const names[] = {".x0_encoder", ".x1_encoder", ".xt_encoder"};
    for (int k = 0; k < 3; ++k) {
      if (!sees(k)) continue;
      encoder_[k] = ResidualStack(list, name + names[k],
                                  {.grid = o.grid,
                                   .inputs = o.channels,
                                   .channels = features,
                                   .outputs = features,
                                   .blocks = 1});
    }
    expect(encoders() > 0, "the posterior needs at least one image of {x0, x1, x_t}");
    in_ = Conv(list, name + ".in", Window::over(o.grid, 3, 1, 1), encoders() * features, features);
    PixelGrid grid = o.grid;
    for (int k = 0; k < levels; ++k) {
      if (k > 0) {
        pool_[k] = AveragePool(grid, features, 2);
        grid = grid / 2;
      }
      block_[k] = ResidualBlock(
          list, name + ".blocks." + std::to_string(k),
          {.grid = grid, .inputs = features, .outputs = features, .groups = group_count(features)});
    }
    bottom_pixels_ = grid.pixels();
    head_ = Mlp<Silu>(list, name + ".head", {bottom_pixels_ * features, 128, 2 * o.latent});
    list.note(name, "input", name_of(o.input));
  }

  KOKKOS_INLINE_FUNCTION int latent() const { return o_.latent; }
  KOKKOS_INLINE_FUNCTION EncoderInput input() const { return o_.input; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const { return {.latent = o_.latent}; }

  template <class Ctx, class T>
  void moments(const Ctx& ctx, const T* p, const LatentInputs<T>& inputs, Matrix<T> moments,
               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool save = saved != nullptr;
    const int rows = moments.rows, features = o_.features;
    const ConstMatrix<T> images[] = {inputs.x0, inputs.x1, inputs.x_t};
    const Matrix<T> joined = arena.take(rows * pixels(), encoders() * features);
    int column = 0;
    for (int k = 0; k < 3; ++k) {
      if (!sees(k)) continue;
      encoder_[k].forward(ctx, p, pixels_of(ctx, images[k], arena),
                          joined.col_range(column, features), save ? &saved->encoder[k] : nullptr,
                          arena);
      column += features;
    }
    Matrix<T> flat;
    for (int k = 0; k < levels; ++k) {
      const int block_pixels = block_[k].options().grid.pixels();
      const Matrix<T> pooled = arena.take(rows * block_pixels, features),
                      out = arena.take(rows * block_pixels, features);
      if (k == 0) {
        in_.forward(ctx, p, joined, pooled, static_cast<Conv::Saved<T>*>(nullptr), arena);
      } else {
        pool_[k].forward(ctx, p, flat, pooled, static_cast<AveragePool::Saved<T>*>(nullptr), arena);
      }
      block_[k].forward(ctx, p, nullptr, pooled, Matrix<const T>(), out,
                        save ? &saved->block[k] : nullptr, arena);
      if (save) saved->pooled[k] = pooled;
      flat = out;
    }
    flat = join_rows(flat, bottom_pixels_);
    head_.forward(ctx, p, flat, moments, save ? &saved->head : nullptr, arena);
    if (!save) {
      arena.rewind(mark);
      return;
    }
    saved->joined = joined;
    saved->flat = flat;
  }

  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dmoments,
                const ConditionGradient<T>&, const Saved<T>& saved, Arena<T>& arena) const {
    if (g.ignored()) return;
    const auto mark = arena.used();
    const int features = o_.features;
    Matrix<T> d = arena.take(dmoments.rows, saved.flat.cols);
    head_.backward(ctx, p, g, saved.flat, dmoments, d, saved.head, arena);
    d = split_rows(d, bottom_pixels_);
    for (int k = levels; k-- > 0;) {
      const Matrix<T> dpooled = arena.take(saved.pooled[k].rows, features);
      block_[k].backward(ctx, p, g, d, dpooled, Matrix<T>(), saved.block[k], arena);
      d = dpooled;
      if (k == 0) break;
      const Matrix<T> dout = arena.take(saved.pooled[k - 1].rows, features);
      pool_[k].backward(ctx, p, g, dout, dpooled, dout, {}, arena);
      d = dout;
    }
    const Matrix<T> djoined = arena.take(saved.joined.rows, saved.joined.cols);
    in_.backward(ctx, p, g, saved.joined, d, djoined, {}, arena);
    int column = 0;
    for (int k = 0; k < 3; ++k) {
      if (!sees(k)) continue;
      encoder_[k].backward(ctx, p, g, ConstMatrix<T>(djoined.col_range(column, features)),
                           Matrix<T>(), saved.encoder[k], arena);
      column += features;
    }
    arena.rewind(mark);
  }

 private:
  bool sees(int k) const { return contains(o_.input, static_cast<EncoderInput>(1u << k)); }
  int encoders() const { return int(sees(0)) + int(sees(1)) + int(sees(2)); }
  int pixels() const { return o_.grid.pixels(); }

  /// The images' pixels as rows: a copy only if there are gaps between the images.
  template <class Ctx, class T>
  Matrix<const T> pixels_of(const Ctx& ctx, Matrix<const T> images, Arena<T>& arena) const {
    if (images.stride == images.cols) return split_rows(images, pixels());
    const Matrix<T> copy = arena.take(images.rows * pixels(), o_.channels);
    detail::to_pixels<Ctx, T>(ctx, images, copy, pixels());
    return copy;
  }

  ResidualPosteriorOptions o_ = {.latent = 0};
  ResidualStack encoder_[3];
  Conv in_;
  AveragePool pool_[levels];
  ResidualBlock block_[levels];
  int bottom_pixels_ = 0;
  Mlp<Silu> head_;
};

}  // namespace vrfm
