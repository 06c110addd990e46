// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The diagonal Gaussian posterior q = N(mu, diag(exp(s))), s = ln sigma^2: its reparameterised draw
// z = mu + exp(s/2) e (Kingma and Welling 2014) and KL(q || N(0, I)) = 1/2 sum_j (mu_j^2 + exp(s_j)
// - 1 - s_j), each with its gradient. s is limited to [-20, 20], so sigma stays within
// [4.5e-5, 2.2e4]; outside, s passes no gradient.
#pragma once

#include <vrfm/core/matrix.hpp>
#include <vrfm/core/random.hpp>

namespace vrfm {

/// The largest |ln sigma^2|.
inline constexpr double log_variance_limit = 20.0;

namespace detail {

/// s within the limits; NaN stays NaN (s is the first argument), so that it is seen in the loss.
template <class T>
KOKKOS_INLINE_FUNCTION T limited_log_variance(T s) {
  const T limit = T(log_variance_limit);
  return math::max(math::min(s, limit), -limit);
}

/// True where the limit passes gradients; NaN passes, so that it is seen and not hidden.
template <class T>
KOKKOS_INLINE_FUNCTION bool log_variance_inside(T s) {
  return !(s < -T(log_variance_limit)) && !(s > T(log_variance_limit));
}

}  // namespace detail

/// Row function: draws e, z and the row's KL (times `factor`) into kl(i, 0).
/// moments: rows x 2L (mu, s); z, noise: rows x L.
template <class T>
struct Reparameterize {
  ConstMatrix<T> moments;
  Matrix<T> z, noise, kl;
  T factor;
  RandomStream stream;
  StepNumber step;
  std::uint64_t first_sample;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const int latent = z.cols;
    stream.normal(first_sample + static_cast<std::uint64_t>(i), step, 0, latent, noise.row(i));
    T sum = T(0);
    for (int j = 0; j < latent; ++j) {
      const T mu = moments(i, j);
      const T s = detail::limited_log_variance(moments(i, latent + j));
      const T sigma = math::exp(s / T(2));
      z(i, j) = mu + sigma * noise(i, j);
      sum += mu * mu + sigma * sigma - T(1) - s;
    }
    kl(i, 0) = factor * sum / T(2);
  }
};

/// Element function: gradient of the moments from dz and from weight * KL.
template <class T>
struct ReparameterizeBackward {
  ConstMatrix<T> moments, noise, dz;
  Matrix<T> dmoments;
  T weight;

  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const int latent = dz.cols;
    const T raw = moments(i, latent + j);
    const T s = detail::limited_log_variance(raw);
    const T sigma = math::exp(s / T(2));
    dmoments(i, j) = dz(i, j) + weight * moments(i, j);
    const T ds = (dz(i, j) * noise(i, j) * sigma + weight * (sigma * sigma - T(1))) / T(2);
    dmoments(i, latent + j) = detail::log_variance_inside(raw) ? ds : T(0);
  }
};

}  // namespace vrfm
