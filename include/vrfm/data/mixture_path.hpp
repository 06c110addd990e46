// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MixturePath: what is known in closed form about x_t = (1 - t) x0 + t x1 for independent Gaussian
// mixtures x0 and x1: its density and the mean and variance of the velocity u = x1 - x0 given x_t.
// For one pair of components, x0 ~ N(m, s^2 I) and x1 ~ N(n, r^2 I), (x_t, u) is jointly normal:
//   x_t ~ N(mu, V I),  mu = (1 - t) m + t n,  V = (1 - t)^2 s^2 + t^2 r^2
//   E[u | x_t = x] = n - m + (t r^2 - (1 - t) s^2) / V (x - mu),  Var[u | x_t = x] = s^2 r^2 / V
// and each pair counts with its posterior probability given x_t.
#pragma once

#include <vrfm/data/mixture.hpp>

namespace vrfm {

template <Real T, ExecutionSpace Exec>
class MixturePath {
 public:
  using value_type = T;

  /// Throws std::invalid_argument unless both have the same dimension D.
  MixturePath(const GaussianMixture<T, Exec>& source, const GaussianMixture<T, Exec>& target)
      : source_(source), target_(target) {
    expect(source.dimension() == target.dimension(), "MixturePath: source has ", source.dimension(),
           " dimensions but target has ", target.dimension());
  }

  KOKKOS_FUNCTION int dimension() const { return source_.dimension(); }

  /// log p_t(x) of x [D], in nats, for t in [0, 1]. -infinity where a square overflows T.
  KOKKOS_FUNCTION T log_density(const T* x, T t) const {
    constexpr T lowest = -static_cast<T>(INFINITY);
    T largest = lowest, sum = 0;
    for (int k = 0; k < pairs(); ++k) {
      const T term = Pair(*this, k, t).log_density(x);
      if (term > largest) {
        sum = sum * math::exp(largest - term) + T(1);
        largest = term;
      } else if (term != lowest) {
        sum += math::exp(term - largest);
      }
    }
    return largest + math::log(sum);
  }

  /// mean [D] = E[x1 - x0 | x_t = x]: the velocity field that rectified flow learns.
  KOKKOS_FUNCTION void velocity(const T* x, T t, T* mean) const {
    const T total = log_density(x, t);
    for (int d = 0; d < dimension(); ++d) mean[d] = T(0);
    for (int k = 0; k < pairs(); ++k) {
      const Pair pair(*this, k, t);
      const T probability = math::exp(pair.log_density(x) - total);
      for (int d = 0; d < dimension(); ++d) mean[d] += probability * pair.velocity(x, d);
    }
  }

  /// The mean as above and, per coordinate, variance [D] = Var[x1 - x0 | x_t = x].
  KOKKOS_FUNCTION void velocity_moments(const T* x, T t, T* mean, T* variance) const {
    velocity(x, t, mean);
    const T total = log_density(x, t);
    for (int d = 0; d < dimension(); ++d) variance[d] = T(0);
    for (int k = 0; k < pairs(); ++k) {
      const Pair pair(*this, k, t);
      const T probability = math::exp(pair.log_density(x) - total);
      for (int d = 0; d < dimension(); ++d) {
        const T offset = pair.velocity(x, d) - mean[d];
        variance[d] += probability * (pair.variance() + offset * offset);
      }
    }
  }

 private:
  KOKKOS_FUNCTION int pairs() const { return source_.components() * target_.components(); }

  /// One component of the source with one of the target, at time t.
  class Pair {
   public:
    KOKKOS_FUNCTION Pair(const MixturePath& path, int pair, T t)
        : path_(path),
          i_(pair / path.target_.components()),
          j_(pair % path.target_.components()),
          t_(t) {
      const T s = path.source_.deviation(i_), r = path.target_.deviation(j_);
      marginal_ = (T(1) - t) * (T(1) - t) * s * s + t * t * r * r;
      gain_ = (t * r * r - (T(1) - t) * s * s) / marginal_;
      variance_ = s * s * r * r / marginal_;
    }

    KOKKOS_FUNCTION T log_density(const T* x) const {
      constexpr T two_pi = T(6.283185307179586476925);
      T squares = 0;
      for (int d = 0; d < path_.dimension(); ++d) {
        const T offset = x[d] - mean(d);
        squares += offset * offset;
      }
      return path_.source_.log_weight(i_) + path_.target_.log_weight(j_) -
             (squares / marginal_ + T(path_.dimension()) * math::log(two_pi * marginal_)) / 2;
    }

    KOKKOS_FUNCTION T velocity(const T* x, int d) const {
      return path_.target_.mean(j_)[d] - path_.source_.mean(i_)[d] + gain_ * (x[d] - mean(d));
    }

    KOKKOS_FUNCTION T variance() const { return variance_; }

   private:
    KOKKOS_FUNCTION T mean(int d) const {
      return (T(1) - t_) * path_.source_.mean(i_)[d] + t_ * path_.target_.mean(j_)[d];
    }

    const MixturePath& path_;
    int i_, j_;
    T t_, marginal_, gain_, variance_;
  };

  GaussianMixture<T, Exec> source_, target_;
};

}  // namespace vrfm
