// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whether ensembles are calibrated, that is, whether a case's truth could be one of its members (the two are then
// exchangeable):
//   the truth's rank among the M members is uniform on 0 ... M (Hamill, "Interpretation of rank histograms", 2001);
//   central intervals of the members hold the truth as often as their level says;
//   E (M + 1) / M s^2 = E (mean - y)^2, s^2 the members' unbiased variance (Fortin et al., "Why should ensemble
//   spread match the RMSE of the ensemble mean?", 2014).
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <vrfm/core/copy.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/metrics/detail/chi_square.hpp>
#include <vrfm/metrics/detail/ensemble.hpp>

namespace vrfm {

struct RankHistogram {
  std::vector<std::int64_t> count;  ///< [members + 1]: truths with so many members below
  /// sum over ranks of (count - expected)^2 / expected against equal counts.
  double chi_square = 0;
  /// The variance of the counts over that of independent ranks, by which chi_square is divided for the p-value: 1 of
  /// one column. Columns of a case depend on each other, so of several it is estimated over cases (Rao and Scott
  /// 1981, first order).
  double design_effect = 1;
  double p_value =
      1;  ///< probability of this chi_square or a larger one if all ranks are as likely
};

struct IntervalCoverage {
  double level = 0;
  Estimate coverage;  ///< share of truths inside; its standard error is over cases
};

/// Each with its standard error over cases.
struct SpreadAgainstError {
  Estimate spread;  ///< sqrt of the mean of (M + 1) / M s^2, in the samples' unit
  Estimate error;   ///< sqrt of the mean of (ensemble mean - truth)^2, in the samples' unit
  Estimate ratio;   ///< spread / error: 1 if calibrated, less if the members are too much alike
};

namespace detail::metrics {

/// How many members of case n are below the truth in column d, and how many equal.
struct RankRange {
  int below = 0, equal = 0;
};
template <class T>
KOKKOS_INLINE_FUNCTION RankRange rank_range(const Ensemble<T>& ensemble, int n, int d) {
  RankRange range;
  const T y = ensemble.truth(n, d);
  for (int m = 0; m < ensemble.size; ++m) {
    const T x = ensemble.member(n, m)[d];
    range.below += x < y ? 1 : 0;
    range.equal += x == y ? 1 : 0;
  }
  return range;
}

/// ranks(n, r): columns of case n whose truth has rank r.
template <class T>
struct CountRanks {
  Ensemble<T> ensemble;
  RandomStream stream;
  Matrix<std::int32_t> ranks;

  KOKKOS_FUNCTION void operator()(int n) const {
    for (int r = 0; r < ranks.cols; ++r) ranks(n, r) = 0;
    for (int d = 0; d < ensemble.columns(); ++d) {
      const RankRange range = rank_range(ensemble, n, d);
      const int tie = range.equal == 0
                          ? 0
                          : stream.index(static_cast<std::uint64_t>(n), 0,
                                         static_cast<std::uint32_t>(d), range.equal + 1);
      ++ranks(n, range.below + tie);
    }
  }
};

/// The part of [below, below + equal + 1] that lies in the central interval of M + 1 equal parts.
template <class T>
struct InsideShare {
  Ensemble<T> ensemble;
  double level;

  KOKKOS_FUNCTION double operator()(int n, int d) const {
    const RankRange range = rank_range(ensemble, n, d);
    const double outside = (1 - level) / 2 * (ensemble.size + 1);
    const double low = math::maximum(double(range.below), outside);
    const double high =
        math::minimum(double(range.below + range.equal + 1), ensemble.size + 1 - outside);
    return math::maximum(high - low, 0.0) / (range.equal + 1);
  }
};

/// (M + 1) / M s^2, or (mean - y)^2.
template <class T>
struct SpreadTerm {
  Ensemble<T> ensemble;
  bool spread;

