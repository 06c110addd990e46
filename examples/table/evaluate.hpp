// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `evaluate`: new rows beside rows that were held out, as numbers (metrics.json) and as pictures
// (report.html): marginals, pairs of columns, distances, and for models with a condition the calibration of ensembles.
#pragma once

#include <cstdint>
#include <string>

#include <examples/table/use.hpp>

namespace table {

struct EvaluateOptions {
  std::string load, output, data;
  std::size_t count = 0;    ///< rows, at most; 0: by the data
  std::size_t members = 0;  ///< of each ensemble; 0: by the data
  std::uint32_t seed = 1;
  bool overwrite = false;
  SolverOptions solver;
};

CLI::App* add_evaluate(CLI::App& app, EvaluateOptions& options);

/// Throws std::runtime_error and std::invalid_argument that name what was expected and what was found.
void evaluate(const EvaluateOptions& options, const std::string& command_line);

}  // namespace table
