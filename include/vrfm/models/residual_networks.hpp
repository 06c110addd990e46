// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualNetworks: the networks of a flow on small grey images (Guo and Schwing 2025, MNIST).
// Velocity: t, x and z are encoded, t and z by sinusoidal encoding and two dense layers, x by a
// residual stack; side by side on the channels of every pixel they enter a second stack. Posterior:
// one stack for each image of {x0, x1, x_t}, side by side, then residual blocks with average pooling
// between them and two dense layers to (mu, s), s = ln sigma^2. Names: velocity.time_encoder,
// .image_encoder, .latent_encoder, .decoder; posterior.x0_encoder, ..., .in, .blocks.<k>, .head.
#pragma once

#include <vrfm/layers/resample.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/models/residual_stack.hpp>

namespace vrfm {

struct ResidualFlowOptions {
  int height = 28, width = 28, channels = 1;
  int latent = 0;     ///< columns of z; 0: rectified flow
  int features = 64;  ///< channels of every stack, and of the encoders of t and z
  int blocks = 5;     ///< residual blocks of each of the velocity's stacks
  int posterior_features = 32;
  EncoderInput encoder_input = EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t;
};

namespace detail {

/// Element: every pixel of a sample gets the sample's row.
template <class T>
struct SpreadOverPixels {
  ConstMatrix<T> e;
  Matrix<T> out;
  int pixels;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { out(i, j) = e(i / pixels, j); }
};

}  // namespace detail

class ResidualVelocity {
 public:
  static constexpr bool host_only = true;

  template <class T>
  struct Saved {
    Encoder<Silu>::Saved<T> time, latent;
    ResidualStack::Saved<T> image, decoder;
    ConstMatrix<T> t, z;
    Matrix<T> part;
  };

  ResidualVelocity() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  ResidualVelocity(ParameterList& list, const std::string& name, const ResidualFlowOptions& o)
      : o_(o) {
    expect(o.latent >= 0, "velocity network needs latent >= 0, got ", o.latent);
    const EncoderOptions encoder{.features = o.features, .width = o.features};
    ResidualStackOptions stack{.height = o.height,
                               .width = o.width,
                               .inputs = o.channels,
                               .channels = o.features,
                               .outputs = o.features,
                               .blocks = o.blocks};
    time_encoder_ = make_encoder<Silu>(list, name + ".time_encoder", 1, encoder);
    image_encoder_ = ResidualStack(list, name + ".image_encoder", stack);
    if (o.latent > 0) {
      latent_encoder_ = make_encoder<Silu>(list, name + ".latent_encoder", o.latent, encoder);
    }
    stack.inputs = joined_channels();
    stack.outputs = o.channels;
    stack.out_kernel = 1;
    decoder_ = ResidualStack(list, name + ".decoder", stack);
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return pixels() * o_.channels; }
  int latent() const { return o_.latent; }
  /// Columns of z's encoding.
  int part_cols() const { return o_.latent > 0 ? o_.features : 0; }

  /// Writes z's encoding to `part`: rows x part_cols().
  template <class Ctx, class T>
  void encode_latent(const Ctx& ctx, const T* p, ConstMatrix<T> z, Matrix<T> part,
                     Arena<T>& arena) const {
    if (o_.latent == 0) return;
    latent_encoder_.forward(ctx, p, z, part, static_cast<Encoder<Silu>::Saved<T>*>(nullptr), arena);
  }

