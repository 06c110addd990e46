// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What vrfm_synthetic measures: samples of a flow with every number of steps, their metrics and paths,
// and what the figures show.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/draw.hpp>
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/integrators/saver.hpp>
#include <vrfm/integrators/step_control.hpp>
#include <vrfm/io/npy.hpp>
#include <vrfm/metrics/log_likelihood.hpp>
#include <vrfm/metrics/mmd.hpp>
#include <vrfm/metrics/path_statistics.hpp>
#include <vrfm/metrics/velocity_ambiguity.hpp>
#include <vrfm/metrics/velocity_points.hpp>
#include <vrfm/metrics/wasserstein.hpp>
#include <vrfm/sampling/flow_map.hpp>
#include <vrfm/sampling/sample.hpp>

#include <examples/synthetic/problem.hpp>

namespace synthetic {

using Samples = vrfm::Table<float, Exec>;
using Paths = Kokkos::View<float***, Kokkos::LayoutRight, Exec::memory_space>;

// Draws for measuring are apart from those of any training seed.
inline constexpr std::uint32_t evaluation_seed = 0x5EED0001, held_out_seed = 0x5EED0002;

/// A host copy of a view's numbers in row-major order.
template <class View>
std::vector<typename View::non_const_value_type> host_values(const View& view) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
  return {host.data(), host.data() + host.size()};
}

class Measurement {
 public:
  Measurement(const Exec& exec, const Options& options)
      : exec_(exec),
        options_(options),
        folder_{options.output},
        source_(source_of(exec, options)),
        target_(target_of(exec, options)),
        held_out_(
            vrfm::draw_all(exec, target_, options.samples, held_out_seed, vrfm::Purpose::target)) {
    const double median = vrfm::median_distance(exec, held_out_, held_out_);
    bandwidths_ = {median / 4, median, 4 * median};
  }

  /// The metrics of exact samples.
  Exact exact() const {
    const Samples samples =
        vrfm::draw_all(exec_, target_, options_.samples, evaluation_seed, vrfm::Purpose::target);
    return {vrfm::true_log_likelihood(exec_, target_, samples), parzen(samples),
            wasserstein(samples), squared_mmd(samples)};
  }

  /// The straight paths between independent pairs: what the models learn from.
  void add_truth(Results& results) const {
    const auto doubles = [](const auto& values) {
      return std::vector<double>(values.begin(), values.end());
    };
    results.source = doubles(host_values(
        vrfm::draw_all(exec_, source_, shown_points, evaluation_seed, vrfm::Purpose::source)));
    results.target = doubles(host_values(
        vrfm::draw_all(exec_, target_, shown_points, evaluation_seed, vrfm::Purpose::target)));
    Trajectories truth{{"truth", ""}, times_of(shown_grid()), shown_paths, {}};
    const auto size = static_cast<std::size_t>(shown_paths * options_.dimension());
    for (const double t : truth.times) {
      for (std::size_t k = 0; k < size; ++k) {
        truth.positions.push_back((1 - t) * results.source[k] + t * results.target[k]);
      }
    }
    results.trajectories.push_back(std::move(truth));
    if (options_.dimension() != 1) return;

    auto& map = results.ambiguity;
    map.time_bins = static_cast<std::size_t>(map_times);
    map.position_bins = static_cast<std::size_t>(map_positions);
    map.position_lower = -2.5;
    map.position_upper = 2.5;
    map.velocity_lower = -5;
    map.velocity_upper = 5;
    map.probes = {{0, 0.25}, {0, 0.5}, {0, 0.75}, {0.5, 0.75}};
    const auto pairs = vrfm::independent(source_, target_);
    add_ambiguity({"truth", ""},
                  vrfm::StraightVelocityPoints<float, decltype(pairs)>(pairs, map_samples,
                                                                       map_times, evaluation_seed),
                  {0, 1, map_times}, results);
  }

  /// Samples of a flow with every number of steps, their metrics, and the samples as files.
  void measure(const FlowType& flow, const Variant& variant, std::uint32_t seed,
               Results& results) const {
    // An adaptive solver is asked for the points of a grid that shows its path well.
    const std::vector<int> adaptive{20};
    for (const int steps : options_.adaptive() ? adaptive : options_.steps) {
      const auto grid = vrfm::TimeGrid::uniform(0, 1, steps);
      const Samples samples = make_samples(options_.samples);
      const Paths paths = make_paths(grid, options_.samples);
      const std::string solver = options_.solver_of(method_named(variant.model));
      const auto outcome = solve(flow, variant, solver, grid, samples, paths);
      const auto path = vrfm::path_statistics(exec_, paths, times_of(grid));
      results.runs.push_back(
          {variant, seed, solver, options_.adaptive() ? 0 : steps, outcome.max_evaluations,
           vrfm::true_log_likelihood(exec_, target_, samples), parzen(samples),
           wasserstein(samples), squared_mmd(samples), path.straightness, path.median_ratio});
      const std::string suffix =
          "-" + solver + (options_.adaptive() ? "" : "-" + std::to_string(steps)) + ".npy";
      vrfm::write_npy(folder_.file("samples", variant, seed, suffix),
                      {samples.extent(0), samples.extent(1)}, host_values(samples));
    }
  }

