// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TableFlow: what the commands ask of a trained flow, whatever its networks are. They are made in source files of their
// own, one for each kind, because these take long to compile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <vrfm/sampling/encode.hpp>

#include <examples/table/settings.hpp>

namespace table {

using Exec = Kokkos::DefaultExecutionSpace;
using Rows = vrfm::Table<float, Exec>;
using Conditions = vrfm::ConditionTables<float, Exec>;

using Codes = vrfm::Encoding<float, Exec>;

/// How trajectories are computed.
struct SolverOptions {
  std::string solver = "auto";  ///< auto: TableSettings::solver
  int steps = 10;
  double tolerance = 1e-4;
};

struct MoveOptions {
  Rows latents = {};  ///< z of row i is row i % rows; empty: from the prior
  Conditions condition = {};
  double guidance = 1;
  std::uint32_t seed = 1;
};

struct DensityOptions {
  Rows latents = {};
  Conditions condition = {};
  std::uint32_t seed = 1;
  std::uint64_t first_id = 0;
  int probes = 0;  ///< of an estimated divergence; 0: it is exact
  double tolerance = 1e-4;
};

class TableFlow {
 public:
  virtual ~TableFlow() = default;

  virtual int dimension() const = 0;
  virtual std::size_t parameters() const = 0;
  /// Throws as vrfm::load_weights.
  virtual void load(const std::filesystem::path& file) const = 0;
  /// Draws of N(0, I), as many as `count`.
  virtual Rows noise(std::size_t count, std::uint32_t seed, vrfm::Purpose purpose) const = 0;
  /// Moves rows, x0's that are numbers first_id = 0, 1, ..., to t = 1, in place.
  virtual void move(const Rows& x, const SolverOptions& solver,
                    const MoveOptions& options) const = 0;
  /// A network without a posterior throws std::invalid_argument.
  virtual Codes encode(const Rows& x1, const Conditions& condition, std::uint32_t seed) const = 0;
  /// z from the prior.
  virtual Rows draw_latents(std::size_t count, const Conditions& condition,
                            std::uint32_t seed) const = 0;
  /// Log densities of rows, nats, under the z of each.
  virtual std::vector<float> log_density(const Rows& rows, const DensityOptions& options) const = 0;
};

std::unique_ptr<TableFlow> mlp_flow(const Exec& exec, const TableSettings& settings,
                                    const RowShape& shape);
std::unique_ptr<TableFlow> unet_flow(const Exec& exec, const TableSettings& settings,
                                     const RowShape& shape);

/// The flow that the settings name, of the parameters that it begins with.
inline std::unique_ptr<TableFlow> make_flow(const Exec& exec, const TableSettings& settings,
                                            const RowShape& shape) {
  return settings.network == "unet" ? unet_flow(exec, settings, shape)
                                    : mlp_flow(exec, settings, shape);
}

}  // namespace table
