// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ColumnScale: the map of one column to numbers of a size near 1, in a kernel, y = (g(x) - centre) / deviation with
//   g(x) = x                               identity (centre 0, deviation 1), deviation, quantiles
//   g(x) = log(x + shift)                  of columns that are positive and vary over powers of ten
//   g(x) = log((x - low) / (high - x))     of columns between two bounds
// its inverse, and log |dy/dx|, which turns the density of y into that of x: log p(x) = log p(y) + log |dy/dx|. A
// discrete column holds whole numbers n. It is drawn as n + u, u uniform in (0, 1) (uniform dequantisation: Uria,
// Murray and Larochelle 2013), and the inverse is rounded down. All of it is computed in double.
#pragma once

#include <vrfm/core/compat.hpp>

namespace vrfm {

/// What a column is mapped by. The last two are followed by mean and deviation.
enum class ScaleKind : int { identity, deviation, quantiles, log, logit };

/// What is asked for of a column.
struct ColumnOptions {
  ScaleKind kind = ScaleKind::deviation;
  bool discrete = false;
  double shift = 0;  ///< of log: x + shift is above 0
  double low = 0;    ///< of logit: x lies between them
  double high = 1;   ///< of a discrete column above its largest number, at least 1 more
};

/// A column's map as it was fitted.
struct ColumnScale {
  ColumnOptions options = {.kind = ScaleKind::identity};
  double centre = 0, deviation = 1;

  /// g(x).
  KOKKOS_INLINE_FUNCTION double plain(double x) const {
    if (options.kind == ScaleKind::log) return math::log(x + options.shift);
    if (options.kind == ScaleKind::logit) {
      return math::log(x - options.low) - math::log(options.high - x);
    }
    return x;
  }
  KOKKOS_INLINE_FUNCTION double forward(double x) const {
    return options.kind == ScaleKind::identity ? x : (plain(x) - centre) / deviation;
  }

  /// x of y. Of a discrete column still n + u.
  KOKKOS_INLINE_FUNCTION double inverse(double y) const {
    if (options.kind == ScaleKind::identity) return y;
    const double g = y * deviation + centre;
    if (options.kind == ScaleKind::log) return math::exp(g) - options.shift;
    if (options.kind != ScaleKind::logit) return g;
    // From the nearer bound, so that what is close to it stays inside.
    const double width = options.high - options.low, part = 1 / (1 + math::exp(math::fabs(g)));
    return g < 0 ? options.low + width * part : options.high - width * part;
  }
  /// The number as it was in the data: of a discrete column a whole one.
  KOKKOS_INLINE_FUNCTION double restored(double y) const {
    const double x = inverse(y);
    if (!options.discrete) return x;
    const double whole = math::floor(x);
    // Beyond what is whole in a column with bounds there is no number.
    return options.kind == ScaleKind::logit ? math::minimum(whole, options.high - 1) : whole;
  }

  /// log |dy/dx| at x.
  KOKKOS_INLINE_FUNCTION double log_slope(double x) const {
    if (options.kind == ScaleKind::identity) return 0;
    double slope = -math::log(deviation);
    if (options.kind == ScaleKind::log) slope -= math::log(x + options.shift);
    if (options.kind == ScaleKind::logit) {
      slope += math::log(options.high - options.low) - math::log(x - options.low) -
               math::log(options.high - x);
    }
    return slope;
  }

  /// Whether the map takes the column's number x; of a discrete one all of x to x + 1.
  KOKKOS_INLINE_FUNCTION bool takes(double x) const {
    if (!math::is_finite(x)) return false;
    if (options.discrete && math::floor(x) != x) return false;
    if (options.kind != ScaleKind::log && options.kind != ScaleKind::logit) return true;
    const double least = options.kind == ScaleKind::log ? -options.shift : options.low;
    if (options.discrete) {
      return x >= least && (options.kind == ScaleKind::log || x + 1 <= options.high);
    }
    return x > least && (options.kind == ScaleKind::log || x < options.high);
  }
};

/// The u of a discrete column, of a uniform one: the middle of one of 4,096 parts. So n + u is 2^-13 away from whole
/// numbers, more than float's rounding of y moves it for numbers up to 2,000 from the centre.
KOKKOS_INLINE_FUNCTION double dequantisation(double uniform) {
  return (math::floor(uniform * 4096) + 0.5) / 4096;
}

}  // namespace vrfm
