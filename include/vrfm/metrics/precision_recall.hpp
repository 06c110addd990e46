// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How good and how various generated samples Y are, apart from each other, by balls around samples that reach to
// their k-th nearest neighbour in their own set, r_k. Improved precision and recall (Kynkaanniemi et al.,
// "Improved precision and recall metric for assessing generative models", 2019):
//   precision = share of Y in some closed ball of X,   recall = share of X in some closed ball of Y.
// Density and coverage, which one outlier with its large ball moves less (Naeem et al., "Reliable fidelity and
// diversity metrics for generative models", 2020):
//   density = mean over Y of the number of balls of X around it, over k,
//   coverage = share of X with a sample of Y in their ball,
// with open balls as in the authors' code: of continuous samples the border matters to none.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include <vrfm/core/copy.hpp>
#include <vrfm/metrics/detail/panels.hpp>
#include <vrfm/metrics/detail/samples.hpp>
#include <vrfm/metrics/nearest_neighbours.hpp>

namespace vrfm {

/// Each k as its paper has it.
struct PrecisionRecallOptions {
  int neighbours = 3;          ///< of precision and recall
  int density_neighbours = 5;  ///< of density and coverage
};

/// Shares, and a density whose mean is 1 for samples of one distribution.
struct PrecisionRecall {
  double precision = 0, recall = 0, density = 0, coverage = 0;
};

namespace detail::metrics {

/// Counts in integers, whose sums have no order. Queries are the real samples, references the generated ones.
template <class T>
struct CountBalls {
  Matrix<const T> real, generated;  // squared distances of the neighbours of each
  int k, density_k;
  int *recalled, *covered;  // of each real sample, whether
  int *closed, *open;       // of each generated sample, the balls around it

  KOKKOS_FUNCTION void operator()(int i, int first, int count, const T* squares) const {
    const T radius = real(i, k - 1), density_radius = real(i, density_k - 1);
    bool in_some = false, around_some = false;
    for (int l = 0; l < count; ++l) {
      const int j = first + l;
      in_some = in_some || squares[l] <= generated(j, k - 1);
      if (squares[l] <= radius) Kokkos::atomic_add(closed + j, 1);
      if (squares[l] < density_radius) {
        around_some = true;
        Kokkos::atomic_add(open + j, 1);
      }
    }
    if (in_some) recalled[i] = 1;
    if (around_some) covered[i] = 1;
  }
};

/// The sum of `counts`, or how many are not zero.
template <class Counts>
double sum_of_counts(const Counts& counts, bool as_shares) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) sum += as_shares ? counts(i) > 0 : counts(i);
  return static_cast<double>(sum);
}

}  // namespace detail::metrics

/// Of `generated` [M][D] beside `real` [N][D]. O((N + M)^2 D); memory for a copy of both and a few numbers a
/// sample. All but the density depend on N and M; compare sets of the sizes of others. Throws
/// std::invalid_argument for empty or not finite samples, different dimensions, or a number of neighbours that is
/// not positive and below N, that of precision and recall also below M.
template <ExecutionSpace Exec, class Real, class Generated>
PrecisionRecall precision_recall(const Exec& exec, const Real& real, const Generated& generated,
                                 const PrecisionRecallOptions& options = {}) {
  using T = detail::metrics::Value<Real>;
  static_assert(std::is_same_v<T, detail::metrics::Value<Generated>>,
                "vrfm: a metric needs samples of one type, float or double");
  const auto x = detail::metrics::samples(exec, "precision_recall: real", real);
  const auto y = detail::metrics::samples(exec, "precision_recall: generated", generated);
  detail::metrics::expect_same_columns("real", x, "generated", y);
  const auto check = [](std::string_view name, std::string_view set, int rows, int neighbours) {
    expect(neighbours > 0 && neighbours < rows, "precision_recall: expected ", name, " of one to ",
           rows - 1, " in ", rows, ' ', set, " samples, but got ", neighbours);
  };
  const int k = options.neighbours, density_k = options.density_neighbours;
  check("neighbours", "real", x.rows, k);
  check("neighbours", "generated", y.rows, k);
  check("density_neighbours", "real", x.rows, density_k);

  const detail::metrics::Panels<T, Exec> x_panels(exec, x), y_panels(exec, y);
  const auto near_real = detail::metrics::nearest_in_panels<Exec, T>(
      exec, x_panels, x, math::maximum(k, density_k), true);
  const auto near_generated =
      detail::metrics::nearest_in_panels<Exec, T>(exec, y_panels, y, k, true);
  const auto zeros = [&](int count) {
    return Array<int, Exec>(Kokkos::view_alloc("vrfm::metrics::precision_recall", exec),
                            static_cast<std::size_t>(count));
  };
  const auto recalled = zeros(x.rows), covered = zeros(x.rows), closed = zeros(y.rows),
             open = zeros(y.rows);
  detail::metrics::each_distance(
      exec, "vrfm::precision_recall", x, y_panels,
      detail::metrics::CountBalls<T>{matrix(near_real.squared_distances),
                                     matrix(near_generated.squared_distances), k, density_k,
                                     recalled.data(), covered.data(), closed.data(), open.data()});
  const auto sum = [&](const Array<int, Exec>& counts, bool as_shares) {
    return detail::metrics::sum_of_counts(to_host(exec, counts), as_shares);
  };
  const double n = x.rows, m = y.rows;
  return {sum(closed, true) / m, sum(recalled, true) / n, sum(open, false) / (m * density_k),
          sum(covered, true) / n};
}

}  // namespace vrfm
