// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All figures of a run, each drawn twice by gnuplot: as SVG for the report and as PNG of twice the
// resolution in a folder. A gnuplot that is missing or fails costs the figure and leaves a notice,
// never the rest of the results.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/io/file.hpp>

#include <examples/synthetic/figures/ambiguity.hpp>
#include <examples/synthetic/figures/gnuplot.hpp>
#include <examples/synthetic/figures/inline_svg.hpp>
#include <examples/synthetic/figures/loss_curves.hpp>
#include <examples/synthetic/figures/metric_curves.hpp>
#include <examples/synthetic/figures/script.hpp>
#include <examples/synthetic/figures/trajectories.hpp>
#include <examples/synthetic/results.hpp>

namespace synthetic {

struct Figure {
  std::string name;
  std::string title;
  std::string caption;  ///< HTML
  std::string svg;      ///< to be placed inside an HTML page
};

struct Figures {
  std::vector<Figure> drawn;
  std::vector<std::string> notices;  ///< one sentence for each thing that went wrong
};

/// Throws std::invalid_argument where a vector of `results` has not the size that results.hpp says.
inline void check_sizes(const Results& results) {
  using vrfm::expect_same;
  for (const LossCurve& curve : results.loss_curves) {
    const std::size_t count = curve.iteration.size();
    expect_same("iteration", count, "velocity_loss", curve.velocity_loss.size(), "entries");
    if (!curve.kl.empty()) expect_same("iteration", count, "kl", curve.kl.size(), "entries");
  }
  for (const Trajectories& paths : results.trajectories)
    expect_same("times x paths x dimension", paths.times.size() * paths.paths * results.dimension,
                "positions", paths.positions.size(), "entries");
  const Ambiguity& ambiguity = results.ambiguity;
  for (const AmbiguityMap& map : ambiguity.maps) {
    expect_same("time_bins x position_bins", ambiguity.time_bins * ambiguity.position_bins,
                "deviation", map.deviation.size(), "entries");
    expect_same("probes", ambiguity.probes.size(), "histograms", map.histograms.size(), "entries");
  }
}

/// What there is to draw, in the report's order.
inline std::vector<FigurePlan> figure_plans(const Results& results) {
  check_sizes(results);
  std::vector<FigurePlan> plans;
  for (std::optional<FigurePlan>& plan : std::vector<std::optional<FigurePlan>>{
           quality_curves(results), trajectory_figure(results), ambiguity_figure(results),
           straightness_curves(results), loss_figure(results)})
    if (plan) plans.push_back(*plan);
  return plans;
}

/// Draws every figure, writes `folder`/NAME.png (the folder is made if need be) and returns the
/// pictures for the report. Throws as check_sizes() does, and std::runtime_error if a file cannot
/// be written.
inline Figures draw_figures(const Results& results, const std::filesystem::path& folder,
                            const std::string& gnuplot = "gnuplot") {
  Figures figures;
  std::filesystem::create_directories(folder);
  for (const FigurePlan& plan : figure_plans(results)) {
    const auto terminal = [&](const std::string& kind, int scale, const std::string& options) {
      return "set terminal " + kind + " size " + number(scale * plan.width) + "," +
             number(scale * plan.height) + " enhanced background rgb 'white' " + options + "\n" +
             plan.script;
    };
    try {
      const std::string svg = inline_svg(
          run_gnuplot(gnuplot,
                      terminal("svg", 1, "dynamic font 'sans-serif,14'\nlift = 0.8; disc = 1.9")),
          plan.name, plan.title);
      if (svg.empty()) throw GnuplotFailed("gnuplot gave no complete SVG");
      figures.drawn.push_back({plan.name, plan.title, plan.caption, svg});
      const std::string png = run_gnuplot(
          gnuplot,
          terminal(
              "pngcairo", 2,
              "font 'sans-serif,10' fontscale 2 linewidth 2 pointscale 2\nlift = 0; disc = 2.2"));
      vrfm::write_file_atomically(folder / (plan.name + ".png"), png);
    } catch (const GnuplotMissing& missing) {
      figures.notices.push_back("Figures are missing: " + std::string(missing.what()) + ".");
      break;
    } catch (const GnuplotFailed& failed) {
      figures.notices.push_back("Figure '" + plan.title + "' is incomplete: " + failed.what());
    }
  }
  return figures;
}

}  // namespace synthetic
