// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MlpSourcePosterior: q(x0 | x1) = N(mu, diag(exp(s))) of a learned coupling (objectives/variational_coupling.hpp), of
// data of few dimensions: an encoder of x1 and three dense layers to (mu, s), s = ln sigma^2. Where an MlpPosterior
// tells z, this tells x0. Parameters: <name>.x1_encoder, .head.
// MlpCouplingNetworks: MlpNetworks with one, called coupling.*, behind the others' parameters. It is a type of its own
// because kernels carry networks, and devices' kernels have 4 KiB for all that they are given.
#pragma once

#include <vrfm/models/mlp/networks.hpp>

namespace vrfm {

struct MlpSourcePosteriorOptions {
  int dimension = 1;
  EncoderOptions encoder = {};
  int head_width = 128;
  int head_depth = 3;
};

template <Activation Act = Gelu>
class MlpSourcePosterior {
 public:
  template <class T>
  struct Saved {
    typename Encoder<Act>::template Saved<T> encoder;
    typename Mlp<Act>::template Saved<T> head;
    Matrix<T> features;
    ConstMatrix<T> x1;
  };

  MlpSourcePosterior() = default;

  /// Throws std::invalid_argument naming the first impossible extent.
  MlpSourcePosterior(ParameterList& list, const std::string& name,
                     const MlpSourcePosteriorOptions& o)
      : dimension_(o.dimension) {
    check_columns("source posterior", o.dimension, o.dimension, 1);
    encoder_ = make_encoder<Act>(list, name + ".x1_encoder", o.dimension, o.encoder);
    head_ = Mlp<Act>(list, name + ".head",
                     stack_widths(encoder_.outputs(), o.head_width, o.head_depth, 2 * o.dimension));
  }

  /// Columns of x0.
  KOKKOS_INLINE_FUNCTION int latent() const { return dimension_; }
  KOKKOS_INLINE_FUNCTION EncoderInput input() const { return EncoderInput::x1; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const { return {.latent = dimension_}; }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void moments(const Ctx& ctx, const P* p, const LatentInputs<T>& inputs,
                               Matrix<T> moments, Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> features = arena.take(moments.rows, encoder_.outputs());
    encoder_.forward(ctx, p, inputs.x1, features, saved == nullptr ? nullptr : &saved->encoder,
                     arena);
    head_.forward(ctx, p, features, moments, saved == nullptr ? nullptr : &saved->head, arena);
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->features = features;
      saved->x1 = inputs.x1;
    }
  }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> dmoments,
                                const ConditionGradient<T>&, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> d = arena.take(dmoments.rows, encoder_.outputs());
    head_.backward(ctx, p, g, saved.features, dmoments, d, saved.head, arena);
    encoder_.backward(ctx, p, g, saved.x1, ConstMatrix<T>(d), Matrix<T>(), saved.encoder, arena);
    arena.rewind(mark);
  }

 private:
  int dimension_ = 0;
  Encoder<Act> encoder_;
  Mlp<Act> head_;
};

template <Activation Act = Gelu>
struct MlpCouplingNetworks : MlpNetworks<Act> {
  MlpSourcePosterior<Act> source_posterior;

  MlpCouplingNetworks() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  MlpCouplingNetworks(ParameterList& list, const FlowOptions& o)
      : MlpNetworks<Act>(list, o),
        source_posterior(list, "coupling",
                         {.dimension = o.dimension,
                          .encoder = o.encoder,
                          .head_width = o.latent_width,
                          .head_depth = o.latent_depth}) {}
};

}  // namespace vrfm
