// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The report's tables as HTML: metrics per step count and variant, trainings, settings.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <examples/common/report/format.hpp>
#include <examples/synthetic/labels.hpp>
#include <examples/synthetic/results.hpp>
#include <examples/synthetic/summary.hpp>

namespace synthetic {

/// Mean, and the standard deviation if there was more than one value.
inline std::string mean_and_deviation(const Spread& value, int digits = 3) {
  std::string text = decimal(value.mean, digits);
  if (value.count > 1 && std::isfinite(value.mean))
    text += " <span class=\"spread\">± " + decimal(value.deviation, digits) + "</span>";
  return text;
}

namespace detail {

inline std::string name_cell(const Results& results, const Variant& variant) {
  return "<td class=\"text\"><span class=\"dot\" style=\"background:" +
         variant_colour(results, variant) + "\"></span>" +
         variant_label(results, variant, Markup::html) + "</td>";
}

/// A metric, and which of two means is better; `target` is the value nearest to which is best. It is shown times
/// `scale`.
struct Column {
  std::string title;
  Metric metric;
  double target;
  double scale = 1;
};

}  // namespace detail

/// One row per variant under each step count; the best mean of a step count is bold.
inline std::string metrics_table(const Results& results) {
  const double infinity = HUGE_VAL;
  const std::vector<detail::Column> columns = {
      {"True log-<br>likelihood", &Run::true_ll, results.exact.true_ll},
      {"Parzen log-<br>likelihood", &Run::parzen_ll, infinity},
      {"Wasserstein-1", &Run::wasserstein1, -infinity},
      {"MMD²<br>(10<sup>−3</sup>)", &Run::squared_mmd, -infinity, 1000},
      {"Straightness", &Run::straightness, -infinity},
      {"Path ratio", &Run::path_ratio, -infinity}};
  const auto badness = [](const detail::Column& column, double value) {
    if (std::isinf(column.target)) return column.target > 0 ? -value : value;
    return std::abs(value - column.target);
  };

  std::string html =
      "<div class=\"table\"><table><thead><tr><th>Steps</th><th>Evalu-<br>ations</th>"
      "<th class=\"text\">Model</th>";
  for (const detail::Column& column : columns) html += "<th>" + column.title + "</th>";
  html += "</tr></thead>\n";

  const std::vector<Group> all = groups(results);
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    while (end < all.size() && all[end].steps == all[begin].steps) ++end;
    html += "<tbody>";
    for (std::size_t i = begin; i < end; ++i) {
      html += "<tr><th>";
      if (i == begin)
        html += all[i].steps > 0 ? std::to_string(all[i].steps)
                                 : solver_label(all[i].solver, Markup::html);
      html += "</th><td>" + decimal(all[i].evaluations(), 0) + "</td>" +
              detail::name_cell(results, all[i].variant);
      for (const detail::Column& column : columns) {
        const Spread value = all[i].of(column.metric, column.scale);
        bool best = end - begin > 1 && std::isfinite(value.mean);
        for (std::size_t j = begin; j < end; ++j) {
          const double other = all[j].of(column.metric, column.scale).mean;
          if (j != i && badness(column, other) <= badness(column, value.mean)) best = false;
        }
        html += (best ? "<td class=\"best\">" : "<td>") + mean_and_deviation(value) + "</td>";
      }
      html += "</tr>";
    }
    html += "</tbody>\n";
  }
  const Exact& exact = results.exact;
  html +=
      "<tbody class=\"exact\"><tr><th></th><td></td><td class=\"text\">Exact target "
      "samples</td><td>" +
      decimal(exact.true_ll) + "</td><td>" + decimal(exact.parzen_ll) + "</td><td>" +
      decimal(exact.wasserstein1) + "</td><td>" + decimal(1000 * exact.squared_mmd) +
      "</td><td></td><td></td></tr></tbody></table></div>\n";
  return html;
}

inline std::string training_table(const Results& results) {
  std::string html =
      "<div class=\"table\"><table><thead><tr><th class=\"text\">Model</th><th>Seed</th>"
      "<th>Iterations</th><th>Final loss</th><th>Final KL "
      "(nats)</th><th>Time of the last start</th><th>Samples per second</th>"
      "</tr></thead><tbody>\n";
  for (const Training& training : results.train)
    html += "<tr>" + detail::name_cell(results, training.variant) + "<td>" +
            std::to_string(training.seed) + "</td><td>" +
            (training.iterations == unknown_iterations ? std::string("n/a")
                                                       : grouped(training.iterations)) +
            "</td><td>" + decimal(training.final_velocity_loss, 4) + "</td><td>" +
            (training.final_kl == 0 ? "–" : decimal(training.final_kl, 4)) + "</td><td>" +
            duration(training.seconds) + "</td><td>" + rough_count(training.samples_per_second) +
            "</td></tr>\n";
  return html + "</tbody></table></div>\n";
}

}  // namespace synthetic
