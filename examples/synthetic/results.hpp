// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Everything one run of vrfm_synthetic found out, as plain host values: what was run, the metrics
// of every sampling, the training curves, and the samples that the figures show. The pictures, the
// report and metrics.json are functions of this alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <examples/common/setting.hpp>

namespace synthetic {

using namespace common;

/// What a number or a picture belongs to.
struct Variant {
  /// The method's name, or "truth" for the straight paths between independent pairs.
  std::string model;
  /// What the posterior sees, joined by '+': "x0+x1+x_t". Empty without a latent.
  std::string encoder_input;

  friend bool operator==(const Variant&, const Variant&) = default;
};

/// One sampling of one trained model.
struct Run {
  Variant variant;
  std::uint64_t seed = 0;
  std::string solver;
  int steps = 0;  ///< 0 where the solver chooses its own
  std::int64_t evaluations = 0;
  double true_ll = 0;
  double parzen_ll = 0;
  double wasserstein1 = 0;
  double squared_mmd = 0;  ///< unbiased: it may be below 0
  double straightness = 0;
  double path_ratio = 0;  ///< median over samples of path length / displacement
};

/// Which of a run's figures a table or a curve shows.
using Metric = double Run::*;

/// The same figures for exact target samples, the level that no sampler should be expected to beat.
struct Exact {
  double true_ll = 0;
  double parzen_ll = 0;
  double wasserstein1 = 0;
  double squared_mmd = 0;
};

inline constexpr std::int64_t unknown_iterations = -1;
inline constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// One finished training, of which something may be unknown if its weights were loaded; final_kl is that
/// of z, of a learned coupling that of x0, and 0 where neither is drawn from a posterior.
struct Training {
  Variant variant;
  std::uint64_t seed = 0;
  std::int64_t iterations = unknown_iterations;
  double final_velocity_loss = unknown;
  double final_kl = unknown;
  double seconds = unknown;             ///< of the last start
  double samples_per_second = unknown;  ///< likewise
};

/// Losses along one training, three vectors of one length; kl, as in Training, is empty where there is none.
struct LossCurve {
  Variant variant;
  std::uint64_t seed = 0;
  std::vector<double> iteration;
  std::vector<double> velocity_loss;
  std::vector<double> kl;
};

/// Samples followed from t = 0 to t = 1: positions[(time * paths + path) * dimension + axis].
struct Trajectories {
  Variant variant;
  std::vector<double> times;
  std::size_t paths = 0;
  std::vector<double> positions;
};

/// Where in (x, t) a velocity histogram was taken.
struct Probe {
  double x = 0;
  double t = 0;
};

/// One variant's share of the velocity-ambiguity map.
struct AmbiguityMap {
  Variant variant;
  /// Standard deviation of the velocity, deviation[time_bin * position_bins + position_bin]; NaN
  /// where a bin holds too few samples.
  std::vector<double> deviation;
  /// Counts over equal velocity bins, one vector per probe; all zero or empty where nothing passed.
  std::vector<std::vector<double>> histograms;
};

/// How many velocities meet at one place, over (t, x); one dimension only. Time bins split [0, 1].
struct Ambiguity {
  std::size_t time_bins = 0;
  std::size_t position_bins = 0;
  double position_lower = 0;
  double position_upper = 0;
  double velocity_lower = 0;
  double velocity_upper = 0;
  std::vector<Probe> probes;
  std::vector<AmbiguityMap> maps;
};

struct Results {
  std::string experiment;  ///< "1d" or "2d"
  std::size_t dimension = 0;
  std::vector<std::uint64_t> seeds;
  std::string loaded;        ///< where the weights are from; empty: they were trained here
  std::string backend;       ///< for instance "OpenMP, 2 threads"
  std::string command_line;  ///< what reproduces this run
  double seconds = 0;        ///< wall time of everything before the report
  std::vector<Setting> settings;

  std::vector<Run> runs;
  Exact exact;
  std::vector<Training> train;

  std::vector<LossCurve> loss_curves;
  std::vector<Trajectories> trajectories;
  std::vector<double> source;  ///< points of p0, [count][dimension]
  std::vector<double> target;  ///< points of p1, [count][dimension]
  Ambiguity ambiguity;         ///< no maps: the figure is left out
};

}  // namespace synthetic
