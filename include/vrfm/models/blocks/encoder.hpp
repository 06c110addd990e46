// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Encoder: a sinusoidal encoding and a stack of dense layers with an activation after each, for t, x and
// what else has few coordinates (Guo and Schwing 2025).
#pragma once

#include <vrfm/layers/sinusoidal_embedding.hpp>
#include <vrfm/models/blocks/mlp.hpp>
#include <vrfm/models/blocks/sequential.hpp>

namespace vrfm {

template <Activation Act>
using Encoder = Sequential<BasicSinusoidalEmbedding<typename MathOf<Act>::type>, Mlp<Act, Act>>;

/// Extents of the encoders that velocity and posterior networks share.
struct EncoderOptions {
  int features = 64;  ///< sinusoidal features of each coordinate
  int width = 64;     ///< of every dense layer
  int depth = 2;      ///< dense layers
  double scale = 1;   ///< multiplies the coordinate before it is encoded
  double max_period = 1e4;
};

/// Throws std::invalid_argument naming the first impossible extent. `least_latent`: of z's columns. There are at most
/// as many columns as sums and multiples of them fit an int with.
inline void check_columns(const char* network, int dimension, int latent, int least_latent) {
  constexpr int most = 1 << 24;
  expect(dimension >= 1, network, " needs dimension >= 1, got ", dimension);
  expect(latent >= least_latent, network, " needs latent >= ", least_latent, ", got ", latent);
  expect(dimension <= most && latent <= most, network, " takes at most ", most,
         " dimensions, and as many of z, got ", dimension, " and ", latent);
}

/// Widths of `depth` dense layers from `inputs` to `outputs`, `width` between.
inline std::vector<int> stack_widths(int inputs, int width, int depth, int outputs) {
  std::vector<int> widths(static_cast<std::size_t>(math::maximum(depth, 0)) + 1, width);
  widths.front() = inputs;
  widths.back() = outputs;
  return widths;
}

/// Makes the encoder `name` of `coordinates` columns. `zero`: its last layer is zero at first, and so is
/// what it adds to another encoder's output, for activations of f(0) = 0; it learns from there if the slope at 0 is not.
template <Activation Act>
Encoder<Act> make_encoder(ParameterList& list, const std::string& name, int coordinates,
                          const EncoderOptions& options, bool zero = false) {
  const BasicSinusoidalEmbedding<typename MathOf<Act>::type> embedding(
      coordinates, options.features, options.scale, options.max_period);
  const auto widths =
      stack_widths(embedding.outputs(), options.width, options.depth, options.width);
  list.note(name, "scale", options.scale);
  list.note(name, "max_period", options.max_period);
  return Encoder<Act>(embedding, Mlp<Act, Act>(list, name, widths, zero));
}

}  // namespace vrfm