  /// The trajectories of one trained flow for the figures.
  void follow(const FlowType& flow, const Variant& variant, Results& results) const {
    const auto grid = shown_grid();
    const Samples samples = make_samples(shown_paths);
    const Paths paths = make_paths(grid, shown_paths);
    follow_by(flow, variant, grid, samples, paths);
    const auto values = host_values(paths);
    results.trajectories.push_back(
        {variant, times_of(grid), shown_paths, {values.begin(), values.end()}});
    if (options_.dimension() != 1) return;

    const auto fine = vrfm::TimeGrid::uniform(0, 1, map_times);
    const Samples many = make_samples(map_samples);
    const Paths map_paths = make_paths(fine, map_samples);
    follow_by(flow, variant, fine, many, map_paths);
    // An Euler velocity is known at the step's start and holds until its end: bins centred on the
    // starts, so that rounding moves no point to a neighbour.
    const double half = 0.5 / map_times;
    add_ambiguity(variant,
                  vrfm::TrajectoryVelocityPoints<float, Exec>(exec_, map_paths, times_of(fine)),
                  {-half, 1 - half, map_times}, results);
  }

 private:
  /// Steps of Euler, or, of a map, its own.
  void follow_by(const FlowType& flow, const Variant& variant, const vrfm::TimeGrid& grid,
                 const Samples& samples, const Paths& paths) const {
    const bool map = method_named(variant.model).map();
    solve(flow, variant, map ? "flow-map" : "euler", grid, samples, paths);
  }

  /// Unbiased, so that it may be below 0; three bandwidths about the median distance of the target's samples.
  double squared_mmd(const Samples& samples) const {
    return vrfm::squared_mmd(exec_, samples, held_out_, bandwidths_, vrfm::PairEstimate::unbiased);
  }

  double parzen(const Samples& samples) const {
    return vrfm::parzen_log_likelihood(exec_, samples, held_out_, options_.bandwidth);
  }

  double wasserstein(const Samples& samples) const {
    return options_.dimension() == 1 ? vrfm::wasserstein1(exec_, samples, held_out_)
                                     : vrfm::sliced_wasserstein1(exec_, samples, held_out_);
  }

  /// Samples with `solver`, saving every point of the grid to `paths`.
  template <class Solver>
  vrfm::Result integrate(const FlowType& flow, const Mixture& source, const Solver& solver,
                         const vrfm::TimeGrid& grid, const Samples& samples,
                         const Paths& paths) const {
    const auto count = samples.extent(0);
    auto result =
        vrfm::sample_into(exec_, vrfm::velocity_of(flow), source, samples, solver,
                          {.count = count, .grid = grid, .seed = evaluation_seed},
                          vrfm::save_to(paths, grid.points(), count, options_.dimension()));
    result.expect_finished();
    return result;
  }

  vrfm::Result solve(const FlowType& flow, const Variant& variant, const std::string& name,
                     const vrfm::TimeGrid& grid, const Samples& samples, const Paths& paths) const {
    const Mixture source = source_of(exec_, options_, variant);
    if (name == "flow-map") return integrate(flow, source, vrfm::FlowMap{}, grid, samples, paths);
    if (name == "midpoint") return integrate(flow, source, vrfm::Midpoint{}, grid, samples, paths);
    if (name == "heun") return integrate(flow, source, vrfm::Heun{}, grid, samples, paths);
    if (name == "rk4") return integrate(flow, source, vrfm::RungeKutta4{}, grid, samples, paths);
    if (name == "dopri5") {
      const vrfm::DormandPrince solver{.absolute = options_.tolerance,
                                       .relative = options_.tolerance};
      return integrate(flow, source, solver, grid, samples, paths);
    }
    return integrate(flow, source, vrfm::Euler{}, grid, samples, paths);
  }

  static std::vector<double> times_of(const vrfm::TimeGrid& grid) {
    std::vector<double> times;
    for (int k = 0; k < grid.points(); ++k) times.push_back(grid[k]);
    return times;
  }

  Paths make_paths(const vrfm::TimeGrid& grid, int samples) const {
    return Paths(Kokkos::view_alloc(Kokkos::WithoutInitializing, "synthetic::paths"),
                 static_cast<std::size_t>(grid.points()), static_cast<std::size_t>(samples),
                 static_cast<std::size_t>(options_.dimension()));
  }

  Samples make_samples(int count) const {
    return Samples("synthetic::samples", static_cast<std::size_t>(count),
                   static_cast<std::size_t>(options_.dimension()));
  }

  template <class Points>
  void add_ambiguity(const Variant& variant, const Points& points, const vrfm::BinRange& times,
                     Results& results) const {
    auto& all = results.ambiguity;
    const auto map = vrfm::velocity_ambiguity(
        exec_, points, times, {all.position_lower, all.position_upper, map_positions});
    AmbiguityMap shown{variant, map.deviation, {}};
    for (std::size_t bin = 0; bin < map.count.size(); ++bin) {
      if (map.count[bin] < 10) shown.deviation[bin] = std::nan("");
    }
    std::vector<vrfm::VelocityWindow> windows;
    for (const Probe& probe : all.probes) windows.push_back({probe.t, probe.x, 0.015, 0.1});
    for (const auto& histogram : vrfm::velocity_histograms(
             exec_, points, windows, {all.velocity_lower, all.velocity_upper, 100})) {
      shown.histograms.emplace_back(histogram.count.begin(), histogram.count.end());
    }
    all.maps.push_back(std::move(shown));
  }

  static vrfm::TimeGrid shown_grid() { return vrfm::TimeGrid::uniform(0, 1, 20); }

  static constexpr int shown_paths = 300, shown_points = 1500;
  static constexpr int map_times = 50, map_positions = 50, map_samples = 40'000;

  Exec exec_;
  Options options_;
  Folder folder_;
  Mixture source_, target_;
  Samples held_out_;
  std::vector<double> bandwidths_;
};

}  // namespace synthetic
