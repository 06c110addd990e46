// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The diagonal Gaussian posterior q = N(mu, diag(exp(s))), s = ln sigma^2: its reparameterised draw
// z = mu + exp(s/2) e (Kingma and Welling 2014) and KL(q || p) = 1/2 sum_j (ln(sp^2 / sq^2) +
// (sq^2 + (mq - mp)^2) / sp^2 - 1), p = N(0, I) or a learned prior, each with its gradient. s counts
// within the limits of models/log_variance.hpp.
#pragma once

#include <vrfm/core/matrix.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/core/step_function.hpp>
#include <vrfm/models/log_variance.hpp>

namespace vrfm {

namespace detail {

/// Twice the KL of dimension j: ln(sp^2 / sq^2) + (sq^2 + (mq - mp)^2) / sp^2 - 1.
template <class T, class Draw>
KOKKOS_INLINE_FUNCTION T twice_kl(const Draw& draw, int i, int j, T mu, T s, T sigma) {
  if (draw.prior.empty()) return mu * mu + sigma * sigma - T(1) - s;
  const T prior_s = limited_log_variance(draw.prior(i, draw.z.cols + j));
  const T offset = mu - draw.prior(i, j);
  return prior_s - s + (sigma * sigma + offset * offset) * math::exp(-prior_s) - T(1);
}

}  // namespace detail

/// One draw of z for each row: its distribution q, its prior p, and what was drawn.
template <class T>
struct GaussianDraw {
  Matrix<T> moments;   ///< rows x 2L: mu, s of q
  Matrix<T> prior;     ///< the same of p; empty: N(0, I)
  Matrix<T> z, noise;  ///< rows x L
};

/// How the KL divergence counts in a loss: beta factor sum_j max(KL_j, free_bits).
template <class T>
struct KlTerm {
  StepFunction beta;
  double factor;
  T free_bits;
  double row_weight;
};

/// Row function: draws e and z, and writes the row's KL (times `factor`) to kl(i, 0).
template <class T>
struct Reparameterize {
  GaussianDraw<T> draw;
  KlTerm<T> term;
  Matrix<T> kl;
  DrawAddress address;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const int latent = draw.z.cols;
    address.stream(Purpose::posterior)
        .normal(address.sample(i), address.step, 0, latent, draw.noise.row(i));
    T sum = T(0);
    for (int j = 0; j < latent; ++j) {
      const T mu = draw.moments(i, j);
      const T s = detail::limited_log_variance(draw.moments(i, latent + j));
      const T sigma = math::exp(s / T(2));
      draw.z(i, j) = mu + sigma * draw.noise(i, j);
      const T twice = detail::twice_kl(draw, i, j, mu, s, sigma);
      sum += term.free_bits > T(0) ? math::max(twice, T(2) * term.free_bits) : twice;
    }
    kl(i, 0) = static_cast<T>(term.factor) * sum / T(2);
  }
};

/// Row function: gradients of q's moments, and of p's if it has any, from dz and from the KL term.
template <class T>
struct ReparameterizeBackward {
  GaussianDraw<T> draw;
  KlTerm<T> term;
  ConstMatrix<T> dz;
  Matrix<T> dmoments, dprior;
  StepNumber step;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const int latent = dz.cols;
    const T weight =
        static_cast<T>(term.row_weight * term.beta.at(std::uint32_t(step)) * term.factor);
    for (int j = 0; j < latent; ++j) {
      const T raw = draw.moments(i, latent + j), mu = draw.moments(i, j);
      const T s = detail::limited_log_variance(raw);
      const T sigma = math::exp(s / T(2));
      const bool free = term.free_bits > T(0) &&
                        detail::twice_kl(draw, i, j, mu, s, sigma) < T(2) * term.free_bits;
      const T w = free ? T(0) : weight;
      T dmu = mu, ds = sigma * sigma - T(1);
      if (!draw.prior.empty()) {
        const T prior_raw = draw.prior(i, latent + j), offset = mu - draw.prior(i, j);
        const T precision = math::exp(-detail::limited_log_variance(prior_raw));
        dmu = offset * precision;
        ds = sigma * sigma * precision - T(1);
        dprior(i, j) = -w * dmu;
        const T d = w * (T(1) - (sigma * sigma + offset * offset) * precision) / T(2);
        dprior(i, latent + j) = detail::log_variance_inside(prior_raw) ? d : T(0);
      }
      dmoments(i, j) = dz(i, j) + w * dmu;
      const T d = (dz(i, j) * draw.noise(i, j) * sigma + w * ds) / T(2);
      dmoments(i, latent + j) = detail::log_variance_inside(raw) ? d : T(0);
    }
  }
};

}  // namespace vrfm
