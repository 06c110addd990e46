// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pictures and the page of an evaluation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <vrfm/io/file.hpp>

#include <examples/common/figures/curves.hpp>
#include <examples/common/figures/draw.hpp>
#include <examples/common/report/format.hpp>
#include <examples/common/report/page.hpp>
#include <examples/common/report/picture.hpp>
#include <examples/table/evaluation.hpp>
#include <examples/table/pictures.hpp>

namespace table {

using namespace common;

inline constexpr const char* held_out_colour = "#5f6670";
inline constexpr const char* drawn_colour = "#0072b2";

namespace detail {

inline std::vector<double> column_of(const std::vector<double>& rows, std::size_t columns,
                                     std::size_t j) {
  std::vector<double> values;
  for (std::size_t i = j; i < rows.size(); i += columns) values.push_back(rows[i]);
  return values;
}

/// What both sets show of a column, but for the outermost thousandth.
struct Range {
  double low, high;
};
inline Range range_of(const Evaluation& e, std::size_t j) {
  const std::size_t columns = e.marginals.size();
  std::vector<double> all = column_of(e.held_out_rows, columns, j);
  const auto drawn = column_of(e.drawn_rows, columns, j);
  Range range{quantile(all, 0.001), quantile(all, 0.999)};
  range.low = std::min(range.low, quantile(drawn, 0.001));
  range.high = std::max(range.high, quantile(drawn, 0.999));
  const double margin = range.high > range.low ? 0.03 * (range.high - range.low) : 0.5;
  return {range.low - margin, range.high + margin};
}

inline void histogram_block(Script& script, const std::string& name,
                            const std::vector<double>& values, const Range& range, int bins) {
  std::vector<double> counts(static_cast<std::size_t>(bins), 0.0);
  const double width = (range.high - range.low) / bins;
  for (const double value : values) {
    const double at = (value - range.low) / width;
    if (at >= 0 && at < bins) counts[static_cast<std::size_t>(at)] += 1;
  }
  script.begin_data(name);
  for (int k = 0; k < bins; ++k) {
    script.row(range.low + (k + 0.5) * width,
               counts[static_cast<std::size_t>(k)] / (width * static_cast<double>(values.size())));
  }
  script.end_data();
}

}  // namespace detail

/// Histograms of the first twelve columns.
inline FigurePlan marginals_figure(const Evaluation& e) {
  const std::size_t columns = e.marginals.size(), shown = std::min<std::size_t>(12, columns);
  const std::size_t across = std::min<std::size_t>(4, shown), down = (shown + across - 1) / across;
  FigurePlan plan;
  plan.name = "marginals";
  plan.title = "Marginals";
  plan.caption =
      "Density of each column" +
      std::string(shown < columns ? ", the first twelve of " + std::to_string(columns) : "") +
      ", in the units of the data.";
  plan.width = across > 2 ? 1000 : 500 * static_cast<int>(across);
  plan.height = 60 + 230 * static_cast<int>(down);
  Script script(plan.width, plan.height);
  const double pitch = plan.width / static_cast<double>(across);
  for (std::size_t j = 0; j < shown; ++j) {
    const double left = pitch * static_cast<double>(j % across),
                 top = 230 * static_cast<double>(j / across);
    script.panel({left + 62, top + 34, pitch - 78, 140},
                 escape(e.marginals[j].name, Markup::gnuplot));
    const auto range = detail::range_of(e, j);
    script.x_range(range.low, range.high);
    script.tics('x', 1.6 * (range.high - range.low));
    script.line("set yrange [0:*]; set ytics autofreq; set format y ''");
    const std::string name = "m" + std::to_string(j);
    constexpr int bins = 48;
    detail::histogram_block(script, name + "h", detail::column_of(e.held_out_rows, columns, j),
                            range, bins);
    detail::histogram_block(script, name + "d", detail::column_of(e.drawn_rows, columns, j), range,
                            bins);
    script.plot({"$" + name + "h using 1:2 with fillsteps fs solid 0.35 noborder lc rgb '" +
                     held_out_colour + "'",
                 "$" + name + "d using 1:2 with histeps lw 1.8 lc rgb '" + drawn_colour + "'"});
  }
  script.legend({std::string("with boxes fs solid 0.35 noborder lc rgb '") + held_out_colour +
                     "' title 'held out'",
                 std::string("with lines lw 1.8 lc rgb '") + drawn_colour + "' title 'drawn'"});
  plan.script = script.finish();
  return plan;
}

/// Points of pairs of the first columns, held-out rows above drawn ones.
inline FigurePlan pairs_figure(const Evaluation& e) {
  const std::size_t columns = e.marginals.size();
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t i = 0; i < columns && pairs.size() < 3; ++i) {
    for (std::size_t j = i + 1; j < columns && pairs.size() < 3; ++j) pairs.push_back({i, j});
  }
  FigurePlan plan;
  plan.name = "pairs";
  plan.title = "Pairs of columns";
  plan.caption = "The same number of held-out rows (above) and of drawn rows (below).";
  const double pitch = 330;
  plan.width = std::max(360, static_cast<int>(pitch * static_cast<double>(pairs.size())));
  plan.height = 620;
  Script script(plan.width, plan.height);
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    const auto [i, j] = pairs[k];
    const auto x = detail::range_of(e, i), y = detail::range_of(e, j);
    for (const bool drawn : {false, true}) {
      const auto& rows = drawn ? e.drawn_rows : e.held_out_rows;
      script.panel({pitch * static_cast<double>(k) + 74, drawn ? 320.0 : 30.0, pitch - 96, 210},
                   drawn ? "drawn" : "held out");
      script.axes(escape(e.marginals[i].name, Markup::gnuplot),
                  escape(e.marginals[j].name, Markup::gnuplot));
      script.x_range(x.low, x.high);
      script.y_range(y.low, y.high);
      script.tics('x', 1.4 * (x.high - x.low));
      script.tics('y', y.high - y.low);
      const std::string name = "p" + std::to_string(k) + (drawn ? "d" : "h");
      script.begin_data(name);
      const std::size_t count = std::min(
          {e.drawn_rows.size() / columns, e.held_out_rows.size() / columns, std::size_t{2000}});
      for (std::size_t n = 0; n < count; ++n)
        script.row(rows[n * columns + i], rows[n * columns + j]);
      script.end_data();
      script.plot({"$" + name + " with points pt 7 ps 0.25 lc rgb " +
                   translucent(drawn ? drawn_colour : held_out_colour, 0.5)});
    }
  }
  plan.script = script.finish();
  return plan;
}

