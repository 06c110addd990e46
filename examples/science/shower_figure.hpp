// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The picture of judged showers: mean profiles at few evaluations, the separation of each layer, z against the depth of
// the start.
#pragma once

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include <examples/science/results.hpp>
#include <examples/science/shower_features.hpp>

namespace science {

struct ShowerResults {
  Showers truth;
  std::vector<Showers> drawn;
  std::vector<DrawnFile> files;
  std::vector<std::vector<double>>
      separations;                ///< of each layer; one more than files: of the truth
  std::vector<double> starts, z;  ///< of the truth's showers; empty: no model with z
  std::string z_name;
};

namespace detail {

inline constexpr std::array shown_evaluations{1, 20};

/// Layer, mean of its share of the energy, and deviation of the share.
inline void profile_block(Script& script, const std::string& name, const Showers& showers) {
  script.begin_data(name);
  for (std::size_t j = 0; j < showers.layers.columns; ++j) {
    std::vector<double> shares;
    for (std::size_t i = 0; i < showers.layers.rows; ++i) {
      shares.push_back(100 * showers.layers(i, j) / showers.energies(i, 0));
    }
    const Moments m = moments(shares);
    script.row(static_cast<double>(j) + 0.5, m.mean, m.deviation);
  }
  script.end_data();
}

}  // namespace detail

inline FigurePlan shower_figure(const ShowerResults& r) {
  FigurePlan plan;
  plan.name = "calorimeter";
  plan.title = "Showers of photons";
  plan.width = 1000;
  plan.height = 368;
  Script script(plan.width, plan.height);
  const auto panel = [&](int k, const char* title, const char* x, const char* y) {
    script.panel({74 + 330.0 * k, 34, 240, 200}, title);
    script.axes(x, y);
  };
  const auto colour = [&](std::size_t k) { return common::literal(colour_of(r.files[k].method)); };
  const double layers = static_cast<double>(r.truth.layers.columns);

  panel(0, "Share of the energy, 1 evaluation", "depth, X_0", "%");
  detail::profile_block(script, "p", r.truth);
  std::vector<std::string> lines;
  for (std::size_t k = 0; k < r.files.size(); ++k) {
    if (r.files[k].evaluations != 1) continue;
    const std::string name = "p" + std::to_string(k);
    detail::profile_block(script, name, r.drawn[k]);
    lines.push_back("$" + name + " using 1:2 with lines lw 2 lc rgb " + colour(k));
    lines.push_back("$" + name + " using 1:3 with lines lw 1.2 lc rgb " + colour(k));
  }
  for (const char* points : {"1:2 with points pt 7", "1:3 with points pt 6"}) {
    lines.push_back(std::string("$p using ") + points + " ps 0.6 lc rgb '" + truth_colour + "'");
  }
  script.x_range(0, layers);
  script.line("set yrange [0:*]");
  script.plot(lines);

  panel(1, "Separation of each layer", "depth, X_0", "");
  lines.clear();
  double least = 1;
  for (std::size_t k = 0; k < r.separations.size(); ++k) {
    const bool truth = k == r.files.size();
    const auto& shown = detail::shown_evaluations;
    const auto at =
        truth ? shown.end() : std::find(shown.begin(), shown.end(), r.files[k].evaluations);
    if (!truth && at == shown.end()) continue;
    const std::string name = "s" + std::to_string(k);
    script.begin_data(name);
    for (std::size_t j = 0; j < r.separations[k].size(); ++j) {
      const double separation = r.separations[k][j];
      if (separation > 0) least = std::fmin(least, separation);
      script.row(static_cast<double>(j) + 0.5, separation);
    }
    script.end_data();
    lines.push_back("$" + name + " with lines " +
                    (truth ? "ls 1"
                           : "lw 2 dt " + std::to_string(1 + 2 * (at - shown.begin())) +
                                 " lc rgb " + colour(k)));
  }
  script.x_range(0, layers);
  script.line("set logscale y; set format y '10^{%T}'");
  script.y_range(least / 1.5, 1);
  script.plot(lines);

  if (!r.z.empty()) {
    panel(2, "What z tells", "start of the shower, X_0", r.z_name.c_str());
    script.begin_data("z");
    for (std::size_t i = 0; i < std::min<std::size_t>(r.z.size(), 1500); ++i) {
      script.row(r.starts[i], r.z[i]);
    }
    script.end_data();
    script.x_range(0, 7);
    script.plot(
        {"$z with points pt 7 ps 0.3 lc rgb " + common::translucent(colour_of("vrfm"), 0.4)});
  }

  std::vector<std::string> entries;
  entries.push_back("with lines ls 1 title 'other showers of the truth'");
  const std::string of_truth = " lc rgb " + common::literal(truth_colour) + " title ";
  entries.push_back("with points pt 7" + of_truth + "'truth: mean of the share'");
  entries.push_back("with points pt 6" + of_truth + "'truth: its deviation'");
  for (std::size_t k = 0; k < r.files.size(); ++k) {
    const auto& shown = detail::shown_evaluations;
    const auto at = std::find(shown.begin(), shown.end(), r.files[k].evaluations);
    if (at == shown.end()) continue;
    entries.push_back("with lines lw 2 dt " + std::to_string(1 + 2 * (at - shown.begin())) +
                      " lc rgb " + colour(k) + " title " +
                      common::literal(label_of(r.files[k].method) + ", " +
                                      common::plural(static_cast<std::size_t>(*at), "evaluation")));
  }
  script.legend(entries);
  plan.script = script.finish();
  return plan;
}

}  // namespace science
