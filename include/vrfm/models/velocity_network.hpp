// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// VelocityNetwork: v(x, t, z) of the synthetic experiments (Guo and Schwing 2025). Encoders of t
// and x (sinusoidal encoding, two dense layers) and, for a variational flow, of z (three dense
// layers) are concatenated and decoded by four dense layers. Without a latent variable it is the
// rectified-flow baseline. Parameters: <name>.time_encoder, .data_encoder, .latent_encoder, .decoder.
#pragma once

#include <vrfm/layers/sinusoidal_embedding.hpp>
#include <vrfm/models/mlp.hpp>
#include <vrfm/models/sequential.hpp>

namespace vrfm {

/// A sinusoidal encoding and a stack of dense layers with an activation after each.
template <Activation Act>
using Encoder = Sequential<SinusoidalEmbedding, Mlp<Act, Act>>;

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
  const SinusoidalEmbedding embedding(coordinates, options.features, options.scale,
                                      options.max_period);
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
  /// Columns of the concatenated encodings.
  KOKKOS_INLINE_FUNCTION int features() const { return decoder_.inputs(); }

  /// Writes z's encoding into its columns of `features` (rows x features()); nothing without z.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void encode_latent(const Ctx& ctx, const T* p, ConstMatrix<T> z,
                                     Matrix<T> features, Saved<T>* saved, Arena<T>& arena) const {
    if (latent_ == 0) return;
    latent_encoder_.forward(ctx, p, z, latent_columns(features),
                            saved == nullptr ? nullptr : &saved->latent, arena);
  }

  /// v = v(x, t, z) where `features` already holds z's encoding. t: rows x 1, x and v:
  /// rows x dimension.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward_encoded(const Ctx& ctx, const T* p, ConstMatrix<T> t,
                                       ConstMatrix<T> x, Matrix<T> features, Matrix<T> v,
                                       Saved<T>* saved, Arena<T>& arena) const {
    time_encoder_.forward(ctx, p, t, time_columns(features),
                          saved == nullptr ? nullptr : &saved->time, arena);
    data_encoder_.forward(ctx, p, x, data_columns(features),
                          saved == nullptr ? nullptr : &saved->data, arena);
    decoder_.forward(ctx, p, features, v, saved == nullptr ? nullptr : &saved->decoder, arena);
    if (saved != nullptr) {
      saved->features = features;
      saved->t = t;
      saved->x = x;
    }
  }

  /// v = v(x, t, z), keeping what backward and tangent need. z: rows x latent.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> t, ConstMatrix<T> x,
                               ConstMatrix<T> z, Matrix<T> v, Saved<T>& saved,
                               Arena<T>& arena) const {
    const Matrix<T> encoded = arena.take(x.rows, features());
    encode_latent(ctx, p, z, encoded, &saved, arena);
    saved.z = z;
    forward_encoded(ctx, p, t, x, encoded, v, &saved, arena);
  }

  /// Gradients of sum(dv * v): of the parameters into `g`, of x and z into dx and dz unless empty.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dv,
                                Matrix<T> dx, Matrix<T> dz, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> d = arena.take(dv.rows, features());
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
    const Matrix<T> d = arena.take(dx.rows, features());
    ctx.map(d.rows, d.cols, Fill<T>{d, T(0)});
    data_encoder_.tangent(ctx, p, dx, data_columns(d), saved.data, arena);
    decoder_.tangent(ctx, p, d, dv, saved.decoder, arena);
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
