// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Training curves: the velocity loss of every variant and the KL divergence of those with a latent.
// Raw values of each seed are faint; a moving average over a fiftieth of the run, averaged over
// seeds, is drawn strongly.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <examples/synthetic/figures/script.hpp>
#include <examples/synthetic/labels.hpp>
#include <examples/synthetic/results.hpp>
#include <examples/synthetic/summary.hpp>

namespace synthetic {

namespace detail {

constexpr std::size_t max_curve_points = 400;

/// Centred moving average. The window shrinks symmetrically at the steep start, where a one-sided
/// mean would be biased, and only on its right at the flat end.
inline std::vector<double> smoothed(const std::vector<double>& values) {
  const std::size_t half = values.size() / 100;
  std::vector<double> sums(values.size() + 1, 0.0), result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) sums[i + 1] = sums[i] + values[i];
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t reach = std::min(half, i);
    const std::size_t begin = i - reach, end = std::min(i + reach + 1, values.size());
    result[i] = (sums[end] - sums[begin]) / static_cast<double>(end - begin);
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

inline void loss_panel(Script& script, const Results& results,
                       std::vector<double> LossCurve::*values, const std::string& prefix,
                       bool logarithmic) {
  std::vector<std::string> raw, strong;
  std::vector<double> seen;
  double last = static_cast<double>(results.iterations);
  for (const Variant& variant : variants(results)) {
    const std::string colour = variant_colour(results, variant);
    std::vector<double> mean, iteration;
    double seeds = 0;
    for (const LossCurve& curve : results.loss_curves) {
      const std::vector<double>& y = curve.*values;
      if (curve.variant != variant || y.empty()) continue;
      const std::string name = prefix + number(static_cast<double>(raw.size()));
      curve_block(script, name, curve.iteration, y);
      raw.push_back("$" + name + " with lines lw 0.7 lc rgb " + translucent(colour, 0.22));
      last = std::fmax(last, curve.iteration.back());
      seen.insert(seen.end(), y.begin(), y.end());
      const std::vector<double> smooth = smoothed(y);
      if (seeds == 0 || smooth.size() < mean.size()) iteration = curve.iteration;
      mean.resize(seeds == 0 ? smooth.size() : std::min(mean.size(), smooth.size()), 0.0);
      for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += smooth[i];
      ++seeds;
    }
    if (seeds == 0) continue;
    for (double& value : mean) value /= seeds;
    const std::string name = prefix + "s" + number(static_cast<double>(strong.size()));
    curve_block(script, name, iteration, mean);
    strong.push_back("$" + name + " with lines lw 2.2 lc rgb " + literal(colour));
  }
  if (last > 0) {
    script.x_range(0, last);
    script.line("set format x '%.0f'");
    script.tics('x', last);
  }
  // The first iterations of an untrained network would flatten everything after them.
  const double lower = quantile(seen, 0.002), upper = quantile(seen, 0.995);
  if (logarithmic && lower > 0 && upper > 20 * lower) {
    script.line("set logscale y");
    script.y_range(lower / 1.3, upper * 1.3);
  } else if (upper > lower) {
    const double air = 0.06 * (upper - lower);
    script.y_range(lower >= 0 ? std::max(0.0, lower - air) : lower - air, upper + air);
    script.tics('y', upper - lower);
  }
  raw.insert(raw.end(), strong.begin(), strong.end());
  script.plot(raw);
}

}  // namespace detail

/// Nothing without loss curves.
inline std::optional<FigurePlan> loss_figure(const Results& results) {
  bool any = false, latent = false;
  for (const LossCurve& curve : results.loss_curves) {
    any = any || !curve.velocity_loss.empty();
    latent = latent || !curve.kl.empty();
  }
  if (!any) return std::nullopt;
  FigurePlan plan;
  plan.name = "losses";
  plan.title = "Training";
  plan.width = latent ? 1000 : 620;
  plan.height = 344 + legend_excess(variants(results).size());
  plan.caption =
      "Faint lines are the seeds, averaged over short stretches of iterations, strong lines their "
      "moving average. "
      "RFM cannot go below the spread of the velocities that meet at one place; V-RFM can, because "
      "its latent says which velocity is meant";
  plan.caption += latent ? ". The right panel is what that knowledge costs, the divergence between "
                           "posterior and prior; at 0 the latent would be ignored."
                         : ".";
  Script script(plan.width, plan.height);
  const double pitch = latent ? 500 : 620;
  script.panel({72, 40, pitch - 104, 218}, "Velocity loss");
  script.axes("iteration", "mean squared velocity error");
  detail::loss_panel(script, results, &LossCurve::velocity_loss, "v", true);
  if (latent) {
    script.panel({pitch + 72, 40, pitch - 104, 218},
                 "KL divergence of the posterior from the prior");
    script.axes("iteration", "nats");
    detail::loss_panel(script, results, &LossCurve::kl, "k", false);
  }
  std::vector<std::string> entries;
  for (const Variant& variant : variants(results))
    entries.push_back("with lines lw 2.2 lc rgb " + literal(variant_colour(results, variant)) +
                      " title " + literal(variant_label(results, variant, Markup::gnuplot)));
  script.legend(entries);
  plan.script = script.finish();
  return plan;
}

}  // namespace synthetic
