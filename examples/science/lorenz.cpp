// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/science/lorenz.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/io/csv.hpp>
#include <vrfm/metrics/calibration.hpp>
#include <vrfm/metrics/ensemble_score.hpp>
#include <vrfm/sampling/sample.hpp>

#include <examples/common/rows_file.hpp>
#include <examples/science/draws.hpp>
#include <examples/science/files.hpp>
#include <examples/science/forecast_figure.hpp>
#include <examples/science/results.hpp>

namespace science {
namespace {

struct LorenzField {
  KOKKOS_FUNCTION void operator()(double, const double* x, double* v) const {
    v[0] = 10 * (x[1] - x[0]);
    v[1] = x[0] * (28 - x[2]) - x[1];
    v[2] = x[0] * x[1] - 8.0 / 3 * x[2];
  }
};

/// Moves the rows of `states` by `time`, in steps of 0.01 by Runge and Kutta's method.
void move(const Exec& exec, HostTable& states, double time) {
  const auto rows = on_device(exec, states);
  const int steps = static_cast<int>(std::lround(time / 0.01));
  vrfm::integrate_all(exec, vrfm::pointwise<double>(LorenzField{}, 3), rows, vrfm::RungeKutta4{},
                      {.grid = vrfm::TimeGrid::uniform(0, time, steps)})
      .expect_finished();
  const auto host = vrfm::to_host(exec, rows);
  std::copy(host.data(), host.data() + host.size(), states.values.begin());
}

/// Independent states of the attractor: 60 time units from somewhere near it, because the phases of their turns
/// are slow to part.
HostTable draw_states(const Exec& exec, std::size_t count, std::uint32_t seed, Drawn what) {
  HostTable states("states", count, 3);
  for (std::size_t i = 0; i < count; ++i) {
    Draws draws(seed, what, i);
    for (std::size_t j = 0; j < 3; ++j) states(i, j) = (j == 2 ? 25 : 0) + 8 * draws.normal();
  }
  move(exec, states, 60);
  return states;
}

const std::vector<std::string> seen_columns{"x_seen", "z_seen"}, truth_columns{"x", "y", "z"};

HostTable read_columns(const std::string& file, const std::vector<std::string>& columns) {
  vrfm::CsvTable csv = vrfm::read_csv(file, columns);
  HostTable table(file, csv.rows, columns.size());
  table.values = std::move(csv.values);
  return table;
}

/// `members` forecasts of each row of `seen`, row m N + i of case i of N.
HostTable exact_forecasts(const Exec& exec, const HostTable& seen, std::size_t members,
                          const ForecastJudgeOptions& o) {
  const HostTable archive = draw_states(exec, o.archive, o.seed, Drawn::archive);
  HostTable forecasts("exact", members * seen.rows, 3);
  std::vector<double> sums(archive.rows);
  for (std::size_t i = 0; i < seen.rows; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < archive.rows; ++k) {
      const double dx = archive(k, 0) - seen(i, 0), dz = archive(k, 2) - seen(i, 1);
      const double square = (dx * dx + dz * dz) / (Lorenz::noise * Lorenz::noise);
      sums[k] = sum += square < 80 ? std::exp(-square / 2) : 0;
    }
    vrfm::expect(sum > 0, seen.name, ": expected states of the attractor, but row ", i,
                 " is far from all of the archive");
    Draws draws(o.seed, Drawn::members, i);
    for (std::size_t m = 0; m < members; ++m) {
      const auto at = std::lower_bound(sums.begin(), sums.end() - 1, sum * draws.uniform());
      const auto k = static_cast<std::size_t>(at - sums.begin());
      for (std::size_t j = 0; j < 3; ++j) forecasts(m * seen.rows + i, j) = archive(k, j);
    }
  }
  move(exec, forecasts, Lorenz::ahead);
  return forecasts;
}

/// Scores of columns over the truth's deviations.
ForecastScore score(const Exec& exec, const HostTable& forecasts, const HostTable& truth,
                    const std::array<double, 3>& deviations, std::uint32_t seed) {
  const std::size_t cases = truth.rows, members = forecasts.rows / cases;
  const Kokkos::View<double***, Kokkos::LayoutRight, Exec> ensembles("science::ensembles", cases,
                                                                     members, 3);
  const vrfm::Table<double, Exec> truths("science::truths", cases, 3);
  const auto to = Kokkos::create_mirror_view(ensembles);
  const auto truths_to = Kokkos::create_mirror_view(truths);
  for (std::size_t i = 0; i < cases; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      truths_to(i, j) = truth(i, j) / deviations[j];
      for (std::size_t m = 0; m < members; ++m) {
        to(i, m, j) = forecasts(m * cases + i, j) / deviations[j];
      }
    }
  }
  Kokkos::deep_copy(ensembles, to);
  Kokkos::deep_copy(truths, truths_to);
  const auto coverage = vrfm::interval_coverage(exec, ensembles, truths, {0.5, 0.9});
  const auto ranks = vrfm::rank_histogram(exec, ensembles, truths, seed);
  return {vrfm::crps(exec, ensembles, truths),
          vrfm::energy_score(exec, ensembles, truths),
          vrfm::spread_against_error(exec, ensembles, truths).ratio,
          coverage[0].coverage,
          coverage[1].coverage,
          ranks.count};
}

}  // namespace

