// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pictures and curves in the reports of the image programs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <vrfm/io/png.hpp>

#include <examples/common/figures/curves.hpp>
#include <examples/common/figures/draw.hpp>
#include <examples/common/loss_log.hpp>
#include <examples/common/report/format.hpp>
#include <examples/common/report/page.hpp>
#include <examples/common/report/picture.hpp>
#include <examples/images/flows.hpp>

namespace images {

/// Okabe and Ito's colours.
inline std::string colour(std::size_t index) {
  static const char* const colours[] = {"#0072b2", "#d55e00", "#009e73",
                                        "#cc79a7", "#56b4e9", "#e69f00"};
  return colours[index % std::size(colours)];
}

/// Panels beside each other, one legend. Each is a title, the axes' names and its curves.
struct CurvePanel {
  std::string title, x, y;
  std::vector<CurveFamily> families;
  double last = 0;  ///< of x; 0: where the curves end
};

inline FigurePlan curve_figure(const std::string& name, const std::string& title,
                               const std::string& caption, const std::vector<CurvePanel>& panels) {
  FigurePlan plan;
  plan.name = name;
  plan.title = title;
  plan.caption = caption;
  const double pitch = 1000 / static_cast<double>(panels.size());
  plan.width = 1000;
  const auto& families = panels.front().families;
  std::size_t longest = 1;
  for (const auto& family : families) longest = std::max(longest, family.label.size());
  // As many columns as fit: a letter takes about 8 units, a line before it 60.
  const int columns =
      std::clamp(1000 / (60 + 8 * static_cast<int>(longest)), 1, common::legend_columns);
  plan.height = 344 + legend_excess(families.size(), columns);
  Script script(plan.width, plan.height);
  for (std::size_t k = 0; k < panels.size(); ++k) {
    script.panel({pitch * static_cast<double>(k) + 84, 40, pitch - 116, 218}, panels[k].title);
    script.axes(panels[k].x, panels[k].y);
    curves_panel(script, panels[k].families, std::string(1, static_cast<char>('a' + k)), k == 0,
                 panels[k].last);
  }
  script.legend(legend_entries(families), columns);
  plan.script = script.finish();
  return plan;
}

/// Where a training keeps its losses, in the folder of its results.
inline constexpr const char* losses_file = "losses.npz";

/// The curves of a training, or of several beside each other.
struct TrainingCurves {
  std::string label, colour;
  LossLog losses;
  bool latent;
};

inline std::optional<FigurePlan> loss_figure(const std::vector<TrainingCurves>& trainings) {
  if (trainings.empty()) return std::nullopt;
  CurvePanel velocity{"Velocity loss", "step", "mean squared error", {}};
  CurvePanel kl{"KL divergence of the posterior from the prior", "step", "nats a dimension", {}};
  for (const auto& [label, colour, losses, latent] : trainings) {
    const std::string name = escape(label, Markup::gnuplot);
    velocity.families.push_back({name, colour, {losses.curve(losses.main_name())}});
    if (latent) kl.families.push_back({name, colour, {losses.curve("kl")}});
    velocity.last = kl.last = std::max(velocity.last, static_cast<double>(losses.steps()));
  }
  std::vector<CurvePanel> panels{velocity};
  if (!kl.families.empty()) panels.push_back(kl);
  return curve_figure("losses", "Training",
                      "Faint: means over short stretches of steps; strong: their moving average. "
                      "RFM cannot go below the spread of the velocities that meet at one place; "
                      "V-RFM can, because its latent says which one is meant.",
                      panels);
}

}  // namespace images
