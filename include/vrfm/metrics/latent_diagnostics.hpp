// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the latent variable of a flow does, from tables that sampling/encode.hpp gives of held-out pairs (x0, x1), one
// row each: the posterior's moments and draws, and draws from the prior.
//   KL of column j: the mean of KL(q_j || N(0, 1)) = (mu^2 + sigma^2 - 1 - ln sigma^2) / 2 over the data;
//   active columns: those whose posterior means vary, var mu_j > 0.01 (Burda, Grosse and Salakhutdinov, "Importance
//   weighted autoencoders", 2016): the others tell nothing of the data;
//   the aggregated posterior, the mean of q over the data: samples are drawn from the prior, so that where the two
//   differ, the velocity meets z that it was not trained on (Hoffman and Johnson, "ELBO surgery", 2016).
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <vrfm/metrics/energy_distance.hpp>
#include <vrfm/metrics/estimate.hpp>
#include <vrfm/metrics/feature_statistics.hpp>

namespace vrfm {

struct LatentUsage {
  std::vector<Estimate> kl;           ///< [latent] nats, against N(0, 1)
  std::vector<double> mean_variance;  ///< [latent] of the posterior's means over the data
  int active = 0;                     ///< columns with a mean_variance above the threshold
};

struct AggregatedPosterior {
  FeatureStatistics posterior,
      prior;  ///< mean [latent] and covariance [latent][latent] of the draws
  /// KL(N(m_q, C_q) || N(m_p, C_p)) of these moments, nats; infinite where a covariance is singular.
  double gaussian_kl = 0;
  /// What it is for two sets of one normal distribution, about L (L + 3) / 4 (1/N + 1/M).
  double kl_if_alike = 0;
  /// Energy distance D^2 (energy_distance.hpp) of the draws: the mean of unbiased estimates of eight parts of the sets.
  Estimate energy;
  /// sqrt(E|z_q - z_p|^2), by the moments: D^2 is at most 2 E|z_q - z_p|, so at most twice this.
  double energy_scale = 0;
};

namespace detail::metrics {

template <class T>
struct ColumnKl {
  Matrix<const T> mean, log_variance;
  int column;

  KOKKOS_FUNCTION double operator()(std::int64_t row) const {
    const int i = static_cast<int>(row);
    const double mu = static_cast<double>(mean(i, column));
    const double s = static_cast<double>(log_variance(i, column));
    return (mu * mu + math::exp(s) - 1 - s) / 2;
  }
};

/// The lower factor of a symmetric matrix [n][n]; false if it is not positive definite.
inline bool factor(std::vector<double>& a, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      // What rounding leaves of a singular one counts as zero.
      if (i == j && !(sum > 1e-14 * a[j * n + j])) return false;
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
  }
  return true;
}

/// KL(q || p) of normal distributions: (|P^-1 Q|^2 + |P^-1 (m_q - m_p)|^2 - n) / 2 + ln det P - ln det Q, P and Q the
/// covariances' lower factors.
inline double gaussian_kl(const FeatureStatistics& q, const FeatureStatistics& p) {
  const std::size_t n = q.mean.size();
  std::vector<double> of_q = q.covariance, of_p = p.covariance;
  if (!factor(of_q, n) || !factor(of_p, n)) return std::numeric_limits<double>::infinity();
  double kl = -double(n) / 2;
  for (std::size_t j = 0; j < n; ++j) kl += std::log(of_p[j * n + j] / of_q[j * n + j]);
  std::vector<double> solved(n);
  for (std::size_t column = 0; column <= n; ++column) {
    for (std::size_t i = 0; i < n; ++i) {
      double sum = column == n ? q.mean[i] - p.mean[i] : i < column ? 0 : of_q[i * n + column];
      for (std::size_t k = 0; k < i; ++k) sum -= of_p[i * n + k] * solved[k];
      solved[i] = sum / of_p[i * n + i];
      kl += solved[i] * solved[i] / 2;
    }
  }
  return kl;
}

}  // namespace detail::metrics

