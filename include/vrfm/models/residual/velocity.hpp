// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualVelocity: the velocity v(x, t, z) of small grey images (Guo and Schwing 2025, MNIST). t, x and
// z are encoded, t and z by sinusoidal encoding and two dense layers, x by a residual stack; side by
// side on the channels of every pixel they enter a second stack. Names: <name>.time_encoder,
// .image_encoder, .latent_encoder, .decoder.
#pragma once

#include <vrfm/models/blocks/residual_stack.hpp>
#include <vrfm/models/mlp/velocity.hpp>

namespace vrfm {

struct ResidualVelocityOptions {
  int height = 28, width = 28, channels = 1;
  int latent = 0;     ///< columns of z; 0: rectified flow
  int features = 64;  ///< channels of both stacks, and of the encoders of t and z
  int blocks = 5;     ///< residual blocks of each stack
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
  ResidualVelocity(ParameterList& list, const std::string& name, const ResidualVelocityOptions& o)
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

  ResidualVelocityOptions o_;
  Encoder<Silu> time_encoder_, latent_encoder_;
  ResidualStack image_encoder_, decoder_;
};

}  // namespace vrfm
