// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// metrics.json: the numbers of a run for other programs. Doubles are written with as many digits
// as it takes to read the same bits back; a value that is not finite becomes null.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>
#include <vrfm/io/file.hpp>

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

}  // namespace synthetic
