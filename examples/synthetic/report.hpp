// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// report.html: one page without outside resources that tells what was run, what came out, and what
// to look for in each picture, for a reader who sees the method for the first time.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <vrfm/io/file.hpp>

#include <examples/common/report/format.hpp>
#include <examples/common/report/page.hpp>
#include <examples/synthetic/figures.hpp>
#include <examples/synthetic/labels.hpp>
#include <examples/synthetic/report/findings.hpp>
#include <examples/synthetic/report/tables.hpp>
#include <examples/synthetic/results.hpp>
#include <examples/synthetic/summary.hpp>

namespace synthetic {

namespace detail {

inline std::string introduction(const Results& results) {
  std::vector<std::string> models;
  for (const Variant& variant : variants(results)) {
    if (models.empty() || models.back() != variant.model) models.push_back(variant.model);
  }
  std::string html = "<p>";
  for (std::size_t k = 0; k < models.size(); ++k) {
    const Method* const method = find_method(models[k]);
    html += k == 0 ? "" : k + 1 == models.size() ? " and " : ", ";
    html += escape(method != nullptr ? method->label : models[k], Markup::html);
  }
  html += models.size() == 1 ? " was" : " were";
  const auto [least, most] = iterations_of(results);
  html += " trained for " +
          (most == unknown_iterations ? std::string("an unknown number of")
           : least == most            ? grouped(most)
                                      : grouped(least) + " to " + grouped(most)) +
          " iterations with " +
          (results.seeds.size() == 1 ? "one seed" : plural(results.seeds.size(), "seed")) +
          " on the " +
          (results.experiment == "1d"   ? "one-dimensional"
           : results.experiment == "2d" ? "two-dimensional"
                                        : escape(results.experiment, Markup::html)) +
          " synthetic data" +
          (results.loaded.empty()
               ? ". The whole run took "
               : "; the weights were loaded from " + escape(results.loaded, Markup::html) +
                     ", and sampling and measuring them took ") +
          duration(results.seconds) + " on " + escape(results.backend, Markup::html) + ".</p>\n";
  html +=
      "<p class=\"soft\">A model carries samples of a simple source (at time t = 0) to samples of "
      "the target (at t = 1).</p>\n<ul class=\"soft\">";
  for (const std::string& model : models) {
    const Method* const method = find_method(model);
    if (method == nullptr) continue;
    html += "<li>" + std::string(method->label) + " " + method->about + ".</li>\n";
  }
  html += "</ul>\n";
  return html;
}

inline const char* glossary() {
  return "<dl>"
         "<dt>True log-likelihood</dt><dd>Mean log-density of generated samples under the known "
         "target. Rewards samples that only sit on the modes, so read it beside the others; best "
         "is "
         "to match exact target samples.</dd>"
         "<dt>Parzen log-likelihood</dt><dd>Mean log-density of fresh target samples under a "
         "kernel "
         "estimate made from the generated ones. Higher is better; missing a mode is "
         "punished.</dd>"
         "<dt>Wasserstein-1</dt><dd>Mean distance that generated samples must be moved to become "
         "target samples (sliced in two dimensions). Lower is better.</dd>"
         "<dt>MMD²</dt><dd>Squared maximum mean discrepancy to fresh target samples under Gaussian "
         "kernels of a quarter, once and four times their median distance; unbiased, so that equal "
         "distributions come to lie about 0. Lower is better.</dd>"
         "<dt>Straightness</dt><dd>Mean squared difference between the velocity along a path and "
         "its displacement. 0 is straight.</dd>"
         "<dt>Path ratio</dt><dd>Median length of a path over the distance between its ends. 1 is "
         "straight.</dd></dl>\n";
}

}  // namespace detail

/// The page as text.
inline std::string report_html(const Results& results, const Figures& figures) {
  const std::string title =
      "Rectified flows on synthetic " +
      (results.experiment == "1d"   ? std::string("1D")
       : results.experiment == "2d" ? std::string("2D")
                                    : escape(results.experiment, Markup::html)) +
      " data";
  std::string html = detail::introduction(results);
  const std::vector<std::string> sentences = findings(results);
  if (!sentences.empty()) {
    html += "<div class=\"result\">";
    for (const std::string& sentence : sentences) html += "<p>" + sentence + "</p>";
    html += "</div>\n";
  }
  html += figure_section(figures);
  html += "<h2>Metrics</h2>\n<p class=\"soft\">";
  html += results.seeds.size() > 1
              ? "Mean ± sample standard deviation over " + plural(results.seeds.size(), "seed")
              : std::string("One seed: how much seeds differ is not known");
  html +=
      "; the best of each step count is bold, for the true log-likelihood the one nearest to "
      "exact target samples.</p>\n" +
      metrics_table(results) + detail::glossary();
  if (!results.train.empty()) html += "<h2>Training</h2>\n" + training_table(results);
  if (!results.settings.empty()) html += settings_table(results.settings);
  if (!results.command_line.empty()) html += command_section(results.command_line);
  return report_page(title, html);
}

/// Replaces `path` in one step. Throws std::runtime_error if it cannot be written.
inline void write_report(const std::filesystem::path& path, const Results& results,
                         const Figures& figures) {
  vrfm::write_file_atomically(path, report_html(results, figures));
}

}  // namespace synthetic
