// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What showers are judged by: the energy of each layer, the response sum / E, the depth of their centre, and how well
// a latent variable tells where they began.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include <vrfm/metrics/correlation.hpp>

#include <examples/science/calorimeter.hpp>
#include <examples/science/files.hpp>

namespace science {

/// `incident_energies` [n, 1], all above 0, and `showers` [n, layers] of a file.
struct Showers {
  HostTable energies, layers;
};

/// Throws std::runtime_error and std::invalid_argument that name the array for other ones.
inline HostTable read_energies(const std::string& file) {
  HostTable energies = read_table(file, "incident_energies");
  vrfm::expect(energies.columns == 1, energies.name, ": expected [n, 1], found ", energies.columns,
               " columns");
  for (const double energy : energies.values) {
    vrfm::expect(energy > 0, energies.name, ": expected energies above 0, found ", energy);
  }
  return energies;
}
inline Showers read_showers(const std::string& file) {
  Showers showers{read_energies(file), read_table(file, "showers")};
  expect_rows(showers.layers, showers.energies);
  return showers;
}

/// Columns: the response; the centre of the energy in X0; what the layer near the maximum, a third of the way in, has
/// above the mean of its neighbours, over the noise of that; and log10 of each layer's energy in MeV, or of a third of
/// the threshold where it is empty.
inline constexpr std::size_t response_at = 0, centre_at = 1, noise_at = 2, layers_at = 3;
inline HostTable shower_features(const Showers& showers) {
  const std::size_t layers = showers.layers.columns, middle = layers / 3;
  vrfm::expect(layers > 2, showers.layers.name, ": expected at least 3 layers, found ", layers);
  HostTable features(showers.layers.name, showers.layers.rows, layers_at + layers);
  for (std::size_t i = 0; i < features.rows; ++i) {
    double sum = 0, moment = 0;
    for (std::size_t j = 0; j < layers; ++j) {
      const double energy = showers.layers(i, j);
      sum += energy;
      moment += energy * (static_cast<double>(j) + 0.5);
      features(i, layers_at + j) = std::log10(std::max(energy, Calorimeter::threshold / 3));
    }
    features(i, response_at) = sum / showers.energies(i, 0);
    features(i, centre_at) = sum > 0 ? moment / sum : 0;
    const double neighbours = (showers.layers(i, middle - 1) + showers.layers(i, middle + 1)) / 2;
    // The variance of a layer of mean m less that of two more is q m + q m / 2.
    features(i, noise_at) =
        (showers.layers(i, middle) - neighbours) /
        std::sqrt(1.5 * Calorimeter::quantum * std::max(neighbours, Calorimeter::threshold));
  }
  return features;
}

/// How well columns tell a number: R^2 of a linear fit by all of them, and of the column whose rank correlation with it
/// (Spearman's) is the largest that number.
struct Telling {
  double r_squared = 0, rank_correlation = 0;
  std::size_t column = 0;
};

namespace detail {

inline HostTable ranks_of(const HostTable& table) {
  HostTable ranks(table.name, table.rows, table.columns);
  std::vector<std::size_t> order(table.rows);
  for (std::size_t j = 0; j < table.columns; ++j) {
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return table(a, j) < table(b, j); });
    for (std::size_t k = 0; k < order.size(); ++k) ranks(order[k], j) = static_cast<double>(k);
  }
  return ranks;
}

}  // namespace detail

/// Of the last column by the others, which are not constant.
inline Telling told_of_last(const Exec& exec, const HostTable& table) {
  const auto correlations_of = [&](const HostTable& of) {
    return vrfm::correlations(exec, on_device(exec, of)).correlation;
  };
  const std::size_t all = table.columns, n = all - 1;
  Telling told;
  const auto by_rank = correlations_of(detail::ranks_of(table));
  for (std::size_t j = 0; j < n; ++j) {
    const double r = by_rank[j * all + n];
    if (std::fabs(r) > std::fabs(told.rank_correlation)) told.rank_correlation = r, told.column = j;
  }
  // 1 - R^2 is what Gauss' elimination of the others leaves in the corner.
  auto a = correlations_of(table);
  for (std::size_t k = 0; k < n; ++k) {
    for (std::size_t i = k + 1; i < all; ++i) {
      const double factor = a[i * all + k] / a[k * all + k];
      for (std::size_t j = k; j < all; ++j) a[i * all + j] -= factor * a[k * all + j];
    }
  }
  told.r_squared = 1 - a[n * all + n];
  return told;
}

}  // namespace science