/// Of the first three channels: power per mode, and drawn over held-out power.
inline FigurePlan spectra_figure(const Evaluation& e) {
  const std::size_t shown = std::min<std::size_t>(3, e.spectra.size());
  FigurePlan plan;
  plan.name = "spectra";
  plan.title = "Power spectra";
  plan.caption =
      "Power of a wave, averaged over directions, of standardised fields whose edges count as "
      "periodic, with standard errors; below, that of drawn fields over that of held-out ones.";
  const double pitch = 400;
  plan.width = static_cast<int>(pitch) * static_cast<int>(shown);
  plan.height = 560;
  Script script(plan.width, plan.height);
  for (std::size_t k = 0; k < shown; ++k) {
    const Spectrum& spectrum = e.spectra[k];
    const double left = pitch * static_cast<double>(k) + 84;
    const auto last = static_cast<double>(spectrum.drawn.size());
    const std::string name = "s" + std::to_string(k);
    const auto block = [&](const std::string& suffix, const auto& estimate_of) {
      script.begin_data(name + suffix);
      for (std::size_t s = 0; s < spectrum.drawn.size(); ++s) {
        const vrfm::Estimate estimate = estimate_of(s);
        script.row(static_cast<double>(s + 1), estimate.value, estimate.standard_error);
      }
      script.end_data();
    };
    block("h", [&](std::size_t s) { return spectrum.held_out[s]; });
    block("d", [&](std::size_t s) { return spectrum.drawn[s]; });
    block("r", [&](std::size_t s) {
      const vrfm::Estimate &a = spectrum.drawn[s], &b = spectrum.held_out[s];
      const double ratio = a.value / b.value;
      return vrfm::Estimate{
          ratio, ratio * std::hypot(a.standard_error / a.value, b.standard_error / b.value)};
    });
    const auto begin = [&](double top, double height, const std::string& title, const char* y) {
      script.panel({left, top, pitch - 110, height}, title);
      script.axes("waves along the longest axis", y);
      script.line("set logscale x");
      script.x_range(0.9, 1.1 * last);
    };
    begin(34, 240, escape(e.marginals[k].name, Markup::gnuplot), "power of a wave");
    script.line("set logscale y; set format y '10^{%T}'");
    script.plot({"$" + name + "h using 1:2:3 with yerrorlines pt 7 ps 0.5 lw 1.5 lc rgb '" +
                     held_out_colour + "'",
                 "$" + name + "d using 1:2:3 with yerrorlines pt 6 ps 0.7 lw 1.5 lc rgb '" +
                     drawn_colour + "'"});
    begin(334, 150, "", "drawn over held out");
    script.y_range(0.5, 1.5);
    script.plot({"$" + name + "r using 1:2:3 with yerrorlines pt 6 ps 0.7 lw 1.5 lc rgb '" +
                     drawn_colour + "'",
                 std::string("1 with lines lw 1.5 dt 2 lc rgb '") + held_out_colour + "'"});
  }
  script.legend(
      {std::string("with lines lw 1.8 lc rgb '") + held_out_colour + "' title 'held-out fields'",
       std::string("with lines lw 1.8 lc rgb '") + drawn_colour + "' title 'drawn fields'"});
  plan.script = script.finish();
  return plan;
}

