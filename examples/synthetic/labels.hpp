// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How variants and solvers are named and coloured, once for the figures (gnuplot's enhanced text)
// and the report (HTML). Colours are Okabe and Ito's, which stay apart under colour blindness.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <examples/common/markup.hpp>
#include <examples/common/methods.hpp>
#include <examples/synthetic/results.hpp>
#include <examples/synthetic/summary.hpp>

namespace synthetic {

/// "x0+x1+x_t" as x_0, x_1, x_t with real subscripts.
inline std::string encoder_label(const std::string& encoder_input, Markup markup) {
  std::string label;
  for (std::size_t begin = 0; begin < encoder_input.size();) {
    const std::size_t end = std::min(encoder_input.find('+', begin), encoder_input.size());
    const std::string token = encoder_input.substr(begin, end - begin);
    begin = end + 1;
    if (!label.empty()) label += ", ";
    if (token == "x0" || token == "x1" || token == "x_t" || token == "xt")
      label += markup == Markup::html ? std::string("x<sub>") + token.back() + "</sub>"
                                      : std::string("x_") + token.back();
    else
      label += escape(token, markup);
  }
  return label;
}

/// How many variants of one model there are: more than one is an ablation of the posterior's inputs.
inline std::ptrdiff_t variant_count(const Results& results, const std::string& model) {
  const std::vector<Variant> all = variants(results);
  return std::count_if(all.begin(), all.end(),
                       [&](const Variant& other) { return other.model == model; });
}

/// Names the encoder input only where several are compared.
inline std::string variant_label(const Results& results, const Variant& variant, Markup markup) {
  if (variant.model == "truth") return "Ground truth";
  const Method* const method = find_method(variant.model);
  const std::string label = escape(method != nullptr ? method->label : variant.model, markup);
  if (variant_count(results, variant.model) < 2) return label;
  return label + " (" + encoder_label(variant.encoder_input, markup) + ")";
}

inline std::string variant_colour(const Results& results, const Variant& variant) {
  if (variant.model == "truth") return "#5f6670";
  const Method* const method = find_method(variant.model);
  if (method != nullptr && variant_count(results, variant.model) < 2) return method->colour;
  static const char* const colours[] = {"#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"};
  std::size_t index = 0;
  for (const Variant& other : variants(results)) {
    if (other == variant) break;
    if (variant_count(results, other.model) > 1) ++index;
  }
  return colours[index % std::size(colours)];
}

inline std::string solver_label(const std::string& solver, Markup markup) {
  if (solver == "euler") return "Euler";
  if (solver == "midpoint") return "midpoint";
  if (solver == "heun") return "Heun";
  if (solver == "rk4") return "RK4";
  if (solver == "dopri5") return "Dormand-Prince";
  if (solver == "flow-map") return "map";
  return escape(solver, markup);
}

/// The beginning of the sentence that says what the paths of a figure are: of one seed, drawn in so many steps.
inline std::string first_seed(const Results& results) {
  return "Models are those of " +
         (results.seeds.empty() ? std::string("one seed")
                                : "the seed " + std::to_string(results.seeds.front())) +
         ", their paths take ";
}

/// What a figure or table over seeds is worth if there is only one.
inline const char* const one_seed = "One seed: how much seeds differ is not known. ";

}  // namespace synthetic
