// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Builds one gnuplot script that carries its own data: number formatting, quoting, named data
// blocks, and panels placed in pixels so that every figure shares one look.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace common {

/// A figure before it is drawn: the script draws in a canvas of width x height units. It reads two
/// gnuplot variables that make up for what terminals do differently: `lift`, how far to move text
/// below an axis up (in character heights), and `disc`, the point size of a disc around a digit.
struct FigurePlan {
  std::string name;  ///< file stem, [a-z-]
  std::string title;
  std::string caption;  ///< HTML
  int width = 0;
  int height = 0;
  std::string script;
};

/// A plot area in canvas units, y downward as in SVG.
struct Box {
  double left = 0, top = 0, width = 0, height = 0;
};

/// `text` as a gnuplot string literal.
inline std::string literal(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < ' ') continue;
    result += c;
    if (c == '\'') result += c;
  }
  return result + "'";
}

/// Six significant digits, independent of the locale; "NaN" for anything not finite.
inline std::string number(double value) {
  if (!std::isfinite(value)) return "NaN";
  char buffer[32];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, 6).ptr;
  return std::string(buffer, end);
}

constexpr int legend_columns = 3;

/// What a legend needs beyond its first line, in canvas units.
inline int legend_excess(std::size_t entries, int columns = legend_columns) {
  return entries == 0 ? 0 : 20 * ((static_cast<int>(entries) - 1) / columns);
}

/// The smallest of 1, 2, 2.5, 5 times a power of ten that divides `span` into at most `most` parts.
inline double tic_step(double span, int most) {
  if (!(span > 0) || !std::isfinite(span)) return 1;
  const double power = std::pow(10, std::floor(std::log10(span / most)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0})
    if (factor * power * most >= span) return factor * power;
  return 10 * power;
}

class Script {
 public:
  Script(int width, int height) : width_(width), height_(height) {
    line("set encoding utf8");
    line("set minussign");
    line("set border 3 lc rgb '#5f6670' lw 1");
    line("set tics nomirror out scale 0.6 textcolor rgb '#3b414a'");
    line("set xtics offset 0,0.4*lift");
    line("set grid lc rgb '#e4e7eb' lt 1 lw 1");
    line("set key noautotitle");
    line("set style line 1 lc rgb '#5f6670' lw 1.5 dt 2");
    line("set multiplot");
  }

  /// One line made of texts and numbers.
  template <class... Parts>
  void line(const Parts&... parts) {
    (append(parts), ...);
    text_ += '\n';
  }

  /// Begins the data block `$name`; rows follow, a blank row separates curves, end_data() ends it.
  void begin_data(std::string_view name) { line("$", name, " << END_OF_DATA"); }
  void end_data() { line("END_OF_DATA"); }
  template <class... Numbers>
  void row(const Numbers&... numbers) {
    ((append(numbers), text_ += ' '), ...);
    text_.back() = '\n';
  }
  void gap() { text_ += '\n'; }

  /// The next plot fills `box`; ranges, labels and tics of the last panel are forgotten.
  void panel(const Box& box, std::string_view title) {
    line("unset label; unset object; unset arrow; unset logscale; unset colorbox");
    line("set autoscale; set format '%h'; set xtics auto; set ytics auto");
    line("set lmargin at screen ", box.left / width_);
    line("set rmargin at screen ", (box.left + box.width) / width_);
    line("set tmargin at screen ", 1 - box.top / height_);
    line("set bmargin at screen ", 1 - (box.top + box.height) / height_);
    line("set title ", literal(title), " offset 0,-0.3 textcolor rgb '#1b1f24'");
  }

  void axes(std::string_view x, std::string_view y) {
    line("set xlabel ", literal(x), " offset 0,lift textcolor rgb '#3b414a'");
    line("set ylabel ", literal(y), " textcolor rgb '#3b414a'");
  }

  void x_range(double lower, double upper) { line("set xrange [", lower, ":", upper, "]"); }
  void y_range(double lower, double upper) { line("set yrange [", lower, ":", upper, "]"); }

  /// At most five or so numbers along an axis ('x' or 'y') that shows `span`.
  void tics(char axis, double span) {
    line("set ", std::string(1, axis), "tics ", tic_step(span, 5));
  }

  /// Plots the layers in order, later ones above.
  void plot(const std::vector<std::string>& layers) {
    std::string joined;
    for (const std::string& layer : layers) joined += (joined.empty() ? "" : ", ") + layer;
    line("plot ", joined);
  }

  /// One legend along the figure's lower edge; no panel can follow. Entries are
  /// "STYLE title 'TEXT'".
  void legend(const std::vector<std::string>& entries, int columns = legend_columns) {
    panel({0, 0, width_, height_}, "");
    line("unset border; unset tics; unset grid; unset title; unset xlabel; unset ylabel");
    line("set xrange [0:1]; set yrange [0:1]");
    line("set key at screen 0.5, screen ", 6 / height_,
         " center bottom horizontal Left reverse samplen 3 spacing 1.15 maxcols ", columns);
    std::vector<std::string> layers;
    for (const std::string& entry : entries) layers.push_back("NaN " + entry);
    plot(layers);
  }

  std::string finish() {
    line("unset multiplot");
    return text_;
  }

 private:
  template <class Part>
  void append(const Part& part) {
    if constexpr (std::is_arithmetic_v<Part>)
      text_ += number(static_cast<double>(part));
    else
      text_ += part;
  }

  double width_, height_;
  std::string text_;
};

/// '#d55e00' with an opacity in [0, 1], as gnuplot's '#AARRGGBB' where AA is transparency.
inline std::string translucent(const std::string& colour, double opacity) {
  const int alpha = static_cast<int>(std::lround(255 * (1 - opacity)));
  const char digits[] = "0123456789abcdef";
  return std::string("'#") + digits[alpha / 16] + digits[alpha % 16] + colour.substr(1) + "'";
}

}  // namespace common
