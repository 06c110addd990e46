// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Classifier two-sample test (Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", 2017): whether a
// classifier that has seen one half of two sets tells, in the other half, of which set a sample is. If both sets
// are of one distribution, its accuracy on n held-out samples is distributed as N(1/2, 1/(4 n)), approximately.
// The classifier is the paper's C2ST-KNN: most of the k nearest neighbours by Euclidean distance among the n_tr
// training samples, k = floor(sqrt(n_tr)). Nothing is trained, so nothing depends on how well.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include <vrfm/metrics/detail/fixed_sum.hpp>
#include <vrfm/metrics/detail/samples.hpp>
#include <vrfm/metrics/detail/subset.hpp>
#include <vrfm/metrics/nearest_neighbours.hpp>

namespace vrfm {

struct ClassifierTwoSampleOptions {
  int neighbours = 0;  ///< 0: floor(sqrt(training samples))
  std::uint64_t seed = 0;
};

struct ClassifierTwoSample {
  double accuracy = 0;  ///< share of held-out samples whose set the classifier tells; 1/2 is chance
  double standard_error = 0;  ///< of the accuracy, sqrt(accuracy (1 - accuracy) / held_out)
  double p_value = 0;  ///< probability of this accuracy or a better one if both sets are alike
  int training = 0, held_out = 0;  ///< samples of both sets together
  int neighbours = 0;
};

namespace detail::metrics {

/// 1 if the votes of the neighbours of held-out row i are for its own set. The rows below `training_a` and
/// `held_out_a` are of set a. As many votes for both count for set a.
struct RightVote {
  Matrix<const int> neighbours;
  int training_a, held_out_a;

  KOKKOS_FUNCTION double operator()(std::int64_t index) const {
    const int i = static_cast<int>(index);
    int votes = 0;
    for (int j = 0; j < neighbours.cols; ++j) votes += neighbours(i, j) >= training_a ? 1 : 0;
    return (2 * votes > neighbours.cols) == (i >= held_out_a) ? 1.0 : 0.0;
  }
};

}  // namespace detail::metrics

/// The test of `a` [N][D] against `b` [M][D]. Of both sets min(N, M) random rows take part, half of them (rounded
/// down) as training samples: so chance is 1/2, and since both sets are held out in equal parts, the accuracy's
/// variance is 1 / (4 n) at most, that is, the p-value errs to the side of likeness. The parts depend on `seed`
/// alone. O(n^2 D); memory for n sqrt(n) neighbours. Throws std::invalid_argument for empty or not finite samples,
/// different dimensions, fewer than two of a set, more neighbours than training samples, or a seed of more than
/// 32 bits.
template <ExecutionSpace Exec, class A, class B>
ClassifierTwoSample classifier_two_sample(const Exec& exec, const A& a, const B& b,
                                          const ClassifierTwoSampleOptions& options = {}) {
  using T = detail::metrics::Value<A>;
  static_assert(std::is_same_v<T, detail::metrics::Value<B>>,
                "vrfm: a metric needs samples of one type, float or double");
  const auto x = detail::metrics::samples(exec, "classifier_two_sample: a", a);
  const auto y = detail::metrics::samples(exec, "classifier_two_sample: b", b);
  detail::metrics::expect_same_columns("a", x, "b", y);
  const int rows = math::minimum(x.rows, y.rows), half = rows / 2, rest = rows - half;
  expect(half > 0, "classifier_two_sample: expected at least two samples of each, but got ", x.rows,
         " and ", y.rows);
  expect(rest <= 0x3fff'ffff, "classifier_two_sample: expected fewer than 2^31 samples, but got ",
         rows, " of each");
  const int k =
      options.neighbours == 0 ? static_cast<int>(std::sqrt(2.0 * half)) : options.neighbours;
  expect(k > 0 && k <= 2 * half, "classifier_two_sample: expected one to ", 2 * half,
         " neighbours among as many training samples, but got ", options.neighbours);
  const RandomStream stream(narrow<std::uint32_t>(options.seed, "classifier_two_sample: the seed"),
                            Purpose::subset);

  // Each set's rows in random order: the first ones train.
  const auto table = [&](int count) {
    return Table<T, Exec>(
        Kokkos::view_alloc("vrfm::metrics::two_samples", exec, Kokkos::WithoutInitializing),
        static_cast<std::size_t>(count), static_cast<std::size_t>(x.cols));
  };
  const auto training = table(2 * half), held_out = table(2 * rest);
  const auto deal = [&](const Matrix<const T>& from, int set) {
    const auto order =
        detail::metrics::draw_subset(stream, 0, static_cast<std::uint32_t>(set), from.rows, rows);
    const auto split = order.begin() + half;
    detail::metrics::take_rows(exec, from, {order.begin(), split},
                               matrix(training).row_range(set * half, half));
    detail::metrics::take_rows(exec, from, {split, order.end()},
                               matrix(held_out).row_range(set * rest, rest));
  };
  deal(x, 0);
  deal(y, 1);
  const detail::metrics::Panels<T, Exec> panels(exec, matrix(training));
  const auto found =
      detail::metrics::nearest_in_panels<Exec, T>(exec, panels, matrix(held_out), k, false);
  const double n = 2.0 * rest;
  const double right =
      detail::metrics::fixed_sum(exec, "vrfm::metrics::right_vote", 2 * rest,
                                 detail::metrics::RightVote{matrix(found.rows), half, rest});
  const double accuracy = right / n;
  // P(N(0, 1) > z) = erfc(z / sqrt 2) / 2 of z = (accuracy - 1/2) 2 sqrt(n)
  return {accuracy,
          std::sqrt(accuracy * (1 - accuracy) / n),
          std::erfc((accuracy - 0.5) * std::sqrt(2 * n)) / 2,
          2 * half,
          2 * rest,
          k};
}

}  // namespace vrfm