  /// v = v(x, t, z) where `part` is z's, from encode_latent. x and v: rows x dimension(), pixels row by
  /// row, channels last; t: rows x 1.
  template <class Ctx, class T>
  void forward_encoded(const Ctx& ctx, const T* p, ConstMatrix<T> t, ConstMatrix<T> x,
                       ConstMatrix<T> part, Matrix<T> v, Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = x.rows;
    const Matrix<T> image = arena.take(rows * pixels(), o_.channels),
                    time = arena.take(rows, o_.features),
                    joined = arena.take(image.rows, joined_channels()),
                    out = arena.take(image.rows, o_.channels);
    ctx.map(rows, dimension(), Copy<T>{x, join_rows(image, pixels())});
    image_encoder_.forward(ctx, p, image, columns(joined, 0),
                           saved != nullptr ? &saved->image : nullptr, arena);
    time_encoder_.forward(ctx, p, t, time, saved != nullptr ? &saved->time : nullptr, arena);
    ctx.map(joined.rows, o_.features,
            detail::SpreadOverPixels<T>{time, columns(joined, 1), pixels()});
    if (o_.latent > 0) {
      ctx.map(joined.rows, o_.features,
              detail::SpreadOverPixels<T>{part, columns(joined, 2), pixels()});
    }
    decoder_.forward(ctx, p, joined, out, saved != nullptr ? &saved->decoder : nullptr, arena);
    ctx.map(rows, dimension(), Copy<T>{join_rows(out, pixels()), v});
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->t = t;
    }
  }

