// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The report's key sentences, computed from the numbers: who samples better with the fewest steps,
// and whose paths are straighter with the most.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <examples/common/report/format.hpp>
#include <examples/synthetic/labels.hpp>
#include <examples/synthetic/summary.hpp>

namespace synthetic {

namespace detail {

inline std::string bold(const std::string& text) { return "<strong>" + text + "</strong>"; }

inline std::string with_steps(const Group& group) {
  return "With " + plural(static_cast<std::size_t>(group.steps),
                          solver_label(group.solver, Markup::html) + " step");
}

/// "1.63 nats above".
inline std::string distance(double difference) {
  const std::string size = decimal(std::abs(difference), 2);
  if (size == "0.00") return "level with";
  return size + (size == "1.00" ? " nat " : " nats ") + (difference > 0 ? "above" : "below");
}

inline std::string quality(const Group* baseline, const Group* variational, const Exact& exact) {
  const Group& shown = variational ? *variational : *baseline;
  const double value = shown.of(&Run::parzen_ll).mean;
  const std::string begin =
      with_steps(shown) + (variational ? " V-RFM's" : " RFM's") + " Parzen log-likelihood is ";
  if (!baseline || !variational)
    return begin + decimal(value, 2) + ", " + bold(distance(value - exact.parzen_ll)) +
           " that of exact target samples (" + decimal(exact.parzen_ll, 2) + ").";
  const double other = baseline->of(&Run::parzen_ll).mean;
  return begin + bold(distance(value - other) + " RFM's") + ": " + decimal(value, 2) + " against " +
         decimal(other, 2) + ". Exact target samples reach " + decimal(exact.parzen_ll, 2) + ".";
}

/// How much longer than its displacement a path is.
inline std::string detour(const Group& group) {
  const double percent = 100 * (group.of(&Run::path_ratio).mean - 1);
  if (percent < 0.05) return "less than 0.1&nbsp;%";
  return decimal(percent, percent < 9.95 ? 1 : 0) + "&nbsp;%";
}

inline std::string straightness(const Group* baseline, const Group* variational) {
  const Group& shown = variational ? *variational : *baseline;
  const std::string begin = with_steps(shown) + (variational ? " V-RFM's" : " RFM's") +
                            " median path is " + bold(detour(shown) + " longer") +
                            " than a straight line";
  return begin + (baseline && variational ? ", RFM's " + bold(detour(*baseline)) + "." : ".");
}

/// Which of many methods comes nearest to the target with the fewest steps.
inline std::string nearest(const Results& results, const std::vector<Group>& all, int fewest) {
  const Group* best = nullptr;
  const auto far = [&](const Group& group) {
    return std::abs(group.of(&Run::parzen_ll).mean - results.exact.parzen_ll);
  };
  for (const Group& group : all) {
    if (group.steps == fewest && (best == nullptr || far(group) < far(*best))) best = &group;
  }
  const std::size_t evaluations = static_cast<std::size_t>(std::lround(best->evaluations()));
  return "By Parzen log-likelihood nearest to exact target samples with " +
         plural(evaluations, "evaluation") + " comes " +
         bold(variant_label(results, best->variant, Markup::html)) + ": Parzen log-likelihood " +
         decimal(best->of(&Run::parzen_ll).mean, 2) + ", Wasserstein-1 " +
         decimal(best->of(&Run::wasserstein1).mean) + " (exact " +
         decimal(results.exact.parzen_ll, 2) + ", " + decimal(results.exact.wasserstein1) + ").";
}

}  // namespace detail

/// HTML sentences; none if nothing was sampled with a fixed number of steps.
inline std::vector<std::string> findings(const Results& results) {
  int fewest = 0, most = 0;
  const std::vector<Group> all = groups(results);
  for (const Group& group : all) {
    if (group.steps < 1) continue;
    if (fewest == 0) fewest = group.steps;
    most = group.steps;
  }
  std::vector<std::string> sentences;
  if (results.seeds.size() == 1) sentences.push_back("One seed: another may come out otherwise.");
  const Group* baseline = find_group(all, "rfm", fewest);
  const Group* variational = find_group(all, "vrfm", fewest);
  if (fewest > 0 && (baseline || variational))
    sentences.push_back(detail::quality(baseline, variational, results.exact));
  const std::vector<Variant> compared = variants(results);
  const bool others = std::any_of(compared.begin(), compared.end(), [](const Variant& variant) {
    return variant.model != "rfm" && variant.model != "vrfm";
  });
  if (fewest > 0 && others && compared.size() > 1)
    sentences.push_back(detail::nearest(results, all, fewest));
  baseline = find_group(all, "rfm", most);
  variational = find_group(all, "vrfm", most);
  // One step is a straight line whatever the model has learnt.
  const auto known = [](const Group* group) {
    return !group || std::isfinite(group->of(&Run::path_ratio).mean);
  };
  if (most > 1 && (baseline || variational) && known(baseline) && known(variational))
    sentences.push_back(detail::straightness(baseline, variational));
  return sentences;
}

}  // namespace synthetic
