// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The commands that use a trained model: `sample`, `density`, `encode`, `reconstruct` and `interpolate`. Their rows have the
// data's own units and columns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <vrfm/core/copy.hpp>
#include <vrfm/data/draw.hpp>
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/sampling/likelihood.hpp>

#include <examples/table/model.hpp>
#include <examples/table/output_file.hpp>

namespace CLI {
class App;
}

namespace table {

/// How trajectories are computed.
struct SolverOptions {
  std::string solver = "auto";  ///< auto: dopri5 of rfm, midpoint of vrfm
  int steps = 10;
  double tolerance = 1e-4;
};

struct UseOptions {
  std::string load, output, data;
  std::vector<std::string> columns, condition;
  std::string condition_file;
  int label = -1;
  std::size_t count = 1000;
  std::uint32_t seed = 1;
  int draws = 16;
  double guidance = 1;
  std::vector<std::size_t> between;
  SolverOptions solver;
};

/// Calls use(solver, grid).
template <class Use>
void with_solver(const SolverOptions& o, const TableSettings& settings, const Use& use) {
  const std::string name = o.solver != "auto"        ? o.solver
                           : settings.model == "rfm" ? "dopri5"
                                                     : "midpoint";
  if (name == "dopri5") {
    return use(vrfm::DormandPrince{.absolute = o.tolerance, .relative = o.tolerance},
               vrfm::TimeGrid{0, 1});
  }
  const auto grid = vrfm::TimeGrid::uniform(0, 1, o.steps);
  if (name == "midpoint") return use(vrfm::Midpoint{}, grid);
  use(vrfm::Euler{}, grid);
}

/// Columns of `count` rows of float on the device, as doubles on the host.
inline std::vector<double> to_doubles(const Exec& exec, const Rows& rows) {
  const auto host = vrfm::to_host(exec, rows);
  return {host.data(), host.data() + host.size()};
}

/// Rows of the columns `names` of an array, in the data's units. Throws std::runtime_error for what is not there.
Rows read_rows(const Exec& exec, const std::string& array, const std::vector<std::string>& names,
               const std::string& option);

/// The condition of the options, standardised: a row of fixed numbers, or those of a file.
vrfm::ConditionTables<float, Exec> condition_of(const Exec& exec, const Model& model,
                                                const UseOptions& options);

/// New rows in the data's units; condition tables are used round and round.
Rows draw_rows(const Exec& exec, const Model& model, std::size_t count, std::uint32_t seed,
               const vrfm::ConditionTables<float, Exec>& condition, const SolverOptions& solver,
               double guidance = 1);

void add_tolerance(CLI::App* command, SolverOptions& options);
/// With the tolerance.
void add_solver(CLI::App* command, SolverOptions& options);

void sample(const UseOptions& options);
void density(const UseOptions& options);
void encode(const UseOptions& options);
void reconstruct(const UseOptions& options);
void interpolate(const UseOptions& options);

}  // namespace table
