// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Photon showers in a toy calorimeter of layers of one radiation length X0 each. A photon of energy E converts at a
// depth s that is exponential with mean 9/7 X0; behind it the mean energy per depth u = t - s is a Gamma profile (Longo
// and Sestili 1975; Particle Data Group, "Passage of particles through matter"),
//   dE/du = E b (b u)^(a - 1) exp(-b u) / Gamma(a),   b = 1/2,   (a - 1) / b = ln(E / E_c) + 1/2,
// E_c = 8 MeV as in tungsten. A layer with the mean energy m shows a Gamma number of mean m and variance m q: sums of
// layers are Gamma numbers, too, and all together have the resolution sqrt(q / E), 10 % / sqrt(E / GeV) for q = 10 MeV.
// What is below a threshold reads zero. Files have the layout of CaloChallenge's (Krause et al. 2024):
// `incident_energies` [n, 1] and `showers` [n, layers] in MeV; and `start_depths` [n, 1] in X0, which no model sees.
//
// Networks learn rows [n, 1 + layers]: the response sum / E, and of each layer its energy over E, all positive: an
// empty layer gets a log-uniform number from a tenth of the threshold to the threshold, which is empty again in the
// showers that are made of rows. The response has a column of its own, to which these showers are scaled, because
// errors of the layers would blur their sum.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace science {

/// Energies in MeV, depths in X0.
struct Calorimeter {
  static constexpr double profile_b = 0.5, critical = 8, conversion = 9.0 / 7, quantum = 10,
                          threshold = 0.5;

  /// a of the profile.
  static double profile_a(double energy) {
    return 1 + profile_b * (std::log(energy / critical) + 0.5);
  }

  /// The mean energy from depth `begin` to `end` of a photon that converts at `start`: Gauss and Legendre's rule of
  /// four points.
  static double mean_between(double energy, double start, double begin, double end) {
    const double from = std::fmax(begin, start) - start, width = end - start - from;
    if (!(width > 0)) return 0;
    constexpr double points[] = {0.0694318442029737, 0.3300094782075719, 0.6699905217924281,
                                 0.9305681557970263};
    constexpr double weights[] = {0.1739274225687269, 0.3260725774312731, 0.3260725774312731,
                                  0.1739274225687269};
    const double a = profile_a(energy), scale = std::lgamma(a);
    double sum = 0;
    for (int k = 0; k < 4; ++k) {
      const double bu = profile_b * (from + width * points[k]);
      sum += weights[k] * std::exp((a - 1) * std::log(bu) - bu - scale);
    }
    return energy * profile_b * width * sum;
  }
};

struct ShowerOptions {
  std::string output = "showers.h5";
  std::size_t count = 50'000, layers = 30;
  double lowest = 1e3, highest = 1e6;  ///< MeV, between which energies are log-uniform
  std::uint32_t seed = 1;
};
struct ShowerRowsOptions {
  std::string data, rows, output;
  std::uint32_t seed = 1;
};
struct ShowerJudgeOptions {
  std::string truth, other, codes, output = "calorimeter";
  std::vector<std::string> showers;
  bool overwrite = false;
};

/// Writes showers; rows of showers; showers of rows; and compares. Each throws std::runtime_error and
/// std::invalid_argument that name the file or the option.
void generate_showers(const ShowerOptions& options);
void rows_of_showers(const ShowerRowsOptions& options);
void showers_of_rows(const ShowerRowsOptions& options);
void judge_showers(const ShowerJudgeOptions& options);

}  // namespace science
