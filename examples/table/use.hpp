// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The commands that use a trained model: `sample`, `density`, `encode`, `reconstruct` and `interpolate`. Their rows have the
// data's own units and columns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <vrfm/core/copy.hpp>

#include <examples/common/rows_file.hpp>
#include <examples/table/model.hpp>

namespace CLI {
class App;
}

namespace table {

struct UseOptions {
  std::string load, output, data;
  std::vector<std::string> columns, condition;
  std::string condition_file, field_file, png;
  int label = -1;
  std::size_t count = 1000;
  std::uint32_t seed = 1;
  int draws = 16, probes = -1;
  double guidance = 1;
  std::vector<std::size_t> between;
  SolverOptions solver;
};

/// Columns of `count` rows of float on the device, as doubles on the host.
inline std::vector<double> to_doubles(const Exec& exec, const Rows& rows) {
  const auto host = vrfm::to_host(exec, rows);
  return {host.data(), host.data() + host.size()};
}

/// Rows of the columns `names` of an array, in the data's units. Throws std::runtime_error for what is not there.
Rows read_rows(const Exec& exec, const std::string& array, const std::vector<std::string>& names,
               const std::string& option);

/// The same of fields like those that the model was trained on, in its order.
Rows read_fields(const Exec& exec, const std::string& array, const RowShape& shape,
                 const std::string& option);

/// The condition of the options, standardised: a row of fixed numbers, or those of files.
Conditions condition_of(const Exec& exec, const Model& model, const UseOptions& options);

/// New rows in the data's units; condition tables are used round and round.
Rows draw_rows(const Exec& exec, const Model& model, std::size_t count, std::uint32_t seed,
               const Conditions& condition, const SolverOptions& solver, double guidance = 1);

void add_tolerance(CLI::App* command, SolverOptions& options);
/// With the tolerance.
void add_solver(CLI::App* command, SolverOptions& options);

void sample(const UseOptions& options);
void density(const UseOptions& options);
void encode(const UseOptions& options);
void reconstruct(const UseOptions& options);
void interpolate(const UseOptions& options);

}  // namespace table
