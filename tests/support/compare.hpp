// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Comparison of arrays that names the worst elements instead of saying only "false".
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

namespace vrfm::test {

/// Machine epsilon of T as a double.
template <class T>
inline constexpr double epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());

inline double largest(const std::vector<double>& values) {
  double result = 0;
  for (const double value : values) result = std::max(result, std::fabs(value));
  return result;
}

/// Empty if |actual - expected| <= tolerance for each element, otherwise a text that lists the
/// worst ones; NaN never agrees. `tolerance(i)` is called with the element's index.
template <class Tolerance>
  requires requires(const Tolerance& t) { t(std::size_t(0)); }
std::string difference(const std::vector<double>& actual, const std::vector<double>& expected,
                       const Tolerance& tolerance) {
  std::ostringstream out;
  out.precision(17);
  if (actual.size() != expected.size()) {
    out << actual.size() << " elements instead of " << expected.size();
    return out.str();
  }
  std::vector<std::size_t> bad;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (!(std::fabs(actual[i] - expected[i]) <= tolerance(i))) bad.push_back(i);
  }
  if (bad.empty()) return {};
  const auto error = [&](std::size_t i) {
    const double e = std::fabs(actual[i] - expected[i]);
    return e == e ? e : std::numeric_limits<double>::infinity();
  };
  std::stable_sort(bad.begin(), bad.end(),
                   [&](std::size_t a, std::size_t b) { return error(a) > error(b); });
  out << bad.size() << " of " << actual.size() << " elements differ";
  for (std::size_t k = 0; k < bad.size() && k < 5; ++k) {
    out << "; [" << bad[k] << "] is " << actual[bad[k]] << " instead of " << expected[bad[k]]
        << " (tolerance " << tolerance(bad[k]) << ')';
  }
  return out.str();
}

inline std::string difference(const std::vector<double>& actual,
                              const std::vector<double>& expected, double tolerance) {
  return difference(actual, expected, [=](std::size_t) { return tolerance; });
}

}  // namespace vrfm::test