  /// v = v(x, t, z), keeping what backward needs. z: rows x latent.
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, const DrawAddress&, ConstMatrix<T> t, ConstMatrix<T> x,
               ConstMatrix<T> z, Matrix<T> v, Saved<T>& saved, Arena<T>& arena) const {
    if (o_.latent > 0) {
      saved.z = z;
      saved.part = arena.take(x.rows, part_cols());
      latent_encoder_.forward(ctx, p, z, saved.part, &saved.latent, arena);
    }
    forward_encoded(ctx, p, t, x, ConstMatrix<T>(saved.part), v, &saved, arena);
  }

  /// Gradients of sum(dv * v): of the parameters into `g`, of x and z into dx and dz unless empty.
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dv, Matrix<T> dx,
                Matrix<T> dz, const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dv.rows;
    const Matrix<T> dimage = arena.take(rows * pixels(), o_.channels),
                    d = arena.take(dimage.rows, joined_channels()),
                    de = arena.take(rows, o_.features);
    ctx.map(rows, dimension(), Copy<T>{dv, join_rows(dimage, pixels())});
    decoder_.backward(ctx, p, g, dimage, d, saved.decoder, arena);
    if (o_.latent > 0 && (!g.ignored() || !dz.empty())) {
      ctx.each_tile(rows, detail::SumPixels<T>{columns(d, 2), de, pixels()}, arena);
      latent_encoder_.backward(ctx, p, g, saved.z, de, dz, saved.latent, arena);
    }
    if (!g.ignored()) {
      ctx.each_tile(rows, detail::SumPixels<T>{columns(d, 1), de, pixels()}, arena);
      time_encoder_.backward(ctx, p, g, saved.t, de, Matrix<T>(), saved.time, arena);
    }
    image_encoder_.backward(ctx, p, g, columns(d, 0), dx.empty() ? Matrix<T>() : dimage,
                            saved.image, arena);
    if (!dx.empty()) ctx.map(rows, dimension(), Copy<T>{join_rows(dimage, pixels()), dx});
    arena.rewind(mark);
  }

 private:
  KOKKOS_INLINE_FUNCTION int pixels() const { return o_.height * o_.width; }
  int joined_channels() const { return (o_.latent > 0 ? 3 : 2) * o_.features; }
  template <class T>
  Matrix<T> columns(Matrix<T> joined, int part) const {
    return joined.col_range(part * o_.features, o_.features);
  }

  ResidualFlowOptions o_;
  Encoder<Silu> time_encoder_, latent_encoder_;
  ResidualStack image_encoder_, decoder_;
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
  ResidualPosterior(ParameterList& list, const std::string& name, const ResidualFlowOptions& o)
      : o_(o) {
    expect(o.latent >= 1, "the posterior needs latent >= 1, got ", o.latent);
    expect(!contains(o.encoder_input, EncoderInput::t),
           "the posterior of small images sees images of {x0, x1, x_t}, not t");
    const int features = o.posterior_features;
    const char* const names[] = {".x0_encoder", ".x1_encoder", ".xt_encoder"};
    for (int k = 0; k < 3; ++k) {
      if (!sees(k)) continue;
      encoder_[k] = ResidualStack(list, name + names[k],
                                  {.height = o.height,
                                   .width = o.width,
                                   .inputs = o.channels,
                                   .channels = features,
                                   .outputs = features,
                                   .blocks = 1});
    }
    expect(encoders() > 0, "the posterior needs at least one image of {x0, x1, x_t}");
    in_ = Conv2d(list, name + ".in", Window{o.height, o.width, 3, 1, 1}, encoders() * features,
                 features);
    int height = o.height, width = o.width;
    for (int k = 0; k < levels; ++k) {
      if (k > 0) {
        pool_[k] = AveragePool(height, width, features, 2);
        height /= 2;
        width /= 2;
      }
      block_[k] = ResidualBlock(list, name + ".blocks." + std::to_string(k),
                                {.height = height,
                                 .width = width,
                                 .inputs = features,
                                 .outputs = features,
                                 .groups = math::min(32, features)});
    }
    bottom_pixels_ = height * width;
    head_ = Mlp<Silu>(list, name + ".head", {bottom_pixels_ * features, 128, 2 * o.latent});
  }

  int latent() const { return o_.latent; }
  EncoderInput input() const { return o_.encoder_input; }

  /// Writes mu into columns [0, latent) of `moments` and s into [latent, 2 latent).
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, const Pairs<T>& pairs, Matrix<T> moments,
               Saved<T>& saved, Arena<T>& arena) const {
    const int rows = moments.rows, features = o_.posterior_features;
    const Matrix<T> images[] = {pairs.x0, pairs.x1, pairs.x_t};
    saved.joined = arena.take(rows * pixels(), encoders() * features);
    int column = 0;
    for (int k = 0; k < 3; ++k) {
      if (!sees(k)) continue;
      encoder_[k].forward(ctx, p, split_rows(ConstMatrix<T>(images[k]), pixels()),
                          saved.joined.col_range(column, features), &saved.encoder[k], arena);
      column += features;
    }
    for (int k = 0; k < levels; ++k) {
      const int block_pixels = block_[k].options().height * block_[k].options().width;
      saved.pooled[k] = arena.take(rows * block_pixels, features);
      const Matrix<T> out = arena.take(rows * block_pixels, features);
      if (k == 0) {
        in_.forward(ctx, p, saved.joined, saved.pooled[k], static_cast<Conv2d::Saved<T>*>(nullptr),
                    arena);
      } else {
        pool_[k].forward(ctx, p, saved.flat, saved.pooled[k],
                         static_cast<AveragePool::Saved<T>*>(nullptr), arena);
      }
      block_[k].forward(ctx, p, DrawAddress{}, saved.pooled[k], Matrix<const T>(), out,
                        &saved.block[k], arena);
      saved.flat = out;
    }
    saved.flat = join_rows(saved.flat, bottom_pixels_);
    head_.forward(ctx, p, saved.flat, moments, &saved.head, arena);
  }

  /// Parameter gradients of sum(dmoments * moments).
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dmoments,
                const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int features = o_.posterior_features;
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
  bool sees(int k) const { return contains(o_.encoder_input, static_cast<EncoderInput>(1u << k)); }
  int encoders() const { return int(sees(0)) + int(sees(1)) + int(sees(2)); }
  KOKKOS_INLINE_FUNCTION int pixels() const { return o_.height * o_.width; }

  ResidualFlowOptions o_;
  ResidualStack encoder_[3];
  Conv2d in_;
  AveragePool pool_[levels];
  ResidualBlock block_[levels];
  int bottom_pixels_ = 0;
  Mlp<Silu> head_;
};

struct ResidualNetworks {
  using Options = ResidualFlowOptions;
  static constexpr bool host_only = true;

  ResidualVelocity velocity;
  ResidualPosterior posterior;  ///< empty if velocity.latent() == 0

  ResidualNetworks() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  ResidualNetworks(ParameterList& list, const Options& options)
      : velocity(list, "velocity", options) {
    if (options.latent > 0) posterior = ResidualPosterior(list, "posterior", options);
  }
};

}  // namespace vrfm