/// Held-out fields above drawn ones, of the first three channels, in files beside the other figures.
inline std::string pictures_section(const std::filesystem::path& folder, const Evaluation& e) {
  std::string html = "<h2>Fields</h2>\n";
  const auto width = static_cast<std::size_t>(e.field.grid.back());
  const std::size_t columns = std::clamp<std::size_t>(768 / width, 4, 8);
  for (std::size_t c = 0; c < std::min<std::size_t>(3, e.marginals.size()); ++c) {
    const auto range = colour_range(e.field, e.held_out_rows, c);
    for (const bool drawn : {false, true}) {
      const std::string which = drawn ? "Drawn" : "Held-out";
      html += show(folder, {.name = (drawn ? "drawn-" : "held-out-") + std::to_string(c),
                            .title = which + " fields, " + e.marginals[c].name,
                            .caption = "Colours from " + decimal(range.low, 3) + " to " +
                                       decimal(range.high, 3) + ".",
                            .image = field_grid(e.field, drawn ? e.drawn_rows : e.held_out_rows, c,
                                                range, 3 * columns, columns)});
    }
  }
  return html;
}

inline FigurePlan ranks_figure(const Calibration& c) {
  FigurePlan plan;
  plan.name = "ranks";
  plan.title = "Ranks of the truth among the members of its ensemble";
  plan.caption =
      "Flat if the ensembles are calibrated; high at both ends if they are too narrow, low there "
      "if too wide.";
  plan.width = 700;
  plan.height = 300;
  Script script(plan.width, plan.height);
  script.panel({84, 30, 590, 200}, "");
  script.axes("rank", "share over the even one");
  double total = 0;
  for (const auto count : c.ranks) total += static_cast<double>(count);
  const double even = total / static_cast<double>(c.ranks.size());
  script.begin_data("r");
  double most = 1.2;
  for (std::size_t k = 0; k < c.ranks.size(); ++k) {
    const double share = static_cast<double>(c.ranks[k]) / even;
    most = std::max(most, 1.05 * share);
    script.row(static_cast<double>(k), share);
  }
  script.end_data();
  script.x_range(-0.6, static_cast<double>(c.ranks.size()) - 0.4);
  script.y_range(0, most);
  script.plot({std::string("$r with boxes fs solid 0.7 noborder lc rgb '") + drawn_colour + "'",
               std::string("1 with lines lw 1.5 dt 2 lc rgb '") + held_out_colour + "'"});
  plan.script = script.finish();
  return plan;
}

inline std::string with_error(const vrfm::Estimate& estimate, int digits = 3) {
  return decimal(estimate.value, digits) + " ± " + decimal(estimate.standard_error, digits);
}

