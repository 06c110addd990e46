// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualVelocity: u(x, t, s | z) of small grey images (Guo and Schwing 2025, MNIST). t, x and z are
// encoded, t and z by sinusoidal encoding and two dense layers, x by a residual stack; side by side on
// the channels of every pixel they enter a second stack. z's encoding is prepared once for a whole path. A second
// time adds an encoding of s - t to that of t, which is zero at first.
// Names: <name>.time_encoder, .image_encoder, .latent_encoder, .decoder, .span_encoder.
#pragma once

#include <vrfm/models/blocks/image_rows.hpp>
#include <vrfm/models/blocks/residual_stack.hpp>
#include <vrfm/models/blocks/time_encoder.hpp>
#include <vrfm/models/velocity_model.hpp>

namespace vrfm {

struct ResidualVelocityOptions {
  /// {height, width} of images, {n} of signals, {depth, height, width} of volumes.
  PixelGrid grid = {28, 28};
  int channels = 1;
  int latent = 0;            ///< columns of z; 0: rectified flow
  int features = 64;         ///< channels of both stacks, and of the encoders of t and z
  int blocks = 5;            ///< residual blocks of each stack
  bool second_time = false;  ///< a flow map
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
  struct PreparedSaved {
    Encoder<Silu>::Saved<T> latent;
    ConstMatrix<T> z;
  };

  template <class T>
  struct Saved {
    TimeEncoder<Silu>::Saved<T> time;
    ResidualStack::Saved<T> image, decoder;
  };

  ResidualVelocity() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  ResidualVelocity(ParameterList& list, const std::string& name, const ResidualVelocityOptions& o)
      : o_(o) {
    expect(o.latent >= 0, "velocity network needs latent >= 0, got ", o.latent);
    const EncoderOptions encoder{.features = o.features, .width = o.features};
    ResidualStackOptions stack{.grid = o.grid,
                               .inputs = o.channels,
                               .channels = o.features,
                               .outputs = o.features,
                               .blocks = o.blocks};
    time_encoder_ = TimeEncoder<Silu>(list, name + ".time_encoder", encoder);
    image_encoder_ = ResidualStack(list, name + ".image_encoder", stack);
    if (o.latent > 0) {
      latent_encoder_ = make_encoder<Silu>(list, name + ".latent_encoder", o.latent, encoder);
    }
    stack.inputs = joined_channels();
    stack.outputs = o.channels;
    stack.out_kernel = 1;
    decoder_ = ResidualStack(list, name + ".decoder", stack);
    if (o.second_time) time_encoder_.add_span(list, name + ".span_encoder", encoder);
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return pixels() * o_.channels; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const {
    return {.latent = o_.latent, .second_time = o_.second_time};
  }
  /// Columns of z's encoding.
  KOKKOS_INLINE_FUNCTION int prepared_cols() const { return o_.latent > 0 ? o_.features : 0; }

  template <class Ctx, class T>
  void prepare(const Ctx& ctx, const T* p, const Condition<T>& condition, Matrix<T> prepared,
               PreparedSaved<T>* saved, Arena<T>& arena) const {
    if (o_.latent == 0) return;
    latent_encoder_.forward(ctx, p, condition.z, prepared,
                            saved != nullptr ? &saved->latent : nullptr, arena);
    if (saved != nullptr) saved->z = condition.z;
  }

  template <class Ctx, class T>
  void prepare_backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dprepared,
                        const ConditionGradient<T>& dcondition, const PreparedSaved<T>& saved,
                        Arena<T>& arena) const {
    if (o_.latent == 0 || (g.ignored() && dcondition.z.empty())) return;
    latent_encoder_.backward(ctx, p, g, saved.z, dprepared, dcondition.z, saved.latent, arena);
  }

