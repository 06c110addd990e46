// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Metrics against the evaluations of the network: one line per variant through the mean over seeds, a
// band from the lowest to the highest seed, and the level that exact target samples (or a straight
// path) reach.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include <examples/common/figures/script.hpp>
#include <examples/synthetic/labels.hpp>
#include <examples/synthetic/results.hpp>
#include <examples/synthetic/summary.hpp>

namespace synthetic {

namespace detail {

struct MetricPanel {
  std::string title;
  std::string axis;
  Metric metric;
  double reference;
  double
      shown;  ///< how far from the reference lines are followed: those farther off leave the panel
};

/// "set xtics" and range for the counts that occur, on a logarithmic axis.
inline void evaluation_axis(Script& script, const std::vector<Group>& all) {
  std::vector<double> steps;
  for (const Group& group : all)
    if (group.steps > 0) steps.push_back(group.evaluations());
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  std::string tics;
  double last = -1;
  std::size_t digits = 0;  // of the last number
  for (const double step : steps) {
    // Neighbours closer than their digits are wide keep their mark but lose their number.
    const double place = std::log(step) - std::log(steps.front());
    const double span = std::max(1e-9, std::log(steps.back()) - std::log(steps.front()));
    const double width = 0.02 * static_cast<double>(digits + number(step).size()) + 0.01;
    const bool labelled = last < 0 || (place - last) / span > width;
    if (labelled) {
      last = place;
      digits = number(step).size();
    }
    tics += (tics.empty() ? "" : ",") + literal(labelled ? number(step) : "") + " " + number(step);
  }
  script.line("set logscale x; set xtics (", tics, ")");
  script.x_range(steps.front() / 1.12, steps.back() * 1.12);
}

inline std::string line_style(const Results& results, const Variant& variant, int index) {
  const int shape = std::vector<int>{7, 5, 9, 13, 11}[static_cast<std::size_t>(index % 5)];
  return "with linespoints pt " + number(shape) + " ps 0.7 lw 2 lc rgb " +
         literal(variant_colour(results, variant));
}

inline void metric_panel(Script& script, const Results& results, const std::vector<Group>& all,
                         const MetricPanel& panel, int index) {
  std::vector<std::string> bands, lines;
  double lower = panel.reference, upper = panel.reference;
  int line_index = 0;
  for (const Variant& variant : variants(results)) {
    const std::string block = "m" + number(index) + "v" + number(line_index);
    bool spread_known = false;
    script.begin_data(block);
    for (const Group& group : all) {
      if (group.variant != variant || group.steps < 1) continue;
      const Spread value = group.of(panel.metric);
      spread_known = spread_known || value.upper > value.lower;
      if (std::isfinite(value.lower)) lower = std::fmin(lower, value.lower);
      if (std::isfinite(value.upper)) upper = std::fmax(upper, value.upper);
      script.row(group.evaluations(), value.mean, value.lower, value.upper);
    }
    script.end_data();
    const std::string colour = variant_colour(results, variant);
    if (spread_known)
      bands.push_back("$" + block + " using 1:3:4 with filledcurves fs solid noborder lc rgb " +
                      translucent(colour, 0.22));
    lines.push_back("$" + block + " using 1:2 " + line_style(results, variant, line_index));
    ++line_index;
  }
  if (std::isfinite(panel.reference))
    lines.insert(lines.begin(), number(panel.reference) + " with lines ls 1");
  lower = std::fmax(lower, panel.reference - panel.shown);
  upper = std::fmin(upper, panel.reference + panel.shown);
  if (upper > lower) {
    const double air = 0.06 * (upper - lower);
    script.y_range(lower - air, upper + air);
    script.tics('y', upper - lower);
  }
  bands.insert(bands.end(), lines.begin(), lines.end());
  script.plot(bands);
}

/// " Sampled with 2, 4 and 8 Euler steps."
inline std::string sampled_with(const std::vector<Group>& all) {
  std::vector<int> steps;
  for (const Group& group : all) {
    if (group.steps > 0 && (steps.empty() || steps.back() != group.steps)) {
      steps.push_back(group.steps);
    }
  }
  std::string list, solvers;
  for (std::size_t k = 0; k < steps.size(); ++k) {
    list += (k == 0 ? "" : k + 1 == steps.size() ? " and " : ", ") + std::to_string(steps[k]);
  }
  std::vector<std::string> seen;
  for (const Group& group : all) {
    if (std::find(seen.begin(), seen.end(), group.solver) != seen.end()) continue;
    seen.push_back(group.solver);
    solvers += (solvers.empty() ? "" : " or ") + solver_label(group.solver, Markup::html);
  }
  return " Sampled with " + list + " " + solvers +
         (steps.size() == 1 && steps.front() == 1 ? " step." : " steps.");
}

inline std::optional<FigurePlan> metric_figure(const Results& results, FigurePlan plan,
                                               const std::vector<MetricPanel>& panels,
                                               const std::string& reference_label) {
  const std::vector<Group> all = groups(results);
  if (std::none_of(all.begin(), all.end(), [](const Group& group) { return group.steps > 0; }))
    return std::nullopt;
  plan.caption += sampled_with(all);
  plan.width = 1000;
  plan.height = 344 + legend_excess(variants(results).size() + 1);
  Script script(plan.width, plan.height);
  const double pitch = plan.width / static_cast<double>(panels.size());
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const double left = pitch * static_cast<double>(i);
    script.panel({left + 84, 40, pitch - 100, 218}, panels[i].title);
    script.axes("evaluations of the network", panels[i].axis);
    evaluation_axis(script, all);
    metric_panel(script, results, all, panels[i], static_cast<int>(i));
  }
  std::vector<std::string> entries;
  for (const Variant& variant : variants(results))
    entries.push_back(line_style(results, variant, static_cast<int>(entries.size())) + " title " +
                      literal(variant_label(results, variant, Markup::gnuplot)));
  entries.push_back("with lines ls 1 title " + literal(reference_label));
  script.legend(entries);
  plan.script = script.finish();
  return plan;
}

}  // namespace detail

