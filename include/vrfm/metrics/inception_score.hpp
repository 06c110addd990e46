// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Inception score (Salimans et al., "Improved techniques for training GANs", 2016):
//   exp(E_x KL(p(y|x) || p(y))),   p(y) = E_x p(y|x),
// of the class probabilities p(y|x) that a classifier gives samples, on each of a few splits of
// them. With p(y|x) = softmax(logits), E KL is E sum_y p(y|x) log p(y|x) - sum_y p(y) log p(y).
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/metrics/detail/fixed_sum.hpp>
#include <vrfm/metrics/detail/samples.hpp>
#include <vrfm/metrics/feature_statistics.hpp>

namespace vrfm {

/// Mean and standard deviation of the score over the splits.
struct InceptionScore {
  double mean = 0, deviation = 0;
};

namespace detail::metrics {

/// Stores softmax of row i as row i of `p`; returns sum_y p log p of it.
template <class T>
struct SoftmaxRow {
  Matrix<const T> logits;
  Matrix<double> p;

  KOKKOS_FUNCTION double operator()(std::int64_t row) const {
    const T* x = logits.row(static_cast<int>(row));
    double* out = p.row(static_cast<int>(row));
    T most = x[0];
    for (int j = 1; j < logits.cols; ++j) most = math::maximum(most, x[j]);
    double sum = 0;
    for (int j = 0; j < logits.cols; ++j) {
      out[j] = math::exp(static_cast<double>(x[j]) - static_cast<double>(most));
      sum += out[j];
    }
    const double log_sum = math::log(sum);
    double information = 0;
    for (int j = 0; j < logits.cols; ++j) {
      out[j] /= sum;
      const double log_p = static_cast<double>(x[j]) - static_cast<double>(most) - log_sum;
      if (out[j] > 0) information += out[j] * log_p;
    }
    return information;
  }
};

}  // namespace detail::metrics

/// The score of `logits` [N][K], N samples and K classes, between 1 and K. Split s of S holds the
/// rows from s N / S to (s + 1) N / S. Throws std::invalid_argument for fewer rows than splits, no
/// splits or a number that is not finite.
template <ExecutionSpace Exec, class View>
InceptionScore inception_score(const Exec& exec, const View& logits, int splits = 10) {
  using T = detail::metrics::Value<View>;
  const auto x = detail::metrics::samples(exec, "inception_score: logits", logits);
  expect(splits > 0 && splits <= x.rows, "inception_score: expected one to ", x.rows,
         " splits of as many rows, but got ", splits);
  const auto begin = [&](int split) {
    return static_cast<int>(std::int64_t(x.rows) * split / splits);
  };
  const auto classes = static_cast<std::size_t>(x.cols);
  const Table<double, Exec> p(Kokkos::view_alloc("vrfm::metrics::probabilities", exec),
                              static_cast<std::size_t>((x.rows - 1) / splits + 1), classes);
  const Array<double, Exec> marginal(Kokkos::view_alloc("vrfm::metrics::marginal", exec), classes);
  std::vector<double> scores;
  for (int split = 0; split < splits; ++split) {
    const int rows = begin(split + 1) - begin(split);
    const auto part = matrix(p).row_range(0, rows);
    const double information = detail::metrics::fixed_sum(
        exec, "vrfm::metrics::softmax", rows,
        detail::metrics::SoftmaxRow<T>{x.row_range(begin(split), rows), part});
    BatchContext<Exec, Compute::float32, CoreEngines>(exec).column_sum(part, marginal.data(),
                                                                       Update::overwrite);
    double divergence = information / rows;
    for (const double total : detail::metrics::host_numbers(exec, marginal))
      if (total > 0) divergence -= total / rows * std::log(total / rows);
    scores.push_back(std::exp(divergence));
  }
  InceptionScore result;
  for (const double score : scores) result.mean += score / splits;
  double variance = 0;
  for (const double score : scores)
    variance += (score - result.mean) * (score - result.mean) / splits;
  result.deviation = std::sqrt(variance);
  return result;
}

}  // namespace vrfm
