// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Log densities under a flow. With a = integral of div v dt along a trajectory from one end to the
// other, log p_end(x_end) = log p_begin(x_begin) - a in either direction of time, so the density of
// a given point comes from integrating it back to the source, and that of a sample comes along with
// it. Where trajectories have a latent z, the density of a point is the mean over draws of z,
//   log p(x) = log 1/M sum_m p(x | z_m),
// whose effective number of draws is (sum p)^2 / sum p^2, between 1 and M. Where the divergence is
// estimated, each log p(x | z_m) is noisy, and the mean of their exponentials is biased upwards; the
// exact divergence has no such bias.
#pragma once

#include <algorithm>
#include <cmath>

#include <vrfm/sampling/detail/density_programs.hpp>
#include <vrfm/sampling/sample.hpp>

namespace vrfm {

struct LikelihoodOptions {
  double source_time = 0;
  double data_time = 1;
  Divergence divergence = Divergence::exact;
  int probes = 1;                ///< of an estimated divergence
  int draws = 1;                 ///< M: draws of z; each is a trajectory
  std::uint32_t first_draw = 0;  ///< number of the first of them: other numbers, other z and probes
  std::uint32_t seed = 0;        ///< of z and of the probes
  std::uint64_t first_id = 0;    ///< id of row 0
  Launch launch = {};
};

/// An element for each point; NaN where a trajectory failed.
template <Real T, ExecutionSpace Exec>
struct Likelihood {
  Array<T, Exec> log_density;      ///< nats
  Array<T, Exec> effective_draws;  ///< (sum p)^2 / sum p^2; 0 where the density is 0
  Result result;                   ///< steps and evaluations are summed over the draws
};

/// The standard error of the log of a mean of `draws` densities, to first order: sqrt(1 / effective_draws - 1 / draws).
/// It is too small where few draws have all the density: 0 of a single one.
inline double log_density_error(double effective_draws, int draws) {
  return std::sqrt((std::max)(0.0, 1 / effective_draws - 1.0 / draws));
}

/// Samples with the log densities that they were drawn with: under their own z, if there is one.
template <Real T, ExecutionSpace Exec>
struct SamplesWithDensity {
  Table<T, Exec> x;
  Array<T, Exec> log_density;
  Result result;
};

/// Log densities of `points` (points x field.dimension(), row-major) at options.data_time under the
/// flow that begins as `source` at options.source_time. z and probes are drawn at Use::likelihood, so
/// they are not those that a sample was drawn with under the same seed. Waits for the end. Throws
/// std::invalid_argument for impossible settings and extents, and if z depends on x0.
template <ExecutionSpace Exec, class Field, class Source, class View, class Solver>
Likelihood<FieldValue<Field>, Exec> log_density(const Exec& exec, const Field& field,
                                                const Source& source, const View& points,
                                                const Solver& solver,
                                                const LikelihoodOptions& options = {}) {
  using T = FieldValue<Field>;
  Likelihood<T, Exec> out;
  if constexpr (RequireField<Field>::ok && RequireDensity<Source, T>::ok &&
                RequireTable<View, Field, Exec>::ok && RequireSolver<Solver, Field>::ok &&
                RequireDifferentiable<Field>::ok) {
    const TimeGrid grid{options.data_time, options.source_time};
    detail::check_solver<T>(solver, grid, options.launch);
    expect(options.draws >= 1, "a likelihood needs at least 1 draw of z, got ", options.draws);
    narrow<std::uint32_t>((std::int64_t{options.first_draw} + options.draws) * options.probes,
                          "the number of probes of all draws");
    expect(!depends_on_start(field), "a likelihood integrates from the data back to the source, ",
           "but this field's z depends on x0, which is not known before the end");
    expect_same("the table of points", points.extent(1), "the velocity field",
                static_cast<std::size_t>(field.dimension()), "columns");
    detail::check_source(source, field);
    out.log_density = Array<T, Exec>("vrfm::log_density", points.extent(0));
    out.effective_draws = Array<T, Exec>("vrfm::log_density::effective_draws", points.extent(0));
    const detail::EvaluateDensities<Field, Source, Solver, T> program{
        {field, options.divergence, options.probes},
        source,
        solver,
        GridView{grid.begin(), grid.end(), grid.intervals()},
        matrix(points),
        options.first_draw,
        options.draws,
        out.log_density.data(),
        out.effective_draws.data()};
    const SampleBlock all =
        detail::all_samples(points.extent(0), options.seed, options.first_id, Use::likelihood);
    out.result =
        detail::run_trajectories<T>(exec, "vrfm::log_density", program, all, options.launch);
  }
  return out;
}

/// `options.count` samples with their log densities at the end of the grid: those of sample(), drawn at
/// Use::sampling. Failures as in Likelihood; throws as log_density does.
template <ExecutionSpace Exec, class Field, class Source, class Solver>
SamplesWithDensity<FieldValue<Field>, Exec> sample_with_density(
    const Exec& exec, const Field& field, const Source& source, const Solver& solver,
    const SampleOptions& options, Divergence divergence = Divergence::exact, int probes = 1) {
  using T = FieldValue<Field>;
  SamplesWithDensity<T, Exec> out;
  if constexpr (RequireField<Field>::ok && RequireSource<Source, T>::ok &&
                RequireDensity<Source, T>::ok && RequireSolver<Solver, Field>::ok &&
                RequireDifferentiable<Field>::ok) {
    detail::check_solver<T>(solver, options.grid, options.launch);
    expect(!depends_on_start(field), "a sample's density under its z needs a z that is ",
           "independent of x0, but this field's z depends on it");
    detail::check_source(source, field);
    out.x = Table<T, Exec>("vrfm::sample_with_density", options.count,
                           static_cast<std::size_t>(field.dimension()));
    out.log_density = Array<T, Exec>("vrfm::sample_with_density::log_density", options.count);
    const DeviceGrid<Exec> grid(exec, options.grid);
    const detail::SampleDensities<Field, Source, Solver, T> program{
        {field, divergence, probes}, source, solver, grid.view(), matrix(out.x),
        out.log_density.data()};
    const SampleBlock all =
        detail::all_samples(options.count, options.seed, options.first_id, Use::sampling);
    out.result = detail::run_trajectories<T>(exec, "vrfm::sample_with_density", program, all,
                                             options.launch);
  }
  return out;
}

}  // namespace vrfm