/// The paper's figures 2 and 5; nothing if no run used a fixed number of steps.
inline std::optional<FigurePlan> quality_curves(const Results& results) {
  FigurePlan plan;
  plan.name = "metrics";
  plan.title = "Sample quality against the number of evaluations";
  plan.caption =
      results.seeds.size() > 1
          ? "Lines are means over seeds, and bands reach from the lowest to the highest "
            "seed. The dashed line is what exact target samples score. "
          : std::string(one_seed) + "The dashed line is what exact target samples score. ";
  plan.caption +=
      "Look at the left end, where there are few evaluations. Samples that only sit on the modes "
      "score a "
      "high true log-likelihood, even above the dashed line, so the other two panels decide: they "
      "also notice what is missing. A line that leaves its panel is farther off.";
  const Exact& exact = results.exact;
  return detail::metric_figure(
      results, plan,
      {{"True log-likelihood (collapse scores high)", "nats", &Run::true_ll, exact.true_ll, 4},
       {"Parzen log-likelihood (higher is better)", "nats", &Run::parzen_ll, exact.parzen_ll, 2},
       {"Wasserstein-1 (lower is better)", "distance", &Run::wasserstein1, exact.wasserstein1,
        0.4}},
      "exact target samples");
}

/// How far the sampled paths are from straight lines.
inline std::optional<FigurePlan> straightness_curves(const Results& results) {
  FigurePlan plan;
  plan.name = "straightness";
  plan.title = "How straight the paths are";
  plan.caption = results.seeds.size() > 1 ? "" : one_seed;
  plan.caption +=
      "Left, the mean squared difference between the velocity along a path and its straight-line "
      "velocity; right, the length of a path over the distance between its ends (median over "
      "samples). Dashed lines mark a perfectly straight path. Straight paths are what lets a "
      "solver take few steps.";
  return detail::metric_figure(
      results, plan,
      {{"Deviation from straight (lower is better)", "squared velocity", &Run::straightness, 0,
        HUGE_VAL},
       {"Path length over displacement (lower is better)", "ratio", &Run::path_ratio, 1, HUGE_VAL}},
      "straight path");
}

}  // namespace synthetic
