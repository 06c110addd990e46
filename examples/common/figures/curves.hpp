// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Curves that are noisy: raw values are faint, and a moving average over a fiftieth of the curve,
// averaged over the seeds of a family, is drawn strongly.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <examples/common/figures/script.hpp>

namespace common {

struct Curve {
  std::vector<double> x, y;
};

/// Curves of one colour and one entry of the legend.
struct CurveFamily {
  std::string label;  ///< gnuplot's enhanced text
  std::string colour;
  std::vector<Curve> curves;
};

/// The value below which `share` of the values lie; NaN for none.
inline double quantile(std::vector<double> values, double share) {
  values.erase(std::remove_if(values.begin(), values.end(),
                              [](double value) { return !std::isfinite(value); }),
               values.end());
  if (values.empty()) return std::nan("");
  // To the nearest rank, so that of few values none is left out.
  const auto rank = std::lround(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + rank, values.end());
  return values[static_cast<std::size_t>(rank)];
}

namespace detail {

constexpr std::size_t max_curve_points = 400;

/// Centred moving average. The window shrinks symmetrically at the steep start, where a one-sided
/// mean would be biased, and only on its right at the flat end. Of values that are known; NaN for none.
inline std::vector<double> smoothed(const std::vector<double>& values) {
  const std::size_t half = values.size() / 100;
  std::vector<double> sums(values.size() + 1, 0.0), counts = sums, result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool known = !std::isnan(values[i]);
    sums[i + 1] = sums[i] + (known ? values[i] : 0);
    counts[i + 1] = counts[i] + (known ? 1 : 0);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t reach = std::min(half, i);
    const std::size_t begin = i - reach, end = std::min(i + reach + 1, values.size());
    result[i] = (sums[end] - sums[begin]) / (counts[end] - counts[begin]);
  }
  return result;
}

inline void curve_block(Script& script, const std::string& name, const std::vector<double>& x,
                        const std::vector<double>& y) {
  const std::size_t count = std::min(x.size(), y.size());
  const std::size_t stride = (count + max_curve_points - 1) / max_curve_points;
  script.begin_data(name);
  for (std::size_t i = 0; i < count; i += std::max<std::size_t>(1, stride)) script.row(x[i], y[i]);
  script.end_data();
}

}  // namespace detail

/// Plots all families in the script's panel, over [0, last] or as far as they go. `prefix` is unique
/// in the script. A logarithmic axis is used where the values span much.
inline void curves_panel(Script& script, const std::vector<CurveFamily>& families,
                         const std::string& prefix, bool logarithmic, double last = 0) {
  std::vector<std::string> raw, strong;
  std::vector<double> seen;
  for (const CurveFamily& family : families) {
    std::vector<double> mean, x;
    for (const Curve& curve : family.curves) {
      if (curve.x.empty()) continue;
      const std::string name = prefix + number(static_cast<double>(raw.size()));
      detail::curve_block(script, name, curve.x, curve.y);
      raw.push_back("$" + name + " with lines lw 0.7 lc rgb " + translucent(family.colour, 0.22));
      last = std::fmax(last, curve.x.back());
      // The first iterations of an untrained network would flatten everything after them.
      const auto untrained = static_cast<std::ptrdiff_t>(curve.y.size() / 40);
      seen.insert(seen.end(), curve.y.begin() + untrained, curve.y.end());
      const std::vector<double> smooth = detail::smoothed(curve.y);
      if (mean.empty() || smooth.size() < mean.size()) x = curve.x;
      mean.resize(mean.empty() ? smooth.size() : std::min(mean.size(), smooth.size()), 0.0);
      for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += smooth[i];
    }
    if (mean.empty()) continue;
    for (double& value : mean) value /= static_cast<double>(family.curves.size());
    const std::string name = prefix + "s" + number(static_cast<double>(strong.size()));
    detail::curve_block(script, name, x, mean);
    strong.push_back("$" + name + " with lines lw 2.2 lc rgb " + literal(family.colour));
  }
  if (last > 0) {
    script.x_range(0, last);
    if (last >= 10) script.line("set format x '%.0f'");
    script.tics('x', last);
  }
  const double lower = quantile(seen, 0.002), upper = quantile(seen, 0.995);
  if (logarithmic && lower > 0 && upper > 20 * lower) {
    script.line("set logscale y");
    script.y_range(lower / 1.3, upper * 1.3);
  } else if (upper > lower) {
    const double air = 0.06 * (upper - lower);
    script.y_range(lower >= 0 ? std::max(0.0, lower - air) : lower - air, upper + air);
    script.tics('y', upper - lower);
  } else if (!(upper >= lower)) {
    script.y_range(0, 1);  // nothing is known; gnuplot rejects an empty one
  }
  if (raw.empty()) raw.push_back("NaN");
  raw.insert(raw.end(), strong.begin(), strong.end());
  script.plot(raw);
}

/// What Script::legend shows of the families.
inline std::vector<std::string> legend_entries(const std::vector<CurveFamily>& families) {
  std::vector<std::string> entries;
  for (const CurveFamily& family : families)
    entries.push_back("with lines lw 2.2 lc rgb " + literal(family.colour) + " title " +
                      literal(family.label));
  return entries;
}

}  // namespace common
