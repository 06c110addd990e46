// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Training curves: the velocity loss of every variant and the KL divergence of those with a latent.
// Raw values of each seed are faint; a moving average over a fiftieth of the run, averaged over
// seeds, is drawn strongly.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <examples/common/figures/curves.hpp>
#include <examples/common/figures/script.hpp>
#include <examples/synthetic/labels.hpp>
#include <examples/synthetic/results.hpp>
#include <examples/synthetic/summary.hpp>

namespace synthetic {

namespace detail {

inline std::vector<CurveFamily> families(const Results& results,
                                         std::vector<double> LossCurve::*values) {
  std::vector<CurveFamily> found;
  for (const Variant& variant : variants(results)) {
    CurveFamily family{
        variant_label(results, variant, Markup::gnuplot), variant_colour(results, variant), {}};
    for (const LossCurve& curve : results.loss_curves) {
      if (curve.variant == variant && !(curve.*values).empty()) {
        family.curves.push_back({curve.iteration, curve.*values});
      }
    }
    found.push_back(std::move(family));
  }
  return found;
}

}  // namespace detail

/// Nothing without loss curves.
inline std::optional<FigurePlan> loss_figure(const Results& results) {
  bool any = false, latent = false;
  for (const LossCurve& curve : results.loss_curves) {
    any = any || !curve.velocity_loss.empty();
    latent = latent || !curve.kl.empty();
  }
  if (!any) return std::nullopt;
  FigurePlan plan;
  plan.name = "losses";
  plan.title = "Training";
  plan.width = latent ? 1000 : 620;
  plan.height = 344 + legend_excess(variants(results).size());
  plan.caption =
      "Faint lines are the seeds, averaged over short stretches of iterations, strong lines their "
      "moving average. "
      "RFM cannot go below the spread of the velocities that meet at one place; V-RFM can, because "
      "its latent says which velocity is meant";
  plan.caption += latent ? ". The right panel is what that knowledge costs, the divergence between "
                           "posterior and prior; at 0 the latent would be ignored."
                         : ".";
  Script script(plan.width, plan.height);
  const double pitch = latent ? 500 : 620;
  const auto compared = variants(results);
  const bool other = std::any_of(compared.begin(), compared.end(), [](const Variant& variant) {
    const Method* const method = find_method(variant.model);
    return method != nullptr && method->loss != Loss::velocity;
  });
  if (other) {
    plan.caption +=
        " Losses of different objectives, such as that of maps and of Consistency-FM, do not "
        "compare.";
  }
  script.panel({84, 40, pitch - 116, 218}, other ? "Loss" : "Velocity loss");
  script.axes("iteration", other ? "loss" : "mean squared velocity error");
  const auto last = static_cast<double>(std::max<std::int64_t>(0, iterations_of(results).second));
  const auto velocity = detail::families(results, &LossCurve::velocity_loss);
  curves_panel(script, velocity, "v", true, last);
  if (latent) {
    script.panel({pitch + 84, 40, pitch - 116, 218},
                 "KL divergence of the posterior from the prior");
    script.axes("iteration", "nats");
    curves_panel(script, detail::families(results, &LossCurve::kl), "k", false, last);
  }
  script.legend(legend_entries(velocity));
  plan.script = script.finish();
  return plan;
}

}  // namespace synthetic
