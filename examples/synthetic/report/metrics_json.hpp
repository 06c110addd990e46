// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// metrics.json: the numbers of a run for other programs. Doubles are written with as many digits
// as it takes to read the same bits back; a value that is not finite becomes null. Those of earlier runs are read
// beside one's own: methods and seeds that other machines have trained.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>
#include <vrfm/io/file.hpp>

#include <examples/common/methods.hpp>
#include <examples/synthetic/labels.hpp>
#include <examples/synthetic/results.hpp>
#include <examples/synthetic/summary.hpp>

namespace synthetic {

/// The document as text, keys in the order given here.
inline std::string metrics_json(const Results& results) {
  using Json = nlohmann::ordered_json;
  const auto number_or_null = [](std::int64_t steps) {
    return steps == unknown_iterations ? Json() : Json(steps);
  };
  Json runs = Json::array(), train = Json::array();
  for (const Run& run : results.runs)
    runs.push_back({{"model", run.variant.model},
                    {"encoder_input", run.variant.encoder_input},
                    {"seed", run.seed},
                    {"solver", run.solver},
                    {"steps", run.steps},
                    {"evaluations", run.evaluations},
                    {"true_ll", run.true_ll},
                    {"parzen_ll", run.parzen_ll},
                    {"wasserstein1", run.wasserstein1},
                    {"squared_mmd", run.squared_mmd},
                    {"straightness", run.straightness},
                    {"path_ratio", run.path_ratio}});
  for (const Training& training : results.train)
    train.push_back({{"model", training.variant.model},
                     {"encoder_input", training.variant.encoder_input},
                     {"seed", training.seed},
                     {"iterations", number_or_null(training.iterations)},
                     {"final_velocity_loss", training.final_velocity_loss},
                     {"final_kl", training.final_kl},
                     {"seconds", training.seconds},
                     {"samples_per_second", training.samples_per_second}});
  const auto [least, most] = iterations_of(results);
  const Json document = {{"experiment", results.experiment},
                         {"iterations", number_or_null(least == most ? most : unknown_iterations)},
                         {"loaded", results.loaded.empty() ? Json() : Json(results.loaded)},
                         {"seeds", results.seeds},
                         {"backend", results.backend},
                         {"runs", runs},
                         {"exact",
                          {{"true_ll", results.exact.true_ll},
                           {"parzen_ll", results.exact.parzen_ll},
                           {"wasserstein1", results.exact.wasserstein1},
                           {"squared_mmd", results.exact.squared_mmd}}},
                         {"train", train}};
  // A name typed by a user need not be UTF-8; that must not cost the numbers.
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// Replaces `path` in one step. Throws std::runtime_error if it cannot be written.
inline void write_metrics_json(const std::filesystem::path& path, const Results& results) {
  vrfm::write_file_atomically(path, metrics_json(results));
}

namespace detail {

inline double number_of(const nlohmann::json& object, const char* key) {
  const auto& value = object.at(key);
  return value.is_null() ? unknown : value.get<double>();
}

inline Exact exact_of(const nlohmann::json& json) {
  return {number_of(json, "true_ll"), number_of(json, "parzen_ll"), number_of(json, "wasserstein1"),
          number_of(json, "squared_mmd")};
}

/// Whether levels are those of the same samples, which other processors round otherwise.
inline bool of_same_samples(const Exact& a, const Exact& b) {
  const auto near_by = [](double x, double y) {
    return std::abs(x - y) <= 1e-5 * (1 + std::abs(x));
  };
  return near_by(a.true_ll, b.true_ll) && near_by(a.parzen_ll, b.parzen_ll) &&
         near_by(a.wasserstein1, b.wasserstein1) && near_by(a.squared_mmd, b.squared_mmd);
}

inline void add_document(const std::string& path, const nlohmann::json& json, Results& results) {
  const auto experiment = json.at("experiment").get<std::string>();
  vrfm::expect(experiment == results.experiment, path, ": expected results of ", results.experiment,
               ", found those of ", experiment);
  vrfm::expect(of_same_samples(exact_of(json.at("exact")), results.exact), path,
               ": expected the exact samples of this run, found other levels of theirs: another "
               "--source-deviation, --target-deviation, --samples or --bandwidth");
  const auto variant_of = [](const nlohmann::json& row) {
    return Variant{row.at("model"), row.at("encoder_input")};
  };
  for (const auto& row : json.at("runs")) {
    const Run run{variant_of(row),
                  row.at("seed"),
                  row.at("solver"),
                  row.at("steps"),
                  row.at("evaluations"),
                  number_of(row, "true_ll"),
                  number_of(row, "parzen_ll"),
                  number_of(row, "wasserstein1"),
                  number_of(row, "squared_mmd"),
                  number_of(row, "straightness"),
                  number_of(row, "path_ratio")};
    const auto same = [&](const Run& other) {
      return other.variant == run.variant && other.seed == run.seed && other.solver == run.solver &&
             other.steps == run.steps;
    };
    vrfm::expect(std::none_of(results.runs.begin(), results.runs.end(), same), path, ": ",
                 run.variant.model, " of seed ", run.seed, " at ", run.steps,
                 " steps is among the results already");
    results.runs.push_back(run);
    results.seeds.push_back(run.seed);
  }
  for (const auto& row : json.at("train")) {
    const auto& steps = row.at("iterations");
    results.train.push_back({variant_of(row), row.at("seed"),
                             steps.is_null() ? unknown_iterations : steps.get<std::int64_t>(),
                             number_of(row, "final_velocity_loss"), number_of(row, "final_kl"),
                             number_of(row, "seconds"), number_of(row, "samples_per_second")});
  }
}

}  // namespace detail

/// Adds the runs and trainings of another run's file. Throws std::runtime_error for a file that is none, and
/// std::invalid_argument if it is of other data, or tells what is known already.
inline void add_metrics_json(const std::filesystem::path& path, Results& results) {
  std::ifstream file(path);
  try {
    detail::add_document(path.string(), nlohmann::json::parse(file), results);
  } catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(path.string() + ": expected the metrics.json of a run, found " +
                             error.what());
  }
}

/// Adds the runs and trainings of `others`; all are in the order of the methods then.
inline void add_results(const Results& others, Results& results) {
  if (others.runs.empty()) return;
  const auto by_method = [](const auto& a, const auto& b) {
    return std::less<>()(find_method(a.variant.model), find_method(b.variant.model));
  };
  auto& runs = results.runs;
  auto& train = results.train;
  runs.insert(runs.end(), others.runs.begin(), others.runs.end());
  std::stable_sort(runs.begin(), runs.end(), by_method);
  train.insert(train.end(), others.train.begin(), others.train.end());
  std::stable_sort(train.begin(), train.end(), by_method);
  auto& seeds = results.seeds;
  seeds.insert(seeds.end(), others.seeds.begin(), others.seeds.end());
  std::sort(seeds.begin(), seeds.end());
  seeds.erase(std::unique(seeds.begin(), seeds.end()), seeds.end());
}

}  // namespace synthetic