/// Of the posterior's `mean` and `log_variance` [N][latent], as encode gives them. Throws std::invalid_argument for
/// fewer than two rows, different extents, or numbers that are not finite. Fences `exec`.
template <ExecutionSpace Exec, class Mean, class LogVariance>
LatentUsage latent_usage(const Exec& exec, const Mean& mean, const LogVariance& log_variance,
                         double threshold = 0.01) {
  using T = detail::metrics::Value<Mean>;
  const auto mu = detail::metrics::samples(exec, "latent_usage: mean", mean);
  const Matrix<const T> s =
      detail::metrics::samples(exec, "latent_usage: log_variance", log_variance);
  expect_same("mean", mean.extent(0), "log_variance", log_variance.extent(0), "rows");
  detail::metrics::expect_same_columns("mean", mu, "log_variance", s);
  const FeatureStatistics statistics = feature_statistics(exec, mean);
  LatentUsage usage;
  const auto columns = static_cast<std::size_t>(mu.cols);
  for (int j = 0; j < mu.cols; ++j) {
    usage.kl.push_back(
        mean_of(exec, detail::metrics::terms(exec, "vrfm::metrics::column_kl", 0, mu.rows,
                                             detail::metrics::ColumnKl<T>{mu, s, j})));
    usage.mean_variance.push_back(
        statistics.covariance[static_cast<std::size_t>(j) * (columns + 1)]);
    usage.active += usage.mean_variance.back() > threshold ? 1 : 0;
  }
  return usage;
}

/// Of draws of z from the posteriors of many pairs, `posterior` [N][latent], and from the prior, `prior` [M][latent]: z
/// of encode, and draw_latents. A learned prior will do. Throws std::invalid_argument for fewer than 16 rows, different
/// columns or numbers that are not finite. Fences `exec`.
template <ExecutionSpace Exec, class Posterior, class Prior>
AggregatedPosterior aggregated_posterior(const Exec& exec, const Posterior& posterior,
                                         const Prior& prior) {
  constexpr std::size_t parts = 8;
  expect_same("posterior", posterior.extent(1), "prior", prior.extent(1), "columns");
  const std::size_t n = posterior.extent(0), m = prior.extent(0);
  expect(n >= 2 * parts && m >= 2 * parts,
         "aggregated_posterior: expected at least 16 draws of each, but got ", n, " and ", m);
  AggregatedPosterior result;
  result.posterior = feature_statistics(exec, posterior);
  result.prior = feature_statistics(exec, prior);
  result.gaussian_kl = detail::metrics::gaussian_kl(result.posterior, result.prior);
  const double latent = static_cast<double>(posterior.extent(1));
  result.kl_if_alike = latent * (latent + 3) / 4 * (1 / double(n) + 1 / double(m));
  double distances[parts], squares = 0;
  for (std::size_t k = 0; k < parts; ++k) {
    const auto part = [&](const auto& draws) {
      const std::size_t rows = draws.extent(0);
      return Kokkos::subview(draws, std::make_pair(rows * k / parts, rows * (k + 1) / parts),
                             Kokkos::ALL);
    };
    distances[k] = energy_distance(exec, part(posterior), part(prior), EnergyEstimate::unbiased);
    result.energy.value += distances[k] / parts;
  }
  for (const double distance : distances)
    squares += (distance - result.energy.value) * (distance - result.energy.value);
  result.energy.standard_error = detail::metrics::error_of_mean(squares, parts);
  double square = 0;
  const std::size_t columns = posterior.extent(1);
  for (std::size_t j = 0; j < columns; ++j) {
    const double offset = result.posterior.mean[j] - result.prior.mean[j];
    square += result.posterior.covariance[j * (columns + 1)] +
              result.prior.covariance[j * (columns + 1)] + offset * offset;
  }
  result.energy_scale = std::sqrt(square);
  return result;
}

/// One sentence, or two, on the state of z. The aggregated posterior counts as far from the prior where the Gaussian KL
/// exceeds kl_if_alike by more than 0.05 nats a column (as a shift of all means by a third of a deviation would), or
/// the energy distance, less four standard errors, is more than 2 % of the most it could be, 2 energy_scale.
inline std::string describe_latents(const LatentUsage& usage,
                                    const AggregatedPosterior& aggregated) {
  const std::size_t columns = usage.kl.size();
  if (usage.active == 0) {
    return text("0 of ", columns,
                " dimensions active: z is ignored; smaller beta, or a posterior that sees x1, "
                "makes it tell something");
  }
  const double excess = aggregated.gaussian_kl - aggregated.kl_if_alike;
  const double energy = aggregated.energy.value - 4 * aggregated.energy.standard_error;
  const bool is_far =
      !(excess <= 0.05 * double(columns)) || energy > 0.04 * aggregated.energy_scale;
  return text(usage.active, " of ", columns, " dimensions active; ",
              is_far ? "aggregated posterior far from prior: larger beta, or a learned prior"
                     : "aggregated posterior near the prior");
}

}  // namespace vrfm
