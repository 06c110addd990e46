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
#include <examples/common/report/format.hpp>
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
  // A method's first variant has its colour; the others of an ablation have those of methods that are not here.
  std::vector<std::string> unused;
  for (const Method& method : methods) {
    if (variant_count(results, method.name) == 0) unused.push_back(method.colour);
  }
  std::size_t more = 0;
  std::vector<std::string> seen;
  for (const Variant& other : variants(results)) {
    const Method* const method = find_method(other.model);
    const bool first = std::find(seen.begin(), seen.end(), other.model) == seen.end();
    seen.push_back(other.model);
    const bool own = first && method != nullptr;
    if (other == variant && own) return method->colour;
    if (other == variant) return unused.empty() ? "#5f6670" : unused[more % unused.size()];
    if (!own) ++more;
  }
  return "#5f6670";
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

/// "20 Euler steps", and that maps take their own.
inline std::string steps_of_paths(const Results& results, std::size_t steps) {
  const std::vector<Variant> all = variants(results);
  const auto is_map = [](const Variant& variant) {
    const Method* const method = find_method(variant.model);
    return method != nullptr && method->map();
  };
  const bool maps = std::any_of(all.begin(), all.end(), is_map);
  if (maps && std::all_of(all.begin(), all.end(), is_map)) {
    return plural(steps, "step") + " of the map";
  }
  return plural(steps, "Euler step") + (maps ? ", those of maps as many of their own" : "");
}

/// What a figure or table over seeds is worth if there is only one.
inline const char* const one_seed = "One seed: how much seeds differ is not known. ";

}  // namespace synthetic
