// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Metrics gathered over seeds: the runs of one variant, solver and step count form a group, and a
// group gives mean, sample standard deviation and range of any metric.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <examples/synthetic/results.hpp>

namespace synthetic {

struct Spread {
  double mean = std::numeric_limits<double>::quiet_NaN();
  double deviation = 0;  ///< sample standard deviation; 0 for fewer than two values
  double lower = std::numeric_limits<double>::quiet_NaN();
  double upper = std::numeric_limits<double>::quiet_NaN();
  std::size_t count = 0;
};

/// NaN for no values, and wherever one of them is NaN.
inline Spread spread(const std::vector<double>& values) {
  Spread result;
  result.count = values.size();
  const auto bad = [](double value) { return std::isnan(value); };
  if (values.empty() || std::any_of(values.begin(), values.end(), bad)) return result;
  double sum = 0;
  for (const double value : values) sum += value;
  result.mean = sum / static_cast<double>(values.size());
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  if (values.size() > 1)
    result.deviation = std::sqrt(squares / static_cast<double>(values.size() - 1));
  result.lower = *std::min_element(values.begin(), values.end());
  result.upper = *std::max_element(values.begin(), values.end());
  return result;
}

/// The runs, one per seed, of one variant sampled in one way.
struct Group {
  Variant variant;
  std::string solver;
  int steps = 0;
  std::vector<Run> runs;

  /// The metric times `scale`, over seeds.
  Spread of(Metric metric, double scale = 1) const {
    std::vector<double> values;
    for (const Run& run : runs) values.push_back(scale * (run.*metric));
    return spread(values);
  }

  double evaluations() const {
    double sum = 0;
    for (const Run& run : runs) sum += static_cast<double>(run.evaluations);
    return sum / static_cast<double>(runs.size());
  }
};

/// Groups in the order of first appearance, then sorted by steps; equal steps keep their order.
inline std::vector<Group> groups(const Results& results) {
  std::vector<Group> found;
  for (const Run& run : results.runs) {
    const auto same = [&](const Group& group) {
      return group.variant == run.variant && group.solver == run.solver && group.steps == run.steps;
    };
    auto group = std::find_if(found.begin(), found.end(), same);
    if (group == found.end())
      group = found.insert(found.end(), Group{run.variant, run.solver, run.steps, {}});
    group->runs.push_back(run);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Group& a, const Group& b) { return a.steps < b.steps; });
  return found;
}

/// The group of `model` with the given steps and the first encoder input that appears, or null.
inline const Group* find_group(const std::vector<Group>& all, const std::string& model, int steps) {
  for (const Group& group : all)
    if (group.variant.model == model && group.steps == steps) return &group;
  return nullptr;
}

/// The fewest and the most iterations of all trainings; unknown_iterations if one is not known.
inline std::pair<std::int64_t, std::int64_t> iterations_of(const Results& results) {
  const auto fewer = [](const Training& a, const Training& b) {
    return a.iterations < b.iterations;
  };
  const auto [least, most] = std::minmax_element(results.train.begin(), results.train.end(), fewer);
  if (least == results.train.end() || least->iterations == unknown_iterations) {
    return {unknown_iterations, unknown_iterations};
  }
  return {least->iterations, most->iterations};
}

/// Every trained variant once, in the order of first appearance.
inline std::vector<Variant> variants(const Results& results) {
  std::vector<Variant> found;
  const auto add = [&](const Variant& variant) {
    if (variant.model != "truth" && std::find(found.begin(), found.end(), variant) == found.end())
      found.push_back(variant);
  };
  for (const Run& run : results.runs) add(run.variant);
  for (const Training& training : results.train) add(training.variant);
  for (const LossCurve& curve : results.loss_curves) add(curve.variant);
  return found;
}

}  // namespace synthetic
