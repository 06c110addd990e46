// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The methods that the programs compare: each is a choice of pairs, of an objective, and of what the flow's networks
// have. One list serves vrfm_synthetic's --model, the recipes of images, the trainings, the figures and the reports.
#pragma once

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <vector>

#include <vrfm/core/check.hpp>

namespace common {

/// Where the pairs (x0, x1) come from.
enum class Pairs { independent, transport, bridge, reflow, learned };

/// What is made least.
enum class Loss { velocity, consistency, mean_flow, so_flow };

struct Method {
  const char* name;    ///< of --model, of files and of metrics.json
  const char* label;   ///< of figures and tables
  const char* colour;  ///< apart from the others under colour blindness, as far as so many can be
  const char* about;   ///< HTML, a sentence that begins with what it does
  Pairs pairs;
  Loss loss;
  bool latent;                 ///< z with a posterior
  bool learned_prior = false;  ///< p(z | x0) in place of N(0, I)

  /// The method whose flow makes the pairs; null: none.
  const char* teacher() const { return pairs != Pairs::reflow ? nullptr : latent ? "vrfm" : "rfm"; }
  /// Whether there is a posterior; else z, if any, comes with the pairs.
  bool posterior() const { return latent && pairs != Pairs::reflow; }

  /// A flow map, which takes a step of any length in one evaluation.
  bool map() const { return loss == Loss::mean_flow || loss == Loss::so_flow; }
};

inline constexpr std::array methods = {
    Method{
        "rfm", "RFM", "#d55e00",
        "learns the mean of all velocities that meet at a place, so its paths must bend and need "
        "many steps to follow (rectified flow matching)",
        Pairs::independent, Loss::velocity, false},
    Method{"vrfm", "V-RFM", "#0072b2",
           "draws a latent once per sample that chooses among those velocities, so its paths can "
           "cross and stay nearly straight, and few steps should do (variational rectified flow "
           "matching)",
           Pairs::independent, Loss::velocity, true},
    Method{"vrfm-prior", "V-RFM, p(z|x0)", "#009e73",
           "is V-RFM whose latent is drawn from a learned distribution given x0",
           Pairs::independent, Loss::velocity, true, true},
    Method{"ot-fm", "OT-FM", "#e69f00",
           "is RFM on pairs of optimal transport inside the batch, whose lines hardly cross",
           Pairs::transport, Loss::velocity, false},
    Method{"vrfm-ot", "V-RFM, OT", "#56b4e9", "is V-RFM on such pairs", Pairs::transport,
           Loss::velocity, true},
    Method{"sb-fm", "SB-FM", "#999933",
           "is RFM on Brownian bridges between pairs of an entropic transport, a Schroedinger "
           "bridge",
           Pairs::bridge, Loss::velocity, false},
    Method{"reflow", "Reflow", "#aa7744",
           "is RFM trained again, on pairs of its own first and last points, which do not cross",
           Pairs::reflow, Loss::velocity, false},
    Method{"vrfm-reflow", "V-RFM, reflow", "#6699cc",
           "is V-RFM trained again on points and latents of its own", Pairs::reflow, Loss::velocity,
           true},
    Method{"variational-coupling", "Variational coupling", "#999999",
           "is RFM whose source points are drawn from a learned distribution given the target's, "
           "which stays near N(0, I), where its samples begin",
           Pairs::learned, Loss::velocity, false},
    Method{"consistency", "Consistency-FM", "#117733",
           "learns velocities that are constant along its own paths, in two segments of time",
           Pairs::independent, Loss::consistency, false},
    Method{"meanflow", "MeanFlow", "#882255",
           "learns the mean velocity from one time to another, so that a step of any length is one "
           "evaluation",
           Pairs::independent, Loss::mean_flow, false},
    Method{"vrfm-meanflow", "V-MeanFlow", "#cc79a7", "is MeanFlow with V-RFM's latent",
           Pairs::independent, Loss::mean_flow, true},
    Method{"soflow", "SoFlow", "#332288",
           "learns such a map without derivatives, from two points of a path that arrive together",
           Pairs::independent, Loss::so_flow, false},
    Method{"vrfm-soflow", "V-SoFlow", "#44aa99", "is SoFlow with V-RFM's latent",
           Pairs::independent, Loss::so_flow, true},
};

/// Null if there is none.
inline const Method* find_method(const std::string& name) {
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [&](const Method& method) { return name == method.name; });
  return found == methods.end() ? nullptr : &*found;
}

inline const Method& method_named(const std::string& name) {
  const Method* const method = find_method(name);
  vrfm::expect(method != nullptr, "there is no method '", name, "'");
  return *method;
}

/// "rfm, vrfm, ..."
inline std::string method_names() {
  std::string names;
  for (const Method& method : methods)
    names += (names.empty() ? "" : ", ") + std::string(method.name);
  return names;
}

/// The methods of a list in which "all" and "both" (rfm and vrfm) may stand for several, each behind its teacher. Throws
/// std::invalid_argument if one is named twice.
inline std::vector<std::string> expand_methods(const std::vector<std::string>& given) {
  std::vector<std::string> names;
  for (const std::string& name : given) {
    if (name == "all") {
      for (const Method& method : methods) names.push_back(method.name);
    } else if (name == "both") {
      names.insert(names.end(), {"rfm", "vrfm"});
    } else {
      names.push_back(name);
    }
  }
  for (auto at = names.begin(); at != names.end(); ++at) {
    vrfm::expect(std::find(std::next(at), names.end(), *at) == names.end(), "--model names ", *at,
                 " twice");
  }
  for (std::size_t k = 0; k < names.size(); ++k) {
    const Method* const method = find_method(names[k]);
    if (method == nullptr || method->teacher() == nullptr) continue;
    const std::string teacher = method->teacher();
    const auto own = names.begin() + static_cast<std::ptrdiff_t>(k);
    if (std::find(names.begin(), own, teacher) != own) continue;
    names.erase(std::remove(names.begin(), names.end(), teacher), names.end());
    names.insert(std::find(names.begin(), names.end(), method->name), teacher);
  }
  return names;
}

}  // namespace common
