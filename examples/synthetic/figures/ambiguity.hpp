// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The velocity-ambiguity map: over (t, x) the standard deviation of the velocities that pass, one
// heat map per variant on one colour scale, and below it the velocity histograms at the marked
// places.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include <examples/common/figures/curves.hpp>
#include <examples/common/figures/script.hpp>
#include <examples/common/report/format.hpp>
#include <examples/synthetic/labels.hpp>
#include <examples/synthetic/results.hpp>
#include <examples/synthetic/summary.hpp>

namespace synthetic {

namespace detail {

inline void heat_map(Script& script, const Ambiguity& ambiguity, const AmbiguityMap& map,
                     const std::string& name) {
  script.begin_data(name);
  const double height = (ambiguity.position_upper - ambiguity.position_lower) /
                        static_cast<double>(ambiguity.position_bins);
  for (std::size_t j = 0; j < ambiguity.position_bins; ++j)
    for (std::size_t i = 0; i < ambiguity.time_bins; ++i)
      script.row((static_cast<double>(i) + 0.5) / static_cast<double>(ambiguity.time_bins),
                 ambiguity.position_lower + (static_cast<double>(j) + 0.5) * height,
                 map.deviation[i * ambiguity.position_bins + j]);
  script.end_data();
  script.begin_data(name + "m");
  for (std::size_t n = 0; n < ambiguity.probes.size(); ++n)
    script.row(ambiguity.probes[n].t, ambiguity.probes[n].x, static_cast<double>(n + 1));
  script.end_data();
  script.plot({"$" + name + " using 1:2:3 with image",
               "$" + name + "m using 1:2 with points pt 7 ps disc lc rgb 'white'",
               "$" + name + "m using 1:2 with points pt 6 ps disc lw 1.2 lc rgb '#1b1f24'",
               "$" + name + "m using 1:2:3 with labels font ',11' textcolor rgb '#1b1f24'"});
}

/// The velocities between which all histograms of a probe lie, with a bin of air on each side.
inline std::pair<std::size_t, std::size_t> occupied_bins(const Ambiguity& ambiguity,
                                                         std::size_t probe) {
  std::size_t first = 0, last = 0;
  bool any = false;
  for (const AmbiguityMap& map : ambiguity.maps) {
    const std::vector<double>& counts = map.histograms[probe];
    const double most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
    for (std::size_t bin = 0; bin < counts.size(); ++bin) {
      if (counts[bin] <= 0.004 * most) continue;
      first = any ? std::min(first, bin) : bin;
      last = any ? std::max(last, bin) : bin;
      any = true;
    }
  }
  return {first, last};
}

inline std::string histogram_style(const Results& results, const Variant& variant) {
  const std::string colour = variant_colour(results, variant);
  return variant.model == "truth"
             ? "with filledcurves y=0 fs solid noborder lc rgb " + translucent(colour, 0.35)
             : "with lines lw 1.8 lc rgb " + literal(colour);
}

inline void histogram_panel(Script& script, const Results& results, std::size_t probe) {
  const Ambiguity& ambiguity = results.ambiguity;
  std::vector<std::string> layers;
  for (std::size_t n = 0; n < ambiguity.maps.size(); ++n) {
    const AmbiguityMap& map = ambiguity.maps[n];
    const std::vector<double>& counts = map.histograms[probe];
    const double most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
    if (most <= 0) continue;
    const double width =
        (ambiguity.velocity_upper - ambiguity.velocity_lower) / static_cast<double>(counts.size());
    const auto place = [&](double bin) { return ambiguity.velocity_lower + bin * width; };
    const std::string block =
        "h" + number(static_cast<double>(probe)) + "v" + number(static_cast<double>(n));
    script.begin_data(block);
    script.row(place(0), 0);
    for (std::size_t bin = 0; bin < counts.size(); ++bin) {
      script.row(place(static_cast<double>(bin)), counts[bin] / most);
      script.row(place(static_cast<double>(bin + 1)), counts[bin] / most);
    }
    script.row(place(static_cast<double>(counts.size())), 0);
    script.end_data();
    layers.push_back("$" + block + " " + histogram_style(results, map.variant));
    if (layers.size() == 1) {
      const auto [first, last] = occupied_bins(ambiguity, probe);
      script.x_range(place(static_cast<double>(first) - 2), place(static_cast<double>(last) + 3));
      script.tics('x', static_cast<double>(last - first + 5) * width);
    }
  }
  if (layers.empty()) {
    script.x_range(ambiguity.velocity_lower, ambiguity.velocity_upper);
    layers.push_back("NaN");
  }
  script.plot(layers);
}

}  // namespace detail

/// The paper's figures 3 and 13; nothing without maps.
inline std::optional<FigurePlan> ambiguity_figure(const Results& results) {
  const Ambiguity& ambiguity = results.ambiguity;
  if (ambiguity.maps.empty()) return std::nullopt;
  const std::size_t columns = std::clamp<std::size_t>(ambiguity.maps.size(), 3, 4);
  const std::size_t rows = (ambiguity.maps.size() + columns - 1) / columns;
  const std::size_t probes = ambiguity.probes.size();
  FigurePlan plan;
  plan.name = "ambiguity";
  plan.title = "How many velocities meet at one place";
  plan.width = 1000;
  const double map_height = 230, row_pitch = 336;
  const double below = row_pitch * static_cast<double>(rows - 1);
  plan.height =
      static_cast<int>(below) + (probes > 0 ? 596 + legend_excess(ambiguity.maps.size()) : 330);
  plan.caption =
      "Top: the standard deviation of the velocities that pass each (t, x); white where too few "
      "samples pass. The ground truth is ambiguous, most of all near x = 0 shortly before the "
      "end. RFM has one velocity per place, so its map stays dark except where that velocity "
      "changes "
      "within a bin; V-RFM should repeat the ground truth's map. Bottom: the velocities at the "
      "numbered places, each histogram scaled to a peak of "
      "1. RFM shows one spike at the mean, V-RFM should fill the grey shape. " +
      first_seed(results) + steps_of_paths(results, ambiguity.time_bins) + ".";

  // A few bins at the edge of the sampled region would otherwise set the scale for all.
  std::vector<double> deviations;
  for (const AmbiguityMap& map : ambiguity.maps)
    deviations.insert(deviations.end(), map.deviation.begin(), map.deviation.end());
  const double highest = std::fmax(1e-9, quantile(deviations, 0.998));
  Script script(plan.width, plan.height);
  // Viridis (van der Walt and Smith, 2015), nine of its 256 colours.
  script.line(
      "set palette defined (0 '#440154', 1 '#482878', 2 '#3e4989', 3 '#31688e', "
      "4 '#26828e', 5 '#1f9e89', 6 '#35b779', 7 '#6ece58', 8 '#fde725')");
  script.line("set cblabel 'standard deviation of velocity' textcolor rgb '#3b414a'");
  const double left = 84, right = 908;
  const double pitch = (right - left) / static_cast<double>(columns);
  for (std::size_t n = 0; n < ambiguity.maps.size(); ++n) {
    const std::size_t column = n % columns;
    const double top = 38 + row_pitch * static_cast<double>(n / columns);
    const double panel_left = left + pitch * static_cast<double>(column);
    script.panel({panel_left, top, pitch - 18, map_height},
                 variant_label(results, ambiguity.maps[n].variant, Markup::gnuplot));
    // In every panel, because a new panel forgets all ranges: one scale for all maps.
    script.line("set cbrange [0:", highest, "]");
    script.x_range(0, 1);
    script.y_range(ambiguity.position_lower, ambiguity.position_upper);
    script.axes("time t", column == 0 ? "position x" : "");
    script.tics('x', 1);
    if (column != 0) script.line("set format y ''");
    if (n + 1 == std::min(columns, ambiguity.maps.size()))
      script.line("set colorbox user origin screen ", (panel_left + pitch) / plan.width, ",screen ",
                  1 - (top + map_height) / plan.height, " size screen 0.013,screen ",
                  map_height / plan.height);
    detail::heat_map(script, ambiguity, ambiguity.maps[n], "a" + number(static_cast<double>(n)));
  }
  const double step =
      (plan.width - left - 2) / static_cast<double>(std::max<std::size_t>(1, probes));
  for (std::size_t n = 0; n < probes; ++n) {
    const Probe& probe = ambiguity.probes[n];
    script.panel({left + step * static_cast<double>(n), 362 + below, step - 20, 140},
                 "(" + number(static_cast<double>(n + 1)) + ")  t = " + number(probe.t) +
                     ", x = " + (probe.x < 0 ? "−" : "") + number(std::abs(probe.x)));
    script.y_range(0, 1.08);
    script.line("set ytics (0, 0.5, 1)");
    script.axes("velocity", n == 0 ? "relative frequency" : "");
    if (n != 0) script.line("set format y ''");
    detail::histogram_panel(script, results, n);
  }
  if (probes > 0) {
    std::vector<std::string> entries;
    for (const AmbiguityMap& map : ambiguity.maps)
      entries.push_back(detail::histogram_style(results, map.variant) + " title " +
                        literal(variant_label(results, map.variant, Markup::gnuplot)));
    script.legend(entries);
  }
  plan.script = script.finish();
  return plan;
}

}  // namespace synthetic
