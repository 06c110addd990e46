// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// VelocityNetwork: v(x, t, z) of the synthetic experiments (Guo and Schwing 2025). Encoders of t
// and x (sinusoidal encoding, two dense layers) and, for a variational flow, of z (three dense
// layers) are concatenated and decoded by four dense layers. Without a latent variable it is the
// rectified-flow baseline. Along a trajectory z is fixed and t often the same for all rows: the
// decoder's first layer is then a sum of three parts, of which only x's is computed for each row.
// Parameters: <name>.time_encoder, .data_encoder, .latent_encoder, .decoder.
#pragma once

#include <vrfm/layers/sinusoidal_embedding.hpp>
#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/models/blocks/mlp.hpp>
#include <vrfm/models/blocks/sequential.hpp>

namespace vrfm {

/// A sinusoidal encoding and a stack of dense layers with an activation after each.
template <Activation Act>
using Encoder = Sequential<BasicSinusoidalEmbedding<typename MathOf<Act>::type>, Mlp<Act, Act>>;

/// Extents of the encoders that the velocity and the posterior network share.
struct EncoderOptions {
  int features = 64;  ///< sinusoidal features of each coordinate
  int width = 64;     ///< of every dense layer
  int depth = 2;      ///< dense layers
  double scale = 1;   ///< multiplies the coordinate before it is encoded
  double max_period = 1e4;
};

/// Makes the encoder `name` of `coordinates` columns.
template <Activation Act>
Encoder<Act> make_encoder(ParameterList& list, const std::string& name, int coordinates,
                          const EncoderOptions& options) {
  const BasicSinusoidalEmbedding<typename MathOf<Act>::type> embedding(
      coordinates, options.features, options.scale, options.max_period);
  std::vector<int> widths{embedding.outputs()};
  widths.resize(static_cast<std::size_t>(math::max(options.depth, 0)) + 1, options.width);
  return Encoder<Act>(embedding, Mlp<Act, Act>(list, name, widths));
}

struct VelocityOptions {
  int dimension = 1;
  int latent = 0;  ///< columns of z; 0: no latent variable
  EncoderOptions encoder = {};
  int latent_width = 128;
  int latent_depth = 3;
  int decoder_width = 64;
  int decoder_depth = 4;
};

template <Activation Act = Gelu>
class VelocityNetwork {
 public:
  template <class T>
  struct Saved {
    typename Encoder<Act>::template Saved<T> time, data;
    typename Mlp<Act>::template Saved<T> latent, decoder;
    Matrix<T> features;
    ConstMatrix<T> t, x, z;
  };

  VelocityNetwork() = default;

  /// Throws std::invalid_argument naming the first impossible extent.
  VelocityNetwork(ParameterList& list, const std::string& name, const VelocityOptions& o)
      : dimension_(o.dimension), latent_(o.latent) {
    expect(o.dimension >= 1, "velocity network needs dimension >= 1, got ", o.dimension);
    expect(o.latent >= 0, "velocity network needs latent >= 0, got ", o.latent);
    time_encoder_ = make_encoder<Act>(list, name + ".time_encoder", 1, o.encoder);
    data_encoder_ = make_encoder<Act>(list, name + ".data_encoder", o.dimension, o.encoder);
    int features = 2 * o.encoder.width;
    if (latent_ > 0) {
      latent_encoder_ = Mlp<Act>(list, name + ".latent_encoder",
                                 stack(latent_, o.latent_width, o.latent_depth, o.encoder.width));
      features += o.encoder.width;
    }
    decoder_ = Mlp<Act>(list, name + ".decoder",
                        stack(features, o.decoder_width, o.decoder_depth, o.dimension));
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return dimension_; }
  KOKKOS_INLINE_FUNCTION int latent() const { return latent_; }
  /// Columns of z's part of the decoder's first layer.
  KOKKOS_INLINE_FUNCTION int part_cols() const { return decoder_.first_outputs(); }

  /// Writes what does not change along a trajectory to `part`: z's part of the decoder's first layer
  /// with the layer's bias (rows x part_cols()). Without z it is the bias alone, and `part` may be
  /// one row for all (stride 0).
  template <class Ctx, class T>
  KOKKOS_FUNCTION void encode_latent(const Ctx& ctx, const T* p, ConstMatrix<T> z, Matrix<T> part,
                                     Arena<T>& arena) const {
    if (latent_ == 0) {
      const int rows = part.stride == 0 ? 1 : part.rows;
      ctx.map(rows, part.cols, Copy<T>{decoder_.bias_rows(p, rows), part});
      return;
    }
    const auto mark = arena.used();
    const Matrix<T> encoded = arena.take(part.rows, latent_encoder_.outputs());
    latent_encoder_.forward(ctx, p, z, encoded,
                            static_cast<typename Mlp<Act>::template Saved<T>*>(nullptr), arena);
    const int first = time_encoder_.outputs() + data_encoder_.outputs();
    decoder_.contribute(ctx, p, first, encoded, part);
    ctx.map(part.rows, part.cols, AddScaled<T>{T(1), decoder_.bias_rows(p, part.rows), part});
    arena.rewind(mark);
  }

