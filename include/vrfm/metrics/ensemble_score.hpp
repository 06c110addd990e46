// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Proper scores of ensembles x_1 ... x_M that were drawn for a case whose truth y is known: the smaller, the better,
// and smallest on average for members drawn from the truth's own distribution. Both are the fair forms (Ferro, "Fair
// scores for ensemble forecasts", 2014), unbiased for the score of the distribution that the members are drawn from,
// so that ensembles of different sizes compare:
//   CRPS = 1/M sum_i |x_i - y| - 1/(2 M (M - 1)) sum_ij |x_i - x_j|,
// the continuous ranked probability score, and with Euclidean norms the energy score of whole vectors (Gneiting and
// Raftery, "Strictly proper scoring rules", 2007). The score of one case may be negative.
#pragma once

#include <vrfm/metrics/detail/ensemble.hpp>
#include <vrfm/metrics/detail/sort_rows.hpp>

namespace vrfm {

namespace detail::metrics {

/// Row r is column r % columns of case first + r / columns; what lies behind its members is infinite.
template <class T>
struct GatherMembers {
  Ensemble<T> ensemble;
  int first;
  Matrix<T> rows;

  KOKKOS_FUNCTION void operator()(int r) const {
    const int n = first + r / ensemble.columns(), d = r % ensemble.columns();
    for (int m = 0; m < rows.cols; ++m)
      rows(r, m) = m < ensemble.size ? ensemble.member(n, m)[d] : static_cast<T>(INFINITY);
  }
};

/// The score of sorted members, by sum_ij |x_i - x_j| = 2 sum_i (2 i - M + 1) x_i, i from 0. Members count from the
/// truth, so that what is far from zero does not cancel.
template <class T>
struct SortedScore {
  Ensemble<T> ensemble;
  int first;
  Matrix<const T> rows;

  KOKKOS_FUNCTION double operator()(int n, int d) const {
    const double size = ensemble.size, y = static_cast<double>(ensemble.truth(first + n, d));
    const T* x = rows.row(n * ensemble.columns() + d);
    double distance = 0, spread = 0;
    for (int m = 0; m < ensemble.size; ++m) {
      const double offset = static_cast<double>(x[m]) - y;
      distance += math::fabs(offset);
      spread += (2 * m - size + 1) * offset;
    }
    return distance / size - spread / (size * (size - 1));
  }
};

/// || x - y ||
template <class T>
KOKKOS_INLINE_FUNCTION double distance(const T* x, const T* y, int columns) {
  double square = 0;
  for (int d = 0; d < columns; ++d) {
    const double offset = static_cast<double>(x[d]) - static_cast<double>(y[d]);
    square += offset * offset;
  }
  return math::sqrt(square);
}

/// What member m adds to the energy score of case n.
template <class T>
struct MemberScore {
  Ensemble<T> ensemble;

  KOKKOS_FUNCTION double operator()(std::int64_t index) const {
    const int n = static_cast<int>(index / ensemble.size),
              m = static_cast<int>(index % ensemble.size);
    const T* x = ensemble.member(n, m);
    const double size = ensemble.size;
    double others = 0;
    for (int j = 0; j < m; ++j) others += distance(x, ensemble.member(n, j), ensemble.columns());
    return distance(x, ensemble.truth.row(n), ensemble.columns()) / size -
           others / (size * (size - 1));
  }
};

/// The sum of a case's members.
struct MemberSum {
  const double* scores;
  int size;

  KOKKOS_FUNCTION double operator()(std::int64_t n) const {
    double sum = 0;
    for (int m = 0; m < size; ++m) sum += scores[n * size + m];
    return sum;
  }
};

}  // namespace detail::metrics

/// The CRPS, in the samples' unit: its mean over the cases and columns of `ensembles` [cases][members][columns]
/// against `truths` [cases][columns], with the standard error over cases. O(members log members) a case and column;
/// memory for a copy of 2^22 numbers, or of one case. Throws std::invalid_argument for different cases or columns,
/// fewer than two members, or numbers that are not finite. Fences `exec`.
template <ExecutionSpace Exec, class Ensembles, class Truths>
Estimate crps(const Exec& exec, const Ensembles& ensembles, const Truths& truths) {
  using T = detail::metrics::Value<Truths>;
  const auto all = detail::metrics::ensemble(exec, "crps", ensembles, truths, 2);
  const int capacity = detail::metrics::row_capacity<Exec>(all.size), columns = all.columns();
  const int together = static_cast<int>(
      math::minimum(std::int64_t(all.cases),
                    math::maximum(std::int64_t(1),
                                  (std::int64_t(1) << 22) / (std::int64_t(capacity) * columns))));
  const Table<T, Exec> sorted(
      Kokkos::view_alloc("vrfm::metrics::members", exec, Kokkos::WithoutInitializing),
      static_cast<std::size_t>(together) * static_cast<std::size_t>(columns),
      static_cast<std::size_t>(capacity));
  const Array<double, Exec> scores(
      Kokkos::view_alloc("vrfm::metrics::crps", exec, Kokkos::WithoutInitializing),
      static_cast<std::size_t>(all.cases));
  for (int first = 0; first < all.cases; first += together) {
    const int count = math::minimum(together, all.cases - first);
    const auto rows = matrix(sorted).row_range(0, count * columns);
    launch_each(exec, "vrfm::metrics::gather_members", rows.rows,
                detail::metrics::GatherMembers<T>{all, first, rows});
    detail::metrics::sort_rows(exec, rows);
    using Score = detail::metrics::SortedScore<T>;
    using Mean = detail::metrics::ColumnMean<Score>;
    const Array<double, Exec> out(Kokkos::subview(scores, std::make_pair(first, first + count)));
    launch_each(exec, "vrfm::metrics::crps", std::int64_t(count),
                detail::metrics::StoreTerm<Mean, Array<double, Exec>>{
                    Mean{Score{all, first, rows}, columns}, 0, out});
  }
  return mean_of(exec, scores);
}

/// The energy score of each case's vector, in the samples' unit, its mean over cases and the standard error of that.
/// O(members^2 columns) a case. Throws and fences as crps does.
template <ExecutionSpace Exec, class Ensembles, class Truths>
Estimate energy_score(const Exec& exec, const Ensembles& ensembles, const Truths& truths) {
  using T = detail::metrics::Value<Truths>;
  const auto all = detail::metrics::ensemble(exec, "energy_score", ensembles, truths, 2);
  const auto members = detail::metrics::terms(exec, "vrfm::metrics::member_score", 0,
                                              std::int64_t(all.cases) * all.size,
                                              detail::metrics::MemberScore<T>{all});
  return mean_of(exec,
                 detail::metrics::terms(exec, "vrfm::metrics::energy_score", 0, all.cases,
                                        detail::metrics::MemberSum{members.data(), all.size}));
}

}  // namespace vrfm
