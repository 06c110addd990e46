// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The chi-square distribution's upper tail, P(X > x) = Q(k / 2, x / 2), the incomplete gamma function: by its series
// below the mean and by its continued fraction (Lentz's method) above.
#pragma once

#include <cmath>
#include <limits>

namespace vrfm::detail::metrics {

/// P(X > statistic) of k > 0 degrees of freedom, which need not be an integer.
inline double chi_square_tail(double statistic, double k) {
  const double a = k / 2, x = statistic / 2;
  if (!(x > 0)) return x <= 0 ? 1 : x;
  if (std::isinf(x)) return 0;
  constexpr double precision = std::numeric_limits<double>::epsilon();
  const double scale = std::exp(a * std::log(x) - x - std::lgamma(a));
  // Both converge within a few times sqrt(a) terms.
  const int most = 1000 + static_cast<int>(20 * std::sqrt(a));
  if (x < a + 1) {
    double term = 1 / a, sum = term;
    for (int n = 1; n <= most && term > sum * precision; ++n) sum += term *= x / (a + n);
    return 1 - scale * sum;
  }
  constexpr double tiny = 1e-300;
  double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
  for (int n = 1; n <= most; ++n) {
    const double numerator = n * (a - n);
    b += 2;
    d = numerator * d + b;
    c = b + numerator / c;
    if (std::fabs(d) < tiny) d = tiny;
    if (std::fabs(c) < tiny) c = tiny;
    d = 1 / d;
    h *= d * c;
    if (std::fabs(d * c - 1) < precision) break;
  }
  return scale * h;
}

}  // namespace vrfm::detail::metrics
