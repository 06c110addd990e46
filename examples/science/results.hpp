// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the judges share: moments, tables of a row a model (table.md, and on the screen), and panels of a curve a method
// over its evaluations.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <vrfm/io/file.hpp>
#include <vrfm/metrics/estimate.hpp>

#include <examples/common/figures/draw.hpp>
#include <examples/common/methods.hpp>
#include <examples/common/output_folder.hpp>
#include <examples/common/report/format.hpp>
#include <examples/science/files.hpp>

namespace science {

using common::decimal;
using common::FigurePlan;
using common::Script;

inline constexpr const char* truth_colour = "#3b414a";

/// Of methods that the other programs know, their names and colours.
inline std::string label_of(const std::string& method) {
  const common::Method* const known = common::find_method(method);
  return known == nullptr ? method : known->label;
}
inline std::string colour_of(const std::string& method) {
  const common::Method* const known = common::find_method(method);
  return known == nullptr ? "#009e73" : known->colour;
}

struct Moments {
  double mean = 0, deviation = 0;
};
inline Moments moments(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  Moments m;
  for (const double value : values) m.mean += value / n;
  for (const double value : values) m.deviation += (value - m.mean) * (value - m.mean) / n;
  m.deviation = std::sqrt(m.deviation);
  return m;
}

inline std::vector<double> column(const HostTable& table, std::size_t j) {
  std::vector<double> values(table.rows);
  for (std::size_t i = 0; i < table.rows; ++i) values[i] = table(i, j);
  return values;
}

inline std::string with_error(const vrfm::Estimate& e, int digits) {
  return decimal(e.value, digits) + " ± " + decimal(e.standard_error, digits);
}
inline std::string percent(const vrfm::Estimate& e) {
  return with_error({100 * e.value, 100 * e.standard_error}, 1);
}

/// A table for documents.
class MarkdownTable {
 public:
  explicit MarkdownTable(const std::vector<std::string>& head) {
    add(head);
    add(std::vector<std::string>(head.size(), "---"));
  }
  void add(const std::vector<std::string>& cells) {
    for (const std::string& cell : cells) text_ += "| " + cell + " ";
    text_ += "|\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// A value of each drawn file, a curve a method over its evaluations, and what the truth has.
struct EvaluationCurves {
  std::string name, title, axis;
  std::vector<double> values;
  double reference = 0;
  bool logarithmic = false;
};

/// Draws it in a panel that has begun.
inline void evaluations_panel(Script& script, const std::vector<DrawnFile>& files,
                              const EvaluationCurves& curves) {
  script.axes("evaluations of the network", curves.axis);
  double lower = curves.reference, upper = curves.reference, most = 1;
  std::string tics;
  std::vector<std::string> layers{common::number(curves.reference) + " with lines ls 1"};
  std::vector<int> seen;
  for (std::size_t k = 0; k < files.size(); ++k) {
    const bool first = k == 0 || files[k].method != files[k - 1].method;
    const std::string block = curves.name + std::to_string(layers.size() - (first ? 0 : 1));
    if (first) {
      script.begin_data(block);
      layers.push_back("$" + block + " with linespoints pt 7 ps 0.7 lw 2 lc rgb " +
                       common::literal(colour_of(files[k].method)));
    }
    script.row(files[k].evaluations, curves.values[k]);
    if (k + 1 == files.size() || files[k + 1].method != files[k].method) script.end_data();
    lower = std::min(lower, curves.values[k]);
    upper = std::max(upper, curves.values[k]);
    most = std::max(most, 1.0 * files[k].evaluations);
    if (std::find(seen.begin(), seen.end(), files[k].evaluations) != seen.end()) continue;
    seen.push_back(files[k].evaluations);
    tics += (tics.empty() ? "" : ",") + std::to_string(files[k].evaluations);
  }
  script.line("set logscale x; set xtics (", tics, ")");
  script.x_range(0.9, 1.12 * most);
  if (curves.logarithmic) {
    script.line("set logscale y; set format y '10^{%T}'");
    script.y_range(lower / 1.4, upper * 1.4);
  } else {
    const double air = 0.06 * (upper - lower);
    script.y_range(lower - air, upper + air);
    script.tics('y', upper - lower);
  }
  script.plot(layers);
}

inline constexpr const char* overwrite_advice =
    "--overwrite replaces them, or choose another folder";

/// Prints the text, a table, and writes it and the figures.
inline void finish(const common::OutputFolder& output, const std::string& text,
                   const std::vector<FigurePlan>& plans) {
  vrfm::write_file_atomically(output / "table.md", text);
  std::printf("%s", text.c_str());
  const auto figures = common::draw_plans(plans, output.path());
  for (const auto& notice : figures.notices) std::fprintf(stderr, "notice: %s\n", notice.c_str());
  std::printf("%s\n", std::filesystem::absolute(output.path()).c_str());
}

}  // namespace science
