// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The report's key sentences, computed from the numbers: who samples better with the fewest steps,
// and whose paths are straighter with the most.
#pragma once

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
