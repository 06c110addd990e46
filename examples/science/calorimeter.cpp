// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/science/calorimeter.hpp>

#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <examples/common/ranks.hpp>
#include <examples/common/rows_file.hpp>
#include <examples/science/draws.hpp>
#include <examples/science/shower_features.hpp>

namespace science {
namespace {

constexpr double threshold = Calorimeter::threshold;

std::vector<std::string> numbered(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t j = 0; j < count; ++j) names.push_back(std::to_string(j));
  return names;
}

}  // namespace

void generate_showers(const ShowerOptions& o) {
  vrfm::expect(o.lowest > Calorimeter::critical && o.highest > o.lowest,
               "--lowest, --highest: expected ", Calorimeter::critical,
               " MeV < lowest < highest, got ", o.lowest, " and ", o.highest);
  std::vector<double> energies, starts, showers;
  showers.reserve(o.count * o.layers);
  for (std::size_t i = 0; i < o.count; ++i) {
    Draws draws(o.seed, Drawn::shower, i);
    const double energy = draws.log_uniform(o.lowest, o.highest);
    const double start = draws.exponential(Calorimeter::conversion);
    energies.push_back(energy);
    starts.push_back(start);
    for (std::size_t j = 0; j < o.layers; ++j) {
      const auto depth = static_cast<double>(j);
      const double mean = Calorimeter::mean_between(energy, start, depth, depth + 1);
      const double seen =
          mean > 0 ? Calorimeter::quantum * draws.gamma(mean / Calorimeter::quantum) : 0;
      showers.push_back(seen < threshold ? 0 : seen);
    }
  }
  common::write_output(o.output, {{"incident_energies", {"energy"}, energies},
                                  {"showers", numbered(o.layers), showers},
                                  {"start_depths", {"start"}, starts}});
  common::say("%zu showers of %zu layers: %s", o.count, o.layers, o.output.c_str());
}

void rows_of_showers(const ShowerRowsOptions& o) {
  const auto [energies, showers] = read_showers(o.data);
  std::vector<double> rows;
  for (std::size_t i = 0; i < showers.rows; ++i) {
    Draws draws(o.seed, Drawn::empty_cells, i);
    const auto cells = std::span(showers.values).subspan(i * showers.columns, showers.columns);
    const double sum = std::accumulate(cells.begin(), cells.end(), 0.0);
    vrfm::expect(sum > 0, showers.name, ": expected showers of some energy, found none in row ", i);
    rows.push_back(sum / energies(i, 0));
    for (const double cell : cells) {
      const double filler = draws.log_uniform(threshold / 10, threshold);
      rows.push_back((cell > 0 ? cell : filler) / energies(i, 0));
    }
  }
  std::vector<std::string> names = numbered(showers.columns);
  names.insert(names.begin(), "response");
  common::write_output(o.output,
                       {{"rows", names, rows}, {"incident_energies", {"energy"}, energies.values}});
  common::say("%zu rows of %zu columns: %s", showers.rows, names.size(), o.output.c_str());
}

void showers_of_rows(const ShowerRowsOptions& o) {
  const HostTable energies = read_energies(o.data), rows = read_table(o.rows);
  expect_rows(rows, energies);
  vrfm::expect(rows.columns > 1, rows.name, ": expected a response and layers, found ",
               rows.columns, " column");
  const std::size_t layers = rows.columns - 1;
  const auto cut = [](double energy) { return energy < threshold ? 0 : energy; };
  std::vector<double> showers;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    double sum = 0;
    for (std::size_t j = 1; j <= layers; ++j) sum += cut(rows(i, j) * energies(i, 0));
    const double scale = sum > 0 ? rows(i, 0) * energies(i, 0) / sum : 0;
    for (std::size_t j = 1; j <= layers; ++j) {
      showers.push_back(cut(scale * cut(rows(i, j) * energies(i, 0))));
    }
  }
  common::write_output(o.output, {{"incident_energies", {"energy"}, energies.values},
                                  {"showers", numbered(layers), showers}});
  common::say("%zu showers of %zu layers: %s", rows.rows, layers, o.output.c_str());
}

}  // namespace science
