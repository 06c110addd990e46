// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The picture of judged forecasts: scores over evaluations, ranks of the truth, and forecasts of three cases.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <examples/science/results.hpp>

namespace science {

/// Of columns over the truth's deviations.
struct ForecastScore {
  vrfm::Estimate crps, energy, ratio;  ///< ratio: spread over error
  vrfm::Estimate inside_50, inside_90;
  std::vector<std::int64_t> ranks;
};

struct Forecasts {
  HostTable seen, truth, exact;  ///< row m N + i of `exact` and `drawn` is member m of case i of N
  ForecastScore exact_score;
  std::vector<DrawnFile> files;
  std::vector<HostTable> drawn;
  std::vector<ForecastScore> scores;
};

namespace detail {

/// x of the members of a case.
inline std::vector<double> members_of(const HostTable& forecasts, std::size_t cases,
                                      std::size_t i) {
  std::vector<double> values;
  for (std::size_t row = i; row < forecasts.rows; row += cases) values.push_back(forecasts(row, 0));
  return values;
}

/// The cases whose exact forecasts of x have the largest, the median and a small spread.
inline std::vector<std::size_t> shown_cases(const Forecasts& f) {
  const std::size_t cases = f.truth.rows;
  std::vector<std::pair<double, std::size_t>> by_spread;
  for (std::size_t i = 0; i < cases; ++i) {
    by_spread.push_back({moments(members_of(f.exact, cases, i)).deviation, i});
  }
  std::sort(by_spread.begin(), by_spread.end());
  return {by_spread[cases - 1].second, by_spread[cases / 2].second, by_spread[cases / 10].second};
}

/// Ranks in a tenth of their range each, over what is even.
inline void ranks_block(Script& script, const std::string& name,
                        const std::vector<std::int64_t>& ranks) {
  constexpr std::size_t parts = 10;
  std::vector<double> counts(parts);
  double total = 0;
  // A rank that lies across two parts counts in both.
  const double width = static_cast<double>(parts) / static_cast<double>(ranks.size());
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const double begin = width * static_cast<double>(r);
    for (std::size_t k = 0; k < parts; ++k) {
      const auto at = static_cast<double>(k);
      const double inside = std::min(begin + width, at + 1) - std::max(begin, at);
      counts[k] += static_cast<double>(ranks[r]) * std::max(inside, 0.0) / width;
    }
    total += static_cast<double>(ranks[r]);
  }
  script.begin_data(name);
  for (std::size_t k = 0; k < parts; ++k) {
    script.row((static_cast<double>(k) + 0.5) / parts, counts[k] * parts / total);
  }
  script.end_data();
}

/// A density by a Gauss kernel of width 1.
inline void density_block(Script& script, const std::string& name,
                          const std::vector<double>& values) {
  script.begin_data(name);
  for (double at = -24; at <= 24; at += 0.25) {
    double sum = 0;
    for (const double value : values) sum += std::exp(-(at - value) * (at - value) / 2);
    script.row(at, sum / (2.5066 * static_cast<double>(values.size())));
  }
  script.end_data();
}

}  // namespace detail

inline FigurePlan forecast_figure(const Forecasts& f) {
  FigurePlan plan;
  plan.name = "lorenz";
  plan.title = "Forecasts of Lorenz' system";
  plan.width = 1000;
  plan.height = 576;
  Script script(plan.width, plan.height);
  const auto of = [&](const char* name, const char* title, const char* axis, double reference,
                      auto value) {
    EvaluationCurves curves{name, title, axis, {}, reference};
    for (const ForecastScore& score : f.scores) curves.values.push_back(value(score));
    return curves;
  };
  const std::vector<EvaluationCurves> panels{
      of("c", "CRPS", "in deviations of the truth", f.exact_score.crps.value,
         [](const auto& s) { return s.crps.value; }),
      of("h", "Truth inside 50 % of the forecast", "%", 50,
         [](const auto& s) { return 100 * s.inside_50.value; })};
  for (std::size_t k = 0; k < panels.size(); ++k) {
    script.panel({74 + 330 * static_cast<double>(k), 34, 240, 180}, panels[k].title);
    evaluations_panel(script, f.files, panels[k]);
  }
  // Two evaluations beside the exact forecast.
  script.panel({734, 34, 240, 180}, "Ranks of the truth, 2 evaluations");
  script.axes("share of the members below", "over the even share");
  detail::ranks_block(script, "r", f.exact_score.ranks);
  std::vector<std::string> steps{std::string("$r with boxes fs solid 0.25 noborder lc rgb '") +
                                 truth_colour + "'"};
  for (std::size_t d = 0; d < f.files.size(); ++d) {
    if (f.files[d].evaluations != 2) continue;
    const std::string name = "r" + std::to_string(d);
    detail::ranks_block(script, name, f.scores[d].ranks);
    steps.push_back("$" + name + " with histeps lw 2 lc rgb " +
                    common::literal(colour_of(f.files[d].method)));
  }
  script.x_range(0, 1);
  script.line("set yrange [0:*]; set ytics 1");
  script.plot(steps);
  const auto cases = detail::shown_cases(f);
  for (std::size_t k = 0; k < cases.size(); ++k) {
    script.panel({74 + 330 * static_cast<double>(k), 310, 240, 180},
                 std::vector<const char*>{"The case that is most open", "One of median spread",
                                          "One of small spread"}[k]);
    script.axes("x to come, at 2 evaluations", k == 0 ? "density" : "");
    script.x_range(-22, 22);
    script.line("set yrange [0:*]; set format y ''; set xtics 10");
    const std::string exact = "e" + std::to_string(k);
    detail::density_block(script, exact, detail::members_of(f.exact, f.truth.rows, cases[k]));
    std::vector<std::string> layers{"$" + exact +
                                    " with filledcurves y1=0 fs solid 0.25 noborder lc rgb " +
                                    common::literal(truth_colour)};
    for (std::size_t d = 0; d < f.files.size(); ++d) {
      if (f.files[d].evaluations != 2) continue;
      const std::string name = "d" + std::to_string(k) + "x" + std::to_string(d);
      detail::density_block(script, name, detail::members_of(f.drawn[d], f.truth.rows, cases[k]));
      layers.push_back("$" + name + " with lines lw 2 lc rgb " +
                       common::literal(colour_of(f.files[d].method)));
    }
    script.plot(layers);
  }
  std::vector<std::string> entries{std::string("with boxes fs solid 0.25 noborder lc rgb '") +
                                   truth_colour + "' title 'exact forecast'"};
  for (std::size_t d = 0; d < f.files.size(); ++d) {
    if (d > 0 && f.files[d].method == f.files[d - 1].method) continue;
    entries.push_back("with lines lw 2 lc rgb " + common::literal(colour_of(f.files[d].method)) +
                      " title " + common::literal(label_of(f.files[d].method)));
  }
  script.legend(entries);
  plan.script = script.finish();
  return plan;
}

}  // namespace science
