// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Forecasts of Lorenz' system (Lorenz, "Deterministic nonperiodic flow", 1963),
//   dx/dt = 10 (y - x),   dy/dt = x (28 - z) - y,   dz/dt = x y - 8/3 z.
// The present x and z are measured, with noise of deviation 1; y is not. To be forecast is the state one time unit
// later, which the measurement often leaves open between both wings of the attractor. Files have a row a case, all
// independent: `x_now,y_now,z_now`, the measured `x_seen,z_seen`, and what comes, `x,y,z`.
//
// The judge knows the forecast distribution by Bayes' rule on an archive of states of the attractor: these are drawn
// with weights exp(-|state - seen|^2 / 2), of x and z, and moved by the equations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace science {

struct Lorenz {
  static constexpr double noise = 1, ahead = 1;
};

struct ForecastOptions {
  std::string output = "lorenz.csv";
  std::size_t count = 50'000;
  std::uint32_t seed = 1;
};
struct ForecastJudgeOptions {
  std::string truth, output = "lorenz";
  std::vector<std::string> ensembles;
  std::size_t archive = 100'000;
  std::uint32_t seed = 1;
  bool overwrite = false;
};

/// Writes cases; compares ensembles, of which row m N + i is member m of case i of N, with each other and with exact
/// ones, which it writes as exact.npy. Both throw std::runtime_error and
/// std::invalid_argument that name the file or the option.
void generate_forecasts(const ForecastOptions& options);
void judge_forecasts(const ForecastJudgeOptions& options);

}  // namespace science
