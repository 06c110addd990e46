// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The diagonal Gaussian posterior q = N(mu, diag(exp(s))), s = ln sigma^2: its reparameterised draw
// z = mu + exp(s/2) e (Kingma and Welling 2014) and KL(q || p) = 1/2 sum_j (exp(d) - 1 - d +
// (mq - mp)^2 / sp^2), d = sq - sp, p = N(0, I) or a learned prior, each with its gradient. expm1 keeps
// the small divergence of a latent variable that is hardly used from being rounding errors. s counts within
// the limits of models/log_variance.hpp.
#pragma once

#include <vrfm/core/fast_math.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/core/step_function.hpp>
#include <vrfm/models/log_variance.hpp>

namespace vrfm {

/// One draw of z for each row: its distribution q, its prior p, and what was drawn.
template <class T>
struct GaussianDraw {
  Matrix<T> moments;   ///< rows x 2L: mu, s of q
  Matrix<T> prior;     ///< the same of p; empty: N(0, I)
  Matrix<T> z, noise;  ///< rows x L
};

namespace detail {

/// The divergence of one dimension, and what its gradients are made of.
template <class T>
struct DimensionKl {
  T growth;     ///< exp(d) - 1
  T offset;     ///< mq - mp
  T precision;  ///< 1 / sp^2
  T twice;      ///< 2 KL

  /// Of row i and dimension j, with mq = mu and sq = s within its limits.
  KOKKOS_INLINE_FUNCTION DimensionKl(const GaussianDraw<T>& draw, int i, int j, T mu, T s)
      : offset(mu), precision(1) {
    T d = s;
    if (!draw.prior.empty()) {
      const T prior_s = limited_log_variance(draw.prior(i, draw.z.cols + j));
      d = s - prior_s;
      offset = mu - draw.prior(i, j);
      precision = math::exp(-prior_s);
    }
    growth = fast::expm1(d);
    // growth >= d but for its rounding.
    twice = math::maximum(growth - d, T(0)) + offset * offset * precision;
  }
};

}  // namespace detail

/// How the KL divergence counts in a loss: beta factor sum_j max(KL_j, free_bits).
template <class T>
struct KlTerm {
  StepFunction beta;
  double factor;
  T free_bits;
  double row_weight;
  double rate = 0;               ///< nats that a learned beta brings it to
  Matrix<const T> learned = {};  ///< of beta what is learned, 1 x 1; empty: nothing
};

/// Element of the gradient of ln beta, per row: beta grows where the KL is above the rate. Small, so that
/// it takes no part in what clipping sees of the networks' gradient.
template <class T>
struct LearnedBetaGradient {
  Matrix<const T> kl;
  T factor, rate, weight;
  KOKKOS_INLINE_FUNCTION T operator()(int i, int) const {
    return weight * (T(1) - kl(i, 0) / (factor * rate));
  }
};

/// Row function: z from the noise e that is given, and the row's KL (times `factor`) to kl(i, 0).
template <class T>
struct ReparameterizeGiven {
  GaussianDraw<T> draw;
  KlTerm<T> term;
  Matrix<T> kl;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const int latent = draw.z.cols;
    T sum = T(0);
    for (int j = 0; j < latent; ++j) {
      const T mu = draw.moments(i, j);
      const T s = detail::limited_log_variance(draw.moments(i, latent + j));
      draw.z(i, j) = mu + math::exp(s / T(2)) * draw.noise(i, j);
      const T twice = detail::DimensionKl<T>(draw, i, j, mu, s).twice;
      sum += term.free_bits > T(0) ? math::maximum(twice, T(2) * term.free_bits) : twice;
    }
    kl(i, 0) = static_cast<T>(term.factor) * sum / T(2);
  }
};

/// Row function: the same with e that it draws.
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
    ReparameterizeGiven<T>{draw, term, kl}(i);
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
    T weight = static_cast<T>(term.row_weight * term.beta.at(std::uint32_t(step)) * term.factor);
    if (!term.learned.empty()) weight *= term.learned(0, 0);
    for (int j = 0; j < latent; ++j) {
      const T raw = draw.moments(i, latent + j), mu = draw.moments(i, j);
      const T s = detail::limited_log_variance(raw);
      const T sigma = math::exp(s / T(2));
      const detail::DimensionKl<T> kl(draw, i, j, mu, s);
      const bool free = term.free_bits > T(0) && kl.twice < T(2) * term.free_bits;
      const T w = free ? T(0) : weight;
      const T dmu = w * kl.offset * kl.precision;
      if (!draw.prior.empty()) {
        dprior(i, j) = -dmu;
        const T d = -(w * (kl.growth + kl.offset * kl.offset * kl.precision)) / T(2);
        dprior(i, latent + j) = detail::log_variance_gradient(draw.prior(i, latent + j), d);
      }
      dmoments(i, j) = dz(i, j) + dmu;
      const T d = (dz(i, j) * draw.noise(i, j) * sigma + w * kl.growth) / T(2);
      dmoments(i, latent + j) = detail::log_variance_gradient(raw, d);
    }
  }
};

}  // namespace vrfm