  /// v = v(x, t, z) where `part` is z's, from encode_latent. x and v: rows x dimension; t: rows x 1,
  /// encoded once if its stride is 0. With `saved`, tangent may follow, but not backward.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward_encoded(const Ctx& ctx, const T* p, ConstMatrix<T> t,
                                       ConstMatrix<T> x, ConstMatrix<T> part, Matrix<T> v,
                                       Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool shared = t.stride == 0;
    const int rows = shared ? 1 : x.rows;
    const Matrix<T> time = arena.take(rows, time_encoder_.outputs());
    const Matrix<T> data = arena.take(x.rows, data_encoder_.outputs());
    Matrix<T> time_part = arena.take(rows, part_cols());
    time_encoder_.forward(ctx, p, t.row_range(0, rows), time,
                          static_cast<typename Encoder<Act>::template Saved<T>*>(nullptr), arena);
    decoder_.contribute(ctx, p, 0, time, time_part);
    if (shared) time_part = Matrix<T>(time_part.data, x.rows, time_part.cols, 0);
    data_encoder_.forward(ctx, p, x, data, saved == nullptr ? nullptr : &saved->data, arena);
    decoder_.complete(ctx, p, time_encoder_.outputs(), data, part, time_part, v,
                      saved == nullptr ? nullptr : &saved->decoder, arena);
    if (saved == nullptr) arena.rewind(mark);
  }

  /// v = v(x, t, z), keeping what backward and tangent need. z: rows x latent. A network that draws
  /// (dropout) does so at the address; this one does not.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, const DrawAddress&, ConstMatrix<T> t,
                               ConstMatrix<T> x, ConstMatrix<T> z, Matrix<T> v, Saved<T>& saved,
                               Arena<T>& arena) const {
    saved.features = arena.take(x.rows, decoder_.inputs());
    saved.t = t;
    saved.x = x;
    saved.z = z;
    time_encoder_.forward(ctx, p, t, time_columns(saved.features), &saved.time, arena);
    data_encoder_.forward(ctx, p, x, data_columns(saved.features), &saved.data, arena);
    if (latent_ > 0) {
      latent_encoder_.forward(ctx, p, z, latent_columns(saved.features), &saved.latent, arena);
    }
    decoder_.forward(ctx, p, saved.features, v, &saved.decoder, arena);
  }

  /// Gradients of sum(dv * v): of the parameters into `g`, of x and z into dx and dz unless empty.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dv,
                                Matrix<T> dx, Matrix<T> dz, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> d = arena.take(dv.rows, decoder_.inputs());
    decoder_.backward(ctx, p, g, saved.features, dv, d, saved.decoder, arena);
    if (!g.ignored()) {
      time_encoder_.backward(ctx, p, g, saved.t, time_columns(d), Matrix<T>(), saved.time, arena);
    }
    if (!g.ignored() || !dx.empty()) {
      data_encoder_.backward(ctx, p, g, saved.x, data_columns(d), dx, saved.data, arena);
    }
    if (latent_ > 0 && (!g.ignored() || !dz.empty())) {
      latent_encoder_.backward(ctx, p, g, saved.z, latent_columns(d), dz, saved.latent, arena);
    }
    arena.rewind(mark);
  }

  /// dv = (dv/dx) dx at the point of the last forward, t and z held fixed.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, Matrix<T> dv,
                               const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> d = arena.take(dx.rows, data_encoder_.outputs());
    data_encoder_.tangent(ctx, p, dx, d, saved.data, arena);
    decoder_.tangent_of(ctx, p, time_encoder_.outputs(), d, dv, saved.decoder, arena);
    arena.rewind(mark);
  }

 private:
  static std::vector<int> stack(int inputs, int width, int depth, int outputs) {
    std::vector<int> widths(static_cast<std::size_t>(math::max(depth, 0)) + 1, width);
    widths.front() = inputs;
    widths.back() = outputs;
    return widths;
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<T> time_columns(Matrix<T> m) const {
    return m.col_range(0, time_encoder_.outputs());
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<T> data_columns(Matrix<T> m) const {
    return m.col_range(time_encoder_.outputs(), data_encoder_.outputs());
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<T> latent_columns(Matrix<T> m) const {
    return m.col_range(time_encoder_.outputs() + data_encoder_.outputs(),
                       latent_encoder_.outputs());
  }

  int dimension_ = 0;
  int latent_ = 0;
  Encoder<Act> time_encoder_, data_encoder_;
  Mlp<Act> latent_encoder_, decoder_;
};

}  // namespace vrfm
