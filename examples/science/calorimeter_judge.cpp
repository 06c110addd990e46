// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>

#include <vrfm/metrics/classifier_two_sample.hpp>
#include <vrfm/metrics/histogram_separation.hpp>

#include <examples/science/calorimeter.hpp>
#include <examples/science/results.hpp>
#include <examples/science/shower_features.hpp>
#include <examples/science/shower_figure.hpp>

namespace science {
namespace {

/// Of the columns of shower_features.
struct ShowerScore {
  std::vector<double> separations;  ///< of each layer
  double noise = 0;                 ///< its deviation over the truth's
  double layers = 0, response = 0, centre = 0;
  vrfm::ClassifierTwoSample classifier;
};

/// `count` bins between the extremes of both tables.
std::vector<double> edges_of(const HostTable& a, const HostTable& b, std::size_t j, int count) {
  double low = a(0, j), high = low;
  for (const HostTable* table : {&a, &b}) {
    for (std::size_t i = 0; i < table->rows; ++i) {
      low = std::min(low, (*table)(i, j));
      high = std::max(high, (*table)(i, j));
    }
  }
  // A column that is empty in all showers has one bin.
  if (!(high > low)) return {low - 1, low + 1};
  std::vector<double> edges;
  for (int k = 0; k <= count; ++k) edges.push_back(low + (high - low) * k / count);
  edges.back() = high;
  return edges;
}

/// Columns over the truth's deviations; and the logarithm of the energy, the other columns' condition.
HostTable scaled(const HostTable& features, const HostTable& truth, const HostTable& energies) {
  HostTable rows(features.name, features.rows, features.columns + 1);
  for (std::size_t j = 0; j < features.columns; ++j) {
    const Moments m = moments(column(truth, j));
    const double unit = m.deviation > 0 ? m.deviation : 1;
    for (std::size_t i = 0; i < rows.rows; ++i) rows(i, j) = (features(i, j) - m.mean) / unit;
  }
  for (std::size_t i = 0; i < rows.rows; ++i) {
    rows(i, features.columns) = std::log(energies(i, 0));
  }
  return rows;
}

/// The response in units of its resolution at the energy: showers of all energies in one histogram.
HostTable pulls(const HostTable& features, const HostTable& energies) {
  HostTable pulls(features.name, features.rows, 1);
  for (std::size_t i = 0; i < features.rows; ++i) {
    const double resolution = std::sqrt(Calorimeter::quantum / energies(i, 0));
    pulls(i, 0) = std::clamp((features(i, response_at) - 1) / resolution, -10.0, 10.0);
  }
  return pulls;
}

ShowerScore judge(const Exec& exec, const HostTable& drawn, const HostTable& truth,
                  const HostTable& drawn_energies, const HostTable& energies) {
  constexpr int bins = 25;
  const auto separation = [&](const HostTable& a, const HostTable& b, std::size_t j) {
    return vrfm::histogram_separation(exec, on_device(exec, a), on_device(exec, b),
                                      edges_of(a, b, j, bins), static_cast<int>(j))
        .separation.value;
  };
  ShowerScore score;
  for (std::size_t j = layers_at; j < truth.columns; ++j) {
    score.separations.push_back(separation(drawn, truth, j));
    score.layers += score.separations.back() / static_cast<double>(truth.columns - layers_at);
  }
  score.centre = separation(drawn, truth, centre_at);
  score.response = separation(pulls(drawn, drawn_energies), pulls(truth, energies), 0);
  score.noise =
      moments(column(drawn, noise_at)).deviation / moments(column(truth, noise_at)).deviation;
  score.classifier =
      vrfm::classifier_two_sample(exec, on_device(exec, scaled(drawn, truth, drawn_energies)),
                                  on_device(exec, scaled(truth, truth, energies)));
  return score;
}

}  // namespace

void judge_showers(const ShowerJudgeOptions& o) {
  const Exec exec;
  const std::vector<DrawnFile> files = drawn_files(o.showers);
  const Showers truth = read_showers(o.truth), other = read_showers(o.other);
  const HostTable features = shower_features(truth);
  ShowerResults results{truth, {}, files, {}, {}, {}, {}};
  std::vector<ShowerScore> scores;
  const auto add = [&](const Showers& showers) {
    vrfm::expect(showers.layers.columns == truth.layers.columns, showers.layers.name,
                 ": expected the ", truth.layers.columns, " layers of ", truth.layers.name,
                 ", found ", showers.layers.columns);
    scores.push_back(
        judge(exec, shower_features(showers), features, showers.energies, truth.energies));
    results.separations.push_back(scores.back().separations);
  };
  common::OutputFolder output(o.output);
  if (!o.overwrite) output.refuse_results({"table.md"}, overwrite_advice);

  for (const DrawnFile& file : files) {
    results.drawn.push_back(read_showers(file.path));
    add(results.drawn.back());
  }
  add(other);

  MarkdownTable table({"model", "evaluations", "layers", "worst layer", "response", "centre",
                       "noise of a layer", "classifier, %"});
  for (std::size_t k = 0; k < scores.size(); ++k) {
    const ShowerScore& s = scores[k];
    const bool drawn = k < files.size();
    table.add({drawn ? label_of(files[k].method) : "other showers of the truth",
               drawn ? std::to_string(files[k].evaluations) : "", decimal(s.layers, 4),
               decimal(*std::max_element(s.separations.begin(), s.separations.end()), 4),
               decimal(s.response, 4), decimal(s.centre, 4), decimal(s.noise, 3),
               percent({s.classifier.accuracy, s.classifier.standard_error})});
  }
  std::string words;
  if (!o.codes.empty()) {
    const HostTable codes = read_table(o.codes, "mean"),
                    starts = read_table(o.truth, "start_depths");
    expect_rows(codes, starts);
    HostTable both("z", codes.rows, codes.columns + 1);
    for (std::size_t i = 0; i < codes.rows; ++i) {
      for (std::size_t j = 0; j < codes.columns; ++j) both(i, j) = codes(i, j);
      both(i, codes.columns) = starts(i, 0);
    }
    const Telling told = told_of_last(exec, both);
    results.starts = column(starts, 0);
    results.z = column(codes, told.column);
    results.z_name = "z_" + std::to_string(told.column);
    words = "Of the start depth z tells R^2 = " + decimal(told.r_squared, 3) +
            " by a linear fit; the rank correlation with z" + std::to_string(told.column) +
            " alone is " + decimal(told.rank_correlation, 3) + ".\n";
  }
  finish(output, table.text() + (words.empty() ? "" : "\n" + words), {shower_figure(results)});
}

}  // namespace science