  KOKKOS_FUNCTION double operator()(int n, int d) const {
    const double size = ensemble.size, y = static_cast<double>(ensemble.truth(n, d));
    double mean = 0, squares = 0;  // from the truth
    for (int m = 0; m < ensemble.size; ++m)
      mean += (static_cast<double>(ensemble.member(n, m)[d]) - y) / size;
    if (!spread) return mean * mean;
    for (int m = 0; m < ensemble.size; ++m) {
      const double offset = static_cast<double>(ensemble.member(n, m)[d]) - y - mean;
      squares += offset * offset;
    }
    return squares / (size - 1) * (size + 1) / size;
  }
};

/// The square root of an estimate.
inline Estimate root_of(const Estimate& square) {
  const double root = std::sqrt(square.value);
  return {root, square.standard_error / (2 * root)};
}

}  // namespace detail::metrics

/// The ranks of `truths` [cases][columns] among `ensembles` [cases][members][columns], of all columns together. A truth
/// that equals k members takes one of the k + 1 ranks at random, by a draw at (seed, Purpose::tie, case, column). The
/// p-value is that of many cases, five or more for a rank. Throws std::invalid_argument for different cases or
/// columns, no members, numbers that are not finite, or a seed of more than 32 bits. Fences `exec`.
template <ExecutionSpace Exec, class Ensembles, class Truths>
RankHistogram rank_histogram(const Exec& exec, const Ensembles& ensembles, const Truths& truths,
                             std::uint64_t seed = 0) {
  using T = detail::metrics::Value<Truths>;
  const auto all = detail::metrics::ensemble(exec, "rank_histogram", ensembles, truths, 1);
  const RandomStream stream(narrow<std::uint32_t>(seed, "rank_histogram: the seed"), Purpose::tie);
  const auto cases = static_cast<std::size_t>(all.cases),
             bins = static_cast<std::size_t>(all.size) + 1;
  const Table<std::int32_t, Exec> ranks(
      Kokkos::view_alloc("vrfm::metrics::ranks", exec, Kokkos::WithoutInitializing), cases, bins);
  launch_each(exec, "vrfm::metrics::count_ranks", all.cases,
              detail::metrics::CountRanks<T>{all, stream, matrix(ranks)});
  const auto host = to_host(exec, ranks);

  RankHistogram histogram{std::vector<std::int64_t>(bins), 0, 1, 1};
  const double n = all.cases, total = n * all.columns(), expected = total / double(bins);
  double variance = 0;  // summed over ranks, of the count's mean over cases
  for (std::size_t r = 0; r < bins; ++r) {
    for (std::size_t i = 0; i < cases; ++i) histogram.count[r] += host(i, r);
    const double count = static_cast<double>(histogram.count[r]);
    histogram.chi_square += (count - expected) * (count - expected) / expected;
    for (std::size_t i = 0; i < cases; ++i)
      variance += (host(i, r) - count / n) * (host(i, r) - count / n);
  }
  // Of independent ranks, the counts' variances sum to total K (1/K) (1 - 1/K).
  const double k = static_cast<double>(bins);
  if (all.columns() > 1 && variance > 0)
    histogram.design_effect = variance * n / (n - 1) / (total * (k - 1) / k);
  histogram.p_value =
      detail::metrics::chi_square_tail(histogram.chi_square / histogram.design_effect, k - 1);
  return histogram;
}

/// How many of `truths` [cases][columns] lie in the central interval of each of `levels` of their members, in
/// `ensembles` [cases][members][columns]. M members cut the line into M + 1 parts, of which a truth that is
/// exchangeable with them hits each with probability 1 / (M + 1). The interval of level p is the central share p of the
/// parts: for p = (M + 1 - 2 k) / (M + 1) it ends at the k-th smallest and the k-th largest member, and for levels
/// between it takes the outermost parts with a share as weight. So its expectation is p for any M; it needs no
/// draws: a truth that equals members counts with its mean over the ranks it may have. Throws as rank_histogram does,
/// and for levels that are not in (0, 1). Fences `exec`.
template <ExecutionSpace Exec, class Ensembles, class Truths>
std::vector<IntervalCoverage> interval_coverage(const Exec& exec, const Ensembles& ensembles,
                                                const Truths& truths,
                                                const std::vector<double>& levels = {0.5, 0.9}) {
  using T = detail::metrics::Value<Truths>;
  const auto all = detail::metrics::ensemble(exec, "interval_coverage", ensembles, truths, 1);
  std::vector<IntervalCoverage> result;
  for (const double level : levels) {
    expect(level > 0 && level < 1, "interval_coverage: expected levels in (0, 1), but got ", level);
    result.push_back(
        {level, mean_of(exec, detail::metrics::column_means(
                                  exec, "vrfm::metrics::inside_share", all.cases, all.columns(),
                                  detail::metrics::InsideShare<T>{all, level}))});
  }
  return result;
}

/// The spread of `ensembles` [cases][members][columns] against the error of their means, of all columns together.
/// Standard errors are first-order. Throws as rank_histogram does, and for fewer than two members. Fences `exec`.
template <ExecutionSpace Exec, class Ensembles, class Truths>
SpreadAgainstError spread_against_error(const Exec& exec, const Ensembles& ensembles,
                                        const Truths& truths) {
  using T = detail::metrics::Value<Truths>;
  const auto all = detail::metrics::ensemble(exec, "spread_against_error", ensembles, truths, 2);
  const auto squares = [&](bool spread) {
    return detail::metrics::column_means(exec, "vrfm::metrics::spread", all.cases, all.columns(),
                                         detail::metrics::SpreadTerm<T>{all, spread});
  };
  const auto spread = squares(true), error = squares(false);
  using detail::metrics::root_of;
  return {root_of(mean_of(exec, spread)), root_of(mean_of(exec, error)),
          root_of(ratio_of(exec, spread, error))};
}

}  // namespace vrfm
