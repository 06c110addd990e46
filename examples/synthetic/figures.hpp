// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All figures of a run.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <vrfm/core/check.hpp>

#include <examples/common/figures/draw.hpp>
#include <examples/synthetic/figures/ambiguity.hpp>
#include <examples/synthetic/figures/loss_curves.hpp>
#include <examples/synthetic/figures/metric_curves.hpp>
#include <examples/synthetic/figures/trajectories.hpp>
#include <examples/synthetic/results.hpp>

namespace synthetic {

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

/// Draws every figure; throws as check_sizes() and draw_plans() do.
inline Figures draw_figures(const Results& results, const std::filesystem::path& folder,
                            const std::string& gnuplot = "gnuplot",
                            const std::function<void()>& between = {}) {
  return draw_plans(figure_plans(results), folder, gnuplot, between);
}

}  // namespace synthetic
