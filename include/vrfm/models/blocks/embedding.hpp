// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Embedding: W2 silu(W1 x + b1) + b2, what the networks of images make of z, and of a time after its
// sinusoidal encoding (TimeEmbedding). Names as torchcfm's nn.Sequential: <name>.0 and <name>.2.
#pragma once

#include <vrfm/layers/dense.hpp>
#include <vrfm/layers/sinusoidal_embedding.hpp>
#include <vrfm/models/blocks/sequential.hpp>

namespace vrfm {

using Embedding = Sequential<Dense<Silu>, Dense<>>;
using TimeEmbedding = Sequential<SinusoidalEmbedding, Embedding>;

/// inputs -> hidden -> outputs columns, zero at first if `zero`. Throws std::invalid_argument for
/// extents below 1.
inline Embedding make_embedding(ParameterList& list, const std::string& name, int inputs,
                                int hidden, int outputs, bool zero = false) {
  const Dense<Silu> first(list, name + ".0", inputs, hidden);
  const Dense<> last(list, name + ".2", hidden, outputs, 0, zero);
  return Embedding(first, last);
}

/// The same with weights from N(0, deviation^2) and biases of 0.
inline Embedding make_normal_embedding(ParameterList& list, const std::string& name, int inputs,
                                       int hidden, int outputs, double deviation) {
  const auto weight = Initializer::normal(deviation), bias = Initializer::constant(0);
  const Dense<Silu> first(list, name + ".0", inputs, hidden, weight, bias);
  const Dense<> last(list, name + ".2", hidden, outputs, weight, bias);
  return Embedding(first, last);
}

/// What a time is encoded to first, with periods up to 1e4: 1 -> features columns.
inline SinusoidalEmbedding time_encoding(int features) {
  return SinusoidalEmbedding(1, features, 1, 1e4);
}

}  // namespace vrfm