void generate_forecasts(const ForecastOptions& o) {
  const Exec exec;
  const HostTable now = draw_states(exec, o.count, o.seed, Drawn::states);
  HostTable later = now;
  move(exec, later, Lorenz::ahead);
  std::vector<double> values;
  for (std::size_t i = 0; i < o.count; ++i) {
    Draws draws(o.seed, Drawn::measurements, i);
    for (std::size_t j = 0; j < 3; ++j) values.push_back(now(i, j));
    for (const std::size_t j : {0u, 2u})
      values.push_back(now(i, j) + Lorenz::noise * draws.normal());
    for (std::size_t j = 0; j < 3; ++j) values.push_back(later(i, j));
  }
  std::vector<std::string> columns{"x_now", "y_now", "z_now"};
  columns.insert(columns.end(), seen_columns.begin(), seen_columns.end());
  columns.insert(columns.end(), truth_columns.begin(), truth_columns.end());
  // Numbers as float, as they are learned, in the fewest digits.
  common::write_output(o.output, {{"cases", columns, values}});
  common::say("%zu cases: %s", o.count, o.output.c_str());
}

void judge_forecasts(const ForecastJudgeOptions& o) {
  const Exec exec;
  const std::vector<DrawnFile> files = drawn_files(o.ensembles);
  const HostTable truth = read_columns(o.truth, truth_columns),
                  seen = read_columns(o.truth, seen_columns);
  vrfm::expect(truth.rows > 1, o.truth, ": expected at least 2 cases, found ", truth.rows);
  std::vector<HostTable> forecasts;
  for (const DrawnFile& file : files) {
    forecasts.push_back(read_table(file.path));
    const HostTable& table = forecasts.back();
    vrfm::expect(table.columns == 3 && table.rows >= 2 * truth.rows &&
                     table.rows % truth.rows == 0 && table.rows == forecasts.front().rows,
                 table.name, ": expected 3 columns and, as the other files, rows for 2 or more ",
                 "members of ", truth.rows, " cases, found ", table.columns, " columns and ",
                 table.rows, " rows");
  }
  common::OutputFolder output(o.output);
  if (!o.overwrite) output.refuse_results({"table.md"}, overwrite_advice);

  std::array<double, 3> deviations;
  for (std::size_t j = 0; j < 3; ++j) deviations[j] = moments(column(truth, j)).deviation;
  const auto judge = [&](const HostTable& table) {
    return score(exec, table, truth, deviations, o.seed);
  };
  const std::size_t members = forecasts.front().rows / truth.rows;
  Forecasts result{seen, truth, exact_forecasts(exec, seen, members, o), {}, files, {}, {}};
  result.exact_score = judge(result.exact);
  MarkdownTable table({"model", "evaluations", "CRPS", "energy score", "inside 50 %", "inside 90 %",
                       "spread / error"});
  const auto add = [&](const std::string& model, const std::string& evaluations,
                       const ForecastScore& s) {
    table.add({model, evaluations, with_error(s.crps, 4), with_error(s.energy, 4),
               percent(s.inside_50), percent(s.inside_90), with_error(s.ratio, 3)});
  };
  for (std::size_t k = 0; k < files.size(); ++k) {
    result.scores.push_back(judge(forecasts[k]));
    add(label_of(files[k].method), std::to_string(files[k].evaluations), result.scores.back());
  }
  add("exact forecasts", "", result.exact_score);
  result.drawn = std::move(forecasts);
  common::write_output(output / "exact.npy", {{"forecasts", truth_columns, result.exact.values}});
  finish(output, table.text(), {forecast_figure(result)});
}

}  // namespace science
