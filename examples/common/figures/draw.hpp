// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Planned figures, each drawn twice by gnuplot: as SVG for a report and as PNG of twice the
// resolution in a folder. A gnuplot that is missing or fails costs the figure and leaves a notice,
// never the rest of the results.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <vrfm/io/file.hpp>

#include <examples/common/figures/gnuplot.hpp>
#include <examples/common/figures/inline_svg.hpp>
#include <examples/common/figures/script.hpp>

namespace common {

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

/// Draws every plan, writes `folder`/NAME.png (the folder is made if need be) and returns the
/// pictures for a report. `between` is called after each, and may throw. Throws std::runtime_error if a file
/// cannot be written.
inline Figures draw_plans(const std::vector<FigurePlan>& plans, const std::filesystem::path& folder,
                          const std::string& gnuplot = "gnuplot",
                          const std::function<void()>& between = {}) {
  Figures figures;
  std::filesystem::create_directories(folder);
  for (const FigurePlan& plan : plans) {
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
    if (between) between();
  }
  return figures;
}

}  // namespace common
