// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Separation power of two histograms (the triangular discrimination of CaloChallenge, Krause et al. 2024, after
// Diefenbacher et al., "DCTRGAN", 2009.03796, equation 15),
//   S = 1/2 sum_k (p_k - q_k)^2 / (p_k + q_k),   sum p_k = sum q_k = 1,
// 0 for equal histograms, 1 for ones without a common bin. Of n and m samples of one distribution S is not 0 but about
// (K - 1) / 4 (1/n + 1/m), K the bins that are not empty: compare with that, or with S of two sets of real samples.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <vrfm/core/copy.hpp>
#include <vrfm/metrics/detail/samples.hpp>
#include <vrfm/metrics/detail/uploaded.hpp>
#include <vrfm/metrics/estimate.hpp>

namespace vrfm {

struct HistogramSeparation {
  /// S. Its variance, of multinomial counts, has the first-order part, of the gradient g_k = dS/dp_k,
  ///   A = (sum p g^2 - (sum p g)^2) / n + the same of q and m,
  /// which vanishes for equal distributions, and the second-order part there, B = (K - 1) / 8 (1/n + 1/m)^2. For
  /// these A of the counts is 2 B on average: so A - B, but B at least, stands for A + B.
  Estimate separation;
  double if_alike = 0;                        ///< (K - 1) / 4 (1/n + 1/m)
  std::vector<std::int64_t> a, b;             ///< counts
  std::int64_t outside_a = 0, outside_b = 0;  ///< samples beyond the edges, in no bin
};

namespace detail::metrics {

/// The bin of a value, the last one with both its edges; -1 outside.
KOKKOS_INLINE_FUNCTION int bin_of(const double* edges, int bins, double value) {
  if (!(value >= edges[0] && value <= edges[bins])) return -1;
  int low = 0, high = bins;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (value < edges[middle] ? high : low) = middle;
  }
  return low;
}

template <class T>
struct CountColumn {
  Matrix<const T> x;
  int column;
  const double* edges;
  int bins;
  std::int64_t* counts;  // [bins + 1], the last of what is outside

  KOKKOS_FUNCTION void operator()(int i) const {
    const int bin = bin_of(edges, bins, static_cast<double>(x(i, column)));
    // Integers: the order of the additions does not matter.
    Kokkos::atomic_add(counts + (bin < 0 ? bins : bin), std::int64_t(1));
  }
};

template <ExecutionSpace Exec, class T>
std::vector<std::int64_t> count_column(const Exec& exec, const Matrix<const T>& x, int column,
                                       const std::vector<double>& edges) {
  const auto where = uploaded(exec, edges);
  const Array<std::int64_t, Exec> counts(Kokkos::view_alloc("vrfm::metrics::counts", exec),
                                         edges.size());
  launch_each(
      exec, "vrfm::metrics::count_column", x.rows,
      CountColumn<T>{x, column, where.data(), static_cast<int>(edges.size()) - 1, counts.data()});
  const auto found = to_host(exec, counts);
  return {found.data(), found.data() + found.extent(0)};
}

/// S of counts with n and m inside, with its error.
inline void separate(HistogramSeparation& result) {
  double n = 0, m = 0, bins = 0;
  for (std::size_t k = 0; k < result.a.size(); ++k) {
    n += static_cast<double>(result.a[k]);
    m += static_cast<double>(result.b[k]);
    bins += result.a[k] + result.b[k] > 0 ? 1 : 0;
  }
  double separation = 0, slope_a = 0, square_a = 0, slope_b = 0, square_b = 0;
  for (std::size_t k = 0; k < result.a.size(); ++k) {
    const double p = static_cast<double>(result.a[k]) / n, q = static_cast<double>(result.b[k]) / m;
    if (p + q == 0) continue;
    const double difference = (p - q) / (p + q);
    separation += difference * (p - q) / 2;
    // dS/dp = (p - q) (p + 3 q) / (2 (p + q)^2)
    const double by_p = difference * (p + 3 * q) / (2 * (p + q));
    const double by_q = -difference * (q + 3 * p) / (2 * (p + q));
    slope_a += p * by_p;
    square_a += p * by_p * by_p;
    slope_b += q * by_q;
    square_b += q * by_q * by_q;
  }
  const double inverse = 1 / n + 1 / m;
  const double first = (std::max)(square_a - slope_a * slope_a, 0.0) / n +
                       (std::max)(square_b - slope_b * slope_b, 0.0) / m;
  const double second = (bins - 1) / 8 * inverse * inverse;
  result.separation = {separation, std::sqrt((std::max)(first - second, second))};
  result.if_alike = (bins - 1) / 4 * inverse;
}

}  // namespace detail::metrics

/// The separation power of column `column` of `a` [N][D] and `b` [M][D] over the bins between `edges`, which hold
/// their lower edge and the last one its upper edge, too, as NumPy's histogram. Throws std::invalid_argument for
/// empty or not finite samples, different dimensions, fewer than two edges or ones that do not increase, a column that
/// is not there, or no sample between the edges. Fences `exec`.
template <ExecutionSpace Exec, class A, class B>
HistogramSeparation histogram_separation(const Exec& exec, const A& a, const B& b,
                                         const std::vector<double>& edges, int column = 0) {
  const auto x = detail::metrics::samples(exec, "histogram_separation: a", a);
  const auto y = detail::metrics::samples(exec, "histogram_separation: b", b);
  expect_same("a", a.extent(1), "b", b.extent(1), "columns");
  expect(column >= 0 && column < x.cols, "histogram_separation: expected one of ", x.cols,
         " columns, but got number ", column);
  expect(edges.size() > 1, "histogram_separation: expected at least two edges, but got ",
         edges.size());
  for (std::size_t k = 0; k < edges.size(); ++k) {
    expect(std::isfinite(edges[k]) && (k == 0 || edges[k] > edges[k - 1]),
           "histogram_separation: expected edges that are finite and increase, but edge ", k,
           " is ", edges[k]);
  }
  HistogramSeparation result;
  result.a = detail::metrics::count_column(exec, x, column, edges);
  result.b = detail::metrics::count_column(exec, y, column, edges);
  result.outside_a = result.a.back();
  result.outside_b = result.b.back();
  result.a.pop_back();
  result.b.pop_back();
  expect(result.outside_a < x.rows && result.outside_b < y.rows,
         "histogram_separation: expected samples of both sets between the edges ", edges.front(),
         " and ", edges.back(), ", but ", result.outside_a, " of ", x.rows, " and ",
         result.outside_b, " of ", y.rows, " are outside");
  detail::metrics::separate(result);
  return result;
}

}  // namespace vrfm
