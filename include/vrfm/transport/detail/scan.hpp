// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loops over the columns of one row that an assignment spends its time in. Minima are kept in a fixed number
// of lanes, so that each loop becomes vector code; the smallest index wins among equals.
#pragma once

#include <limits>

#include <vrfm/core/compat.hpp>

namespace vrfm::detail::pairing {

inline constexpr int lanes = 16;
inline constexpr double infinity = std::numeric_limits<double>::infinity();

/// The smallest of some values, the smallest of the others, and where they are (-1: no such value).
struct TwoSmallest {
  double least, second;
  int at, second_at;
};

/// How many of values[begin ... end - 1], at most `lanes`, equal `value`.
inline int count_equal(const double* values, int begin, int end, double value) {
  int count = 0;
  if (end - begin == lanes) {
    for (int l = 0; l < lanes; ++l) count += values[begin + l] == value ? 1 : 0;
  } else {
    for (int j = begin; j < end; ++j) count += values[j] == value ? 1 : 0;
  }
  return count;
}

/// The first index below n other than `except` where values[j] == value; -1 if there is none.
inline int first_equal(const double* values, int n, double value, int except = -1) {
  for (int begin = 0; begin < n; begin += lanes) {
    const int end = math::minimum(n, begin + lanes);
    if (count_equal(values, begin, end, value) == 0) continue;
    for (int j = begin; j < end; ++j) {
      if (values[j] == value && j != except) return j;
    }
  }
  return -1;
}

/// The smallest of n values; infinity if there are none.
inline double smallest(const double* values, int n) {
  double least[lanes];
  for (int l = 0; l < lanes; ++l) least[l] = infinity;
  int j = 0;
  for (; j + lanes <= n; j += lanes) {
    for (int l = 0; l < lanes; ++l) {
      least[l] = values[j + l] < least[l] ? values[j + l] : least[l];
    }
  }
  for (; j < n; ++j) least[0] = math::minimum(least[0], values[j]);
  for (int l = 1; l < lanes; ++l) least[0] = math::minimum(least[0], least[l]);
  return least[0];
}

/// Of cost[j] - price[j], which is left in `reduced`.
inline TwoSmallest two_smallest(const double* cost, const double* price, int n, double* reduced) {
  double first[lanes], next[lanes];
  for (int l = 0; l < lanes; ++l) first[l] = next[l] = infinity;
  int j = 0;
  for (; j + lanes <= n; j += lanes) {
    VRFM_INDEPENDENT_ITERATIONS
    for (int l = 0; l < lanes; ++l) {
      const double value = cost[j + l] - price[j + l];
      reduced[j + l] = value;
      const double larger = value < first[l] ? first[l] : value;
      first[l] = value < first[l] ? value : first[l];
      next[l] = larger < next[l] ? larger : next[l];
    }
  }
  for (int l = 0; j < n; ++j, ++l) {
    const double value = reduced[j] = cost[j] - price[j];
    next[l] = math::minimum(next[l], math::maximum(first[l], value));
    first[l] = math::minimum(first[l], value);
  }
  TwoSmallest result{first[0], next[0], -1, -1};
  for (int l = 1; l < lanes; ++l) {
    result.second =
        math::minimum(math::minimum(result.second, next[l]), math::maximum(result.least, first[l]));
    result.least = math::minimum(result.least, first[l]);
  }
  result.at = first_equal(reduced, n, result.least);
  if (n > 1) result.second_at = first_equal(reduced, n, result.second, result.at);
  return result;
}

/// A row of a tree of shortest paths, by which columns may be reached at a lower length.
struct Relaxation {
  const double* cost;   // of the row
  const double* price;  // of the columns; minus infinity for those that are in the tree
  double excess;        // what the row's reduced costs exceed a path's length by
  int row;
  double* length;  // of the shortest path to each column; infinity for those in the tree
  int* from;       // its last row
};

/// Lowers the lengths and returns the smallest.
inline double relax(const Relaxation& r, int n) {
  double least[lanes];
  for (int l = 0; l < lanes; ++l) least[l] = infinity;
  const double* const cost = r.cost;
  const double* const price = r.price;
  double* const length = r.length;
  int* const from = r.from;
  const double excess = r.excess;
  const int row = r.row;
  int j = 0;
  for (; j + lanes <= n; j += lanes) {
    VRFM_INDEPENDENT_ITERATIONS
    for (int l = 0; l < lanes; ++l) {
      const double through = (cost[j + l] - price[j + l]) - excess, old = length[j + l];
      const bool lower = through < old;
      const double value = lower ? through : old;
      from[j + l] = lower ? row : from[j + l];
      length[j + l] = value;
      least[l] = value < least[l] ? value : least[l];
    }
  }
  for (int l = 0; j < n; ++j, ++l) {
    const double through = (cost[j] - price[j]) - excess;
    if (through < length[j]) {
      length[j] = through;
      from[j] = row;
    }
    least[l] = math::minimum(least[l], length[j]);
  }
  for (int l = 1; l < lanes; ++l) least[0] = math::minimum(least[0], least[l]);
  return least[0];
}

}  // namespace vrfm::detail::pairing
