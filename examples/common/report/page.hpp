// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The frame of a report: one page without outside resources, with figures, settings and the command
// that makes it again.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <examples/common/figures/draw.hpp>
#include <examples/common/markup.hpp>
#include <examples/common/report/style.hpp>
#include <examples/common/setting.hpp>

namespace common {

/// A whole page from its body; `title` is HTML.
inline std::string report_page(const std::string& title, const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
         "<title>" +
         title + "</title>\n<style>" + report_style + "</style></head>\n<body><main>\n<h1>" +
         title + "</h1>\n" + body + "</main></body></html>\n";
}

inline std::string figure_section(const Figures& figures) {
  std::string html = "<h2>Figures</h2>\n";
  for (const std::string& notice : figures.notices)
    html += "<div class=\"notice\">" + escape(notice, Markup::html) + "</div>\n";
  if (!figures.drawn.empty())
    html +=
        "<p class=\"soft\">Each figure is also a PNG file in the folder <code>figures</code>.</p>";
  for (std::size_t n = 0; n < figures.drawn.size(); ++n) {
    const Figure& figure = figures.drawn[n];
    html += "<figure id=\"figure-" + figure.name + "\"><h3>Figure " + std::to_string(n + 1) + ". " +
            escape(figure.title, Markup::html) + "</h3>\n<div class=\"picture\">\n" + figure.svg +
            "\n</div>\n<figcaption>" + figure.caption + "</figcaption></figure>\n";
  }
  return html;
}

inline std::string settings_table(const std::vector<Setting>& settings) {
  std::string html = "<h2>Settings</h2>\n<div class=\"table\"><table><tbody>\n";
  for (const Setting& setting : settings)
    html += "<tr><th class=\"text\">" + escape(setting.name, Markup::html) +
            "</th><td class=\"text long\">" + escape(setting.value, Markup::html) +
            (setting.usual ? " <span class=\"spread\">(default)</span>" : "") + "</td></tr>\n";
  return html + "</tbody></table></div>\n";
}

inline std::string command_section(const std::string& command_line) {
  return "<h2>Run it again</h2>\n<pre><code>" + escape(command_line, Markup::html) +
         "</code></pre>\n";
}

}  // namespace common
