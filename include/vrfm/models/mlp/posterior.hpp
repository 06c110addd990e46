// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// PosteriorNetwork: q(z | chosen inputs) = N(mu, diag(exp(s))) of a variational flow (Guo and
// Schwing 2025). One encoder for each chosen input of {x0, x1, x_t, t}, concatenated, and three
// dense layers to (mu, s), s = ln sigma^2. Parameters: <name>.x0_encoder, .x1_encoder, .xt_encoder,
// .t_encoder, .head.
#pragma once

#include <vrfm/models/mlp/velocity.hpp>

namespace vrfm {

/// What the posterior sees; combine with |.
enum class EncoderInput : unsigned { x0 = 1, x1 = 2, x_t = 4, t = 8 };

KOKKOS_INLINE_FUNCTION constexpr EncoderInput operator|(EncoderInput a, EncoderInput b) {
  return static_cast<EncoderInput>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

KOKKOS_INLINE_FUNCTION constexpr bool contains(EncoderInput set, EncoderInput element) {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(element)) != 0;
}

struct PosteriorOptions {
  int dimension = 1;
  int latent = 1;
  EncoderInput input = EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t;
  EncoderOptions encoder = {};
  int head_width = 128;
  int head_depth = 3;
};

/// One training batch or tile: x0, x1, x_t, u are rows x dimension, t is rows x 1.
template <class T>
struct Pairs {
  Matrix<T> x0, x1, x_t, u, t;
};

template <Activation Act = Gelu>
class PosteriorNetwork {
 public:
  static constexpr int max_inputs = 4;

  template <class T>
  struct Saved {
    typename Encoder<Act>::template Saved<T> encoder[max_inputs];
    typename Mlp<Act>::template Saved<T> head;
    Matrix<T> features;
    ConstMatrix<T> input[max_inputs];
  };

  PosteriorNetwork() = default;

  /// Throws std::invalid_argument naming the first impossible extent or an empty input set.
  PosteriorNetwork(ParameterList& list, const std::string& name, const PosteriorOptions& o)
      : latent_(o.latent), input_(o.input) {
    expect(o.dimension >= 1, "posterior network needs dimension >= 1, got ", o.dimension);
    expect(o.latent >= 1, "posterior network needs latent >= 1, got ", o.latent);
    const char* names[max_inputs] = {".x0_encoder", ".x1_encoder", ".xt_encoder", ".t_encoder"};
    int features = 0;
    for (int k = 0; k < max_inputs; ++k) {
      if (!uses(k)) continue;
      encoder_[k] = make_encoder<Act>(list, name + names[k], k == 3 ? 1 : o.dimension, o.encoder);
      features += encoder_[k].outputs();
    }
    expect(features > 0, "posterior network needs at least one input of {x0, x1, x_t, t}");
    std::vector<int> widths(static_cast<std::size_t>(math::max(o.head_depth, 0)) + 1, o.head_width);
    widths.front() = features;
    widths.back() = 2 * o.latent;
    head_ = Mlp<Act>(list, name + ".head", widths);
  }

  KOKKOS_INLINE_FUNCTION int latent() const { return latent_; }
  KOKKOS_INLINE_FUNCTION EncoderInput input() const { return input_; }

  /// Writes mu into columns [0, latent) of `moments` and s into [latent, 2 latent).
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, const Pairs<T>& pairs, Matrix<T> moments,
                               Saved<T>& saved, Arena<T>& arena) const {
    saved.features = arena.take(moments.rows, head_.inputs());
    const Matrix<T> source[max_inputs] = {pairs.x0, pairs.x1, pairs.x_t, pairs.t};
    int column = 0;
    for (int k = 0; k < max_inputs; ++k) {
      if (!uses(k)) continue;
      saved.input[k] = source[k];
      encoder_[k].forward(ctx, p, saved.input[k],
                          saved.features.col_range(column, encoder_[k].outputs()),
                          &saved.encoder[k], arena);
      column += encoder_[k].outputs();
    }
    head_.forward(ctx, p, saved.features, moments, &saved.head, arena);
  }

  /// Parameter gradients of sum(dmoments * moments).
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dmoments,
                                const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> d = arena.take(dmoments.rows, head_.inputs());
    head_.backward(ctx, p, g, saved.features, dmoments, d, saved.head, arena);
    int column = 0;
    for (int k = 0; k < max_inputs; ++k) {
      if (!uses(k)) continue;
      encoder_[k].backward(ctx, p, g, saved.input[k],
                           ConstMatrix<T>(d.col_range(column, encoder_[k].outputs())), Matrix<T>(),
                           saved.encoder[k], arena);
      column += encoder_[k].outputs();
    }
    arena.rewind(mark);
  }

 private:
  KOKKOS_INLINE_FUNCTION bool uses(int k) const {
    return contains(input_, static_cast<EncoderInput>(1u << k));
  }

  int latent_ = 0;
  EncoderInput input_ = EncoderInput::x0;
  Encoder<Act> encoder_[max_inputs];
  Mlp<Act> head_;
};

}  // namespace vrfm
