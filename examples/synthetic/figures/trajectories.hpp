// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sampled paths, one panel per variant. In one dimension x runs against t, coloured by the side of
// the target where a path ends, with the densities of start and end drawn outside t = 0 and t = 1;
// in two dimensions the paths lie over the source and target points.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
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

constexpr std::size_t max_paths = 180;
constexpr std::size_t max_points = 450;

inline double position(const Trajectories& paths, std::size_t dimension, std::size_t time,
                       std::size_t path, std::size_t axis = 0) {
  return paths.positions[(time * paths.paths + path) * dimension + axis];
}

/// Whether a model begins elsewhere than at the data's source.
inline bool own_source(const Variant& variant) {
  const Method* const method = find_method(variant.model);
  return method != nullptr && method->pairs == Pairs::learned;
}

/// Half the side of a square around the origin that holds all but the outermost 0.3 % of the data
/// and of the paths, unless these stray beyond twice the data.
inline double half_width(const Results& results, const std::vector<Trajectories>& shown) {
  const auto reach = [](const auto& points) {
    std::vector<double> sizes;
    for (const auto value : points) sizes.push_back(std::abs(static_cast<double>(value)));
    const double size = sizes.empty() ? 0 : quantile(sizes, 0.997);
    return std::isfinite(size) ? size : 0;
  };
  const double data = std::fmax(reach(results.source), reach(results.target));
  double size = data;
  for (const Trajectories& paths : shown)
    if (!own_source(paths.variant))
      size = std::fmax(size, std::fmin(2 * data, reach(paths.positions)));
  return size > 0 ? 1.06 * size : 1;
}

/// Gaussian kernel density of `samples` on [-extent, extent]; the narrow kernel keeps close modes.
inline void density_block(Script& script, const std::string& name,
                          const std::vector<double>& samples, double extent, double origin,
                          double scale) {
  const double width = 0.035 * extent;
  const std::size_t stride = std::max<std::size_t>(1, samples.size() / 2000);
  constexpr int grid = 200;
  std::vector<double> density(grid + 1, 0.0);
  for (int i = 0; i <= grid; ++i)
    for (std::size_t n = 0; n < samples.size(); n += stride) {
      const double z = (extent * (2.0 * i / grid - 1) - samples[n]) / width;
      density[static_cast<std::size_t>(i)] += std::exp(-0.5 * z * z);
    }
  const double peak = std::max(1e-300, *std::max_element(density.begin(), density.end()));
  script.begin_data(name);
  for (int i = 0; i <= grid; ++i) {
    const double height = density[static_cast<std::size_t>(i)] / peak;
    if (height < 0.004)
      script.gap();
    else
      script.row(origin + scale * height, extent * (2.0 * i / grid - 1));
  }
  script.end_data();
}

inline void paths_against_time(Script& script, const Results& results, const Trajectories& paths,
                               const std::string& name, double extent, double middle) {
  const std::size_t shown = std::min(paths.paths, max_paths), last = paths.times.size() - 1;
  for (const bool upper : {false, true}) {
    script.begin_data(name + (upper ? "u" : "l"));
    script.row(-9, 0);  // gnuplot rejects an empty block; this point is outside the panel
    for (std::size_t path = 0; path < shown; ++path) {
      if ((position(paths, 1, last, path) > middle) != upper) continue;
      script.gap();
      for (std::size_t time = 0; time <= last; ++time)
        script.row(paths.times[time], position(paths, 1, time, path));
    }
    script.end_data();
  }
  std::vector<double> starts, ends;
  for (std::size_t path = 0; path < paths.paths; ++path) {
    starts.push_back(position(paths, 1, 0, path));
    ends.push_back(position(paths, 1, last, path));
  }
  density_block(script, name + "s", starts, extent, -0.02, -0.2);
  density_block(script, name + "e", ends, extent, 1.02, 0.2);
  density_block(script, name + "t", results.target, extent, 1.02, 0.2);
  const std::string colour = variant_colour(results, paths.variant);
  script.plot({"$" + name + "l with lines lw 0.8 lc rgb " + translucent("#762a83", 0.42),
               "$" + name + "u with lines lw 0.8 lc rgb " + translucent("#2e9e5b", 0.50),
               "$" + name + "s with filledcurves x=-0.02 fs solid noborder lc rgb '#b9bfc7'",
               "$" + name + "e with filledcurves x=1.02 fs solid noborder lc rgb " +
                   translucent(colour, 0.55),
               "$" + name + "t with lines lw 1.3 dt 2 lc rgb '#1b1f24'"});
}

inline void point_block(Script& script, const std::string& name,
                        const std::vector<double>& points) {
  script.begin_data(name);
  for (std::size_t n = 0; n < std::min(points.size() / 2, max_points); ++n)
    script.row(points[2 * n], points[2 * n + 1]);
  script.end_data();
}