  /// x and v: rows x dimension(), pixels row by row, channels last. There is no dropout.
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, const Query<T>& query, ConstMatrix<T> prepared,
               const DrawAddress*, Matrix<T> v, Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = v.rows;
    const Matrix<T> image = arena.take(rows * pixels(), o_.channels),
                    time = arena.take(rows, o_.features),
                    joined = arena.take(image.rows, joined_channels()),
                    out = arena.take(image.rows, o_.channels);
    detail::to_pixels<Ctx, T>(ctx, query.x, image, pixels());
    image_encoder_.forward(ctx, p, image, columns(joined, 0),
                           saved != nullptr ? &saved->image : nullptr, arena);
    time_encoder_.forward(ctx, p, query.t, query.s, time, saved != nullptr ? &saved->time : nullptr,
                          arena);
    spread(ctx, time, columns(joined, 1));
    if (o_.latent > 0) spread(ctx, prepared, columns(joined, 2));
    decoder_.forward(ctx, p, joined, out, saved != nullptr ? &saved->decoder : nullptr, arena);
    detail::from_pixels<Ctx, T>(ctx, out, v, pixels());
    if (saved == nullptr) arena.rewind(mark);
  }

  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dv,
                const QueryGradient<T>& dquery, Matrix<T> dprepared, const Saved<T>& saved,
                Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dv.rows;
    const Matrix<T> dimage = arena.take(rows * pixels(), o_.channels),
                    d = arena.take(dimage.rows, joined_channels()),
                    de = arena.take(rows, o_.features);
    detail::to_pixels<Ctx, T>(ctx, dv, dimage, pixels());
    decoder_.backward(ctx, p, g, dimage, d, saved.decoder, arena);
    if (o_.latent > 0 && !dprepared.empty()) {
      ctx.each_tile(rows, detail::SumPixels<T>{columns(d, 2), de, pixels()}, arena);
      ctx.map(rows, o_.features, AddScaled<T>{T(1), de, dprepared});
    }
    if (!g.ignored() || !dquery.t.empty() || !dquery.s.empty()) {
      ctx.each_tile(rows, detail::SumPixels<T>{columns(d, 1), de, pixels()}, arena);
      time_encoder_.backward(ctx, p, g, de, dquery.t, dquery.s, saved.time, arena);
    }
    if (!g.ignored() || !dquery.x.empty()) {
      image_encoder_.backward(ctx, p, g, columns(d, 0), dquery.x.empty() ? Matrix<T>() : dimage,
                              saved.image, arena);
    }
    if (!dquery.x.empty()) detail::from_pixels<Ctx, T>(ctx, dimage, dquery.x, pixels());
    arena.rewind(mark);
  }

  template <class Ctx, class T>
  void tangent(const Ctx& ctx, const T* p, const Query<T>& rates, Matrix<T> dv,
               const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> dimage = arena.take(dv.rows * pixels(), o_.channels),
                    d = arena.take(dimage.rows, joined_channels());
    ctx.map(d.rows, d.cols, Fill<T>{d, T(0)});
    if (!rates.x.empty()) {
      detail::to_pixels<Ctx, T>(ctx, rates.x, dimage, pixels());
      image_encoder_.tangent(ctx, p, dimage, columns(d, 0), saved.image, arena);
    }
    if (!rates.t.empty() || !rates.s.empty()) {
      const Matrix<T> dtime = arena.take(dv.rows, o_.features);
      time_encoder_.tangent(ctx, p, rates.t, rates.s, dtime, saved.time, arena);
      spread(ctx, dtime, columns(d, 1));
    }
    decoder_.tangent(ctx, p, d, dimage, saved.decoder, arena);
    detail::from_pixels<Ctx, T>(ctx, dimage, dv, pixels());
    arena.rewind(mark);
  }

 private:
  KOKKOS_INLINE_FUNCTION int pixels() const { return o_.grid.pixels(); }
  int joined_channels() const { return (o_.latent > 0 ? 3 : 2) * o_.features; }
  template <class T>
  Matrix<T> columns(Matrix<T> joined, int part) const {
    return joined.col_range(part * o_.features, o_.features);
  }
  template <class Ctx, class T>
  void spread(const Ctx& ctx, ConstMatrix<T> e, Matrix<T> out) const {
    ctx.map(out.rows, out.cols, detail::SpreadOverPixels<T>{e, out, pixels()});
  }

  ResidualVelocityOptions o_;
  TimeEncoder<Silu> time_encoder_;
  Encoder<Silu> latent_encoder_;
  ResidualStack image_encoder_, decoder_;
};

}  // namespace vrfm