inline std::string result_section(const Evaluation& e) {
  std::string html =
      std::string("<div class=\"result\"><p>A classifier tells drawn ") +
      (e.field.is_field() ? "fields" : "rows") + " from held-out ones in <strong>" +
      decimal(100 * e.classifier_accuracy, 1) + " ± " + decimal(100 * e.classifier_error, 1) +
      " %</strong> of the cases; 50 % is chance. The energy distance of standardised " +
      (e.field.is_field() ? "features (of each channel the mean, and ln of the power in bands of "
                            "waves, which the classifier sees, too)"
                          : "columns") +
      " is <strong>" + decimal(e.energy_distance, 4) +
      "</strong>; that of as many rows of the training, by chance, is " +
      decimal(e.energy_chance, 4) + ".</p>";
  for (const Spectrum& spectrum : e.spectra) {
    html += "<p>Power of drawn over held-out fields, " +
            escape(e.marginals[static_cast<std::size_t>(spectrum.channel)].name, Markup::html) +
            ":";
    for (std::size_t k = 0; k < spectrum.bands.size(); ++k) {
      html += (k == 0 ? " " : "; ") + spectrum.bands[k].name + " waves <strong>" +
              with_error(spectrum.bands[k].ratio) + "</strong>";
    }
    html += ".</p>";
  }
  if (e.calibration) {
    const Calibration& c = *e.calibration;
    html +=
        "<p>Given the condition, the truth is inside the central 50 % of " +
        std::to_string(c.members) + " members in <strong>" + decimal(100 * c.inside_50.value, 1) +
        " ± " + decimal(100 * c.inside_50.standard_error, 1) +
        " %</strong> of the cases, and inside 90 % in <strong>" +
        decimal(100 * c.inside_90.value, 1) + " ± " + decimal(100 * c.inside_90.standard_error, 1) +
        " %</strong>. Spread over error is " + with_error(c.ratio) + " (1 is right), CRPS " +
        with_error(c.crps, 4) + ", energy score " + with_error(c.energy_score, 4) +
        (e.field.is_field() ? ", of each field's mean and some of its points, standardised, over "
                            : ", of standardised columns, over ") +
        grouped(static_cast<long long>(c.cases)) + " cases.</p>";
  }
  if (e.latent) {
    html += "<p>z: " + escape(e.latent->words, Markup::html) + ". Nats of each dimension:";
    for (std::size_t j = 0; j < e.latent->kl.size(); ++j) {
      html += (j == 0 ? " " : ", ") + decimal(e.latent->kl[j], 2);
    }
    html += ".</p>";
  }
  return html + "</div>\n";
}

inline std::string marginals_table(const Evaluation& e) {
  std::string html =
      "<h2>Columns</h2>\n<div class=\"table\"><table><thead><tr><th "
      "class=\"text\">Column</th><th>Mean, held "
      "out</th><th>drawn</th><th>Deviation, held out</th><th>drawn</th><th>Wasserstein-1 over "
      "deviation</th><th>of training rows</th></tr></thead><tbody>\n";
  for (const Marginal& m : e.marginals) {
    html += "<tr><th class=\"text\">" + escape(m.name, Markup::html) + "</th><td>" +
            number(m.mean_held_out) + "</td><td>" + number(m.mean_drawn) + "</td><td>" +
            number(m.deviation_held_out) + "</td><td>" + number(m.deviation_drawn) + "</td><td>" +
            decimal(m.distance, 4) + "</td><td>" + decimal(m.chance, 4) + "</td></tr>\n";
  }
  html += "</tbody></table></div>\n";
  if (!e.correlated.empty()) {
    html += "<p>The largest difference of correlations is " + with_error(e.correlation) + ", of " +
            escape(e.correlated, Markup::html) + ".</p>\n";
  }
  return html;
}

inline void write_report(const std::filesystem::path& output, const Evaluation& e) {
  std::vector<FigurePlan> plans{marginals_figure(e)};
  if (!e.spectra.empty()) plans.push_back(spectra_figure(e));
  if (e.marginals.size() > 1) plans.push_back(pairs_figure(e));
  if (e.calibration) plans.push_back(ranks_figure(*e.calibration));
  const auto figures = draw_plans(plans, output / "figures");
  for (const auto& notice : figures.notices) std::fprintf(stderr, "notice: %s\n", notice.c_str());
  const bool is_field = e.field.is_field();
  const std::string rows = is_field ? " fields" : " rows";
  const std::string body =
      "<p>" + grouped(static_cast<long long>(e.drawn)) + rows + " drawn by the model " +
      escape(e.run, Markup::html) + " beside " + grouped(static_cast<long long>(e.held_out)) +
      rows + " of " + escape(e.data, Markup::html) + " that it was not trained on.</p>\n" +
      result_section(e) + (is_field ? pictures_section(output / "figures", e) : std::string()) +
      figure_section(figures) + marginals_table(e) + settings_table(e.settings) +
      command_section(e.command_line);
  vrfm::write_file_atomically(output / "report.html",
                              report_page("Drawn" + rows + " beside held-out" + rows, body));
}

}  // namespace table
