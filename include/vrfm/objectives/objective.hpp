// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The Objective concept: the loss of one tile or batch and the gradients of its parameters. An
// objective knows no layer; it asks the model's velocity (and posterior) to run forward and
// backward.
//
//   check(networks)        throws std::invalid_argument if the networks do not fit
//   operator()(ctx, networks, p, g, pairs, draws, weight, losses, arena)
//       losses(i, 0) = velocity loss of row i, losses(i, 1) = its KL divergence (0 without latent);
//       g = gradient of sum_i weight (losses(i, 0) + beta losses(i, 1)), unless g is ignored.
#pragma once

#include <vrfm/core/random.hpp>
#include <vrfm/layers/parameters.hpp>
#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/models/mlp/posterior.hpp>

namespace vrfm {

/// How a loss term is reduced over its own dimensions; over the batch it is always the mean.
enum class Reduction { sum, mean };

namespace detail {

KOKKOS_INLINE_FUNCTION double reduction_factor(Reduction reduction, int count) {
  return reduction == Reduction::mean ? 1.0 / count : 1.0;
}

/// losses(i, 0) = factor |v - u|^2; v becomes the gradient 2 weight factor (v - u).
template <class T>
struct SquaredError {
  ConstMatrix<T> u;
  Matrix<T> v;
  Matrix<T> losses;
  T factor;
  T weight;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    T sum = T(0);
    for (int j = 0; j < v.cols; ++j) {
      const T error = v(i, j) - u(i, j);
      sum += error * error;
      v(i, j) = T(2) * weight * factor * error;
    }
    losses(i, 0) = factor * sum;
  }
};

}  // namespace detail

}  // namespace vrfm