inline void paths_in_plane(Script& script, const Results& results, const Trajectories& paths,
                           const std::string& name) {
  const std::size_t shown = std::min(paths.paths, max_paths), last = paths.times.size() - 1;
  script.begin_data(name);
  for (std::size_t path = 0; path < shown; ++path) {
    for (std::size_t time = 0; time <= last; ++time)
      script.row(position(paths, 2, time, path, 0), position(paths, 2, time, path, 1));
    script.gap();
  }
  script.end_data();
  script.begin_data(name + "e");
  for (std::size_t path = 0; path < shown; ++path)
    script.row(position(paths, 2, last, path, 0), position(paths, 2, last, path, 1));
  script.end_data();
  const std::string colour = variant_colour(results, paths.variant);
  std::string source = "source";
  if (own_source(paths.variant)) {
    source = name + "b";
    script.begin_data(source);
    for (std::size_t path = 0; path < paths.paths; ++path)
      script.row(position(paths, 2, 0, path, 0), position(paths, 2, 0, path, 1));
    script.end_data();
  }
  script.plot({"$" + source + " with points pt 7 ps 0.22 lc rgb " + translucent("#009e73", 0.55),
               "$target with points pt 7 ps 0.22 lc rgb " + translucent("#aa4499", 0.45),
               "$" + name + " with lines lw 0.8 lc rgb " + translucent(colour, 0.5),
               "$" + name + "e with points pt 7 ps 0.3 lc rgb " + literal(colour)});
}

}  // namespace detail

/// The paper's figures 4 and 14; nothing without trajectories.
inline std::optional<FigurePlan> trajectory_figure(const Results& results) {
  std::vector<Trajectories> shown;
  for (const Trajectories& paths : results.trajectories)
    if (paths.paths > 0 && paths.times.size() > 1) shown.push_back(paths);
  if (shown.empty() || results.dimension < 1 || results.dimension > 2) return std::nullopt;

  const bool plane = results.dimension == 2;
  // Four make a square.
  const int columns =
      shown.size() == 4 ? 2 : static_cast<int>(std::min<std::size_t>(3, shown.size()));
  const int rows = (static_cast<int>(shown.size()) + columns - 1) / columns;
  const double pitch = columns < 3 ? 400 : 1000.0 / columns, side = pitch - 100;
  const double height = plane ? side : 250;
  FigurePlan plan;
  plan.name = "trajectories";
  plan.title = "Paths from source to target";
  plan.width = static_cast<int>(std::lround(pitch * columns));
  plan.height = static_cast<int>(std::lround((height + 94) * rows + 28));
  plan.caption =
      plane ? "Each line is one sample on its way from a source point to a target point. The "
              "straight paths between independent pairs cross each other. RFM learns one velocity "
              "per place, so its paths may not cross: they bend away. V-RFM chooses among the "
              "velocities that meet at a place, so its paths may cross and stay straight."
            : "Position against time. Colour says on which side a path ends; grey at the left is "
              "the density of the start, colour at the right the density of the ends, and the "
              "dashed outline that of the target. The straight paths between independent pairs "
              "cross, so the two colours mix. RFM learns one velocity per place: its paths may not "
              "cross, the colours part and the paths bend. V-RFM chooses among the velocities that "
              "meet at a place, so its paths may cross and stay straight.";
  plan.caption +=
      " " + first_seed(results) + steps_of_paths(results, shown.back().times.size() - 1) + ".";

  Script script(plan.width, plan.height);
  const double extent = detail::half_width(results, shown);
  double middle = 0;
  for (const double value : results.target)
    middle += value / static_cast<double>(results.target.size());
  if (plane) {
    detail::point_block(script, "source", results.source);
    detail::point_block(script, "target", results.target);
  }
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const int column = static_cast<int>(i) % columns, row = static_cast<int>(i) / columns;
    script.panel({pitch * column + 90, 36 + (height + 94) * row, side, height},
                 variant_label(results, shown[i].variant, Markup::gnuplot));
    script.y_range(-extent, extent);
    const std::string name = "p" + number(static_cast<double>(i));
    if (plane) {
      script.x_range(-extent, extent);
      script.axes("first coordinate", column == 0 ? "second coordinate" : "");
      script.line("set xtics ", tic_step(2 * extent, 6), "; set ytics ", tic_step(2 * extent, 6));
      detail::paths_in_plane(script, results, shown[i], name);
    } else {
      script.x_range(-0.26, 1.26);
      script.line("set xtics ('0' 0, '0.25' 0.25, '0.5' 0.5, '0.75' 0.75, '1' 1)");
      script.axes("time t", column == 0 ? "position x" : "");
      script.line("set ytics ", tic_step(2 * extent, 8));
      detail::paths_against_time(script, results, shown[i], name, extent, middle);
    }
  }
  script.legend(
      plane ? std::vector<std::string>{"with points pt 7 ps 0.8 lc rgb '#009e73' "
                                       "title 'source samples (t = 0)'",
                                       "with points pt 7 ps 0.8 lc rgb '#aa4499' "
                                       "title 'target samples (t = 1)'",
                                       "with linespoints pt 7 ps 0.5 lw 1.5 lc rgb '#5f6670' "
                                       "title 'path and its end'"}
            : std::vector<std::string>{"with lines lw 1.5 lc rgb '#2e9e5b' title 'ends high'",
                                       "with lines lw 1.5 lc rgb '#762a83' title 'ends low'",
                                       "with lines lw 1.3 dt 2 lc rgb '#1b1f24' "
                                       "title 'density of the target'"});
  plan.script = script.finish();
  return plan;
}

}  // namespace synthetic
