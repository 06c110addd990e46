// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sampling: draws x0 from a source and moves it along a velocity field; or moves a caller's own
// samples. The elements depend on (seed, id of the sample) alone: not on threads, nor on how samples
// are split over calls. Everything is drawn at Use::sampling.
#pragma once

#include <limits>

#include <vrfm/sampling/detail/sample_programs.hpp>
#include <vrfm/sampling/detail/trajectories.hpp>
#include <vrfm/sampling/model_velocity.hpp>
#include <vrfm/sampling/require.hpp>

namespace vrfm {

struct IntegrationOptions {
  TimeGrid grid = {};          ///< from 0 to 1
  std::uint32_t seed = 0;      ///< of z and of diffusion
  std::uint64_t first_id = 0;  ///< id of row 0
  Launch launch = {};
};

struct SampleOptions {
  std::size_t count = 1;
  TimeGrid grid = {};          ///< from 0 to 1
  std::uint32_t seed = 0;      ///< of x0, z and diffusion
  std::uint64_t first_id = 0;  ///< id of the first sample: continue a series with the next call
  Launch launch = {};
};

namespace detail {

template <Real T, class Solver>
void check_solver(const Solver& solver, const TimeGrid& grid, const Launch& launch) {
  solver.check(grid);
  StepPlan plan{GridView{grid.begin(), grid.end(), grid.intervals()}};
  if constexpr (FixedSolver<Solver>) plan = solver.plan(plan.grid);
  check_resolution(plan, grid, static_cast<double>(std::numeric_limits<T>::epsilon()));
  if constexpr (AdaptiveSolver<Solver>) {
    expect(solver.norm == ErrorNorm::sample || launch.execution == Execution::batch,
           "an error norm over the batch needs Execution::batch");
  }
}

/// "the source has 2 columns but the velocity field has 3 columns"
template <class Source, class Field>
void check_source(const Source& source, const Field& field) {
  expect_same("the source", static_cast<std::size_t>(source.dimension()), "the velocity field",
              static_cast<std::size_t>(field.dimension()), "columns");
  if constexpr (requires { field.check_source(source); }) field.check_source(source);
}

template <class Exec, class Field, class Begin, class Solver, class S, class T, class Options>
Result transport(const Exec& exec, const Field& field, const Begin& begin, const Solver& solver,
                 const S& saver, Matrix<T> x, const Options& options) {
  check_solver<T>(solver, options.grid, options.launch);
  if constexpr (requires { solver.check_field(field); }) solver.check_field(field);
  expect_same("the table of samples", static_cast<std::size_t>(x.cols), "the velocity field",
              static_cast<std::size_t>(field.dimension()), "columns");
  const DeviceGrid<Exec> grid(exec, options.grid);
  const TransportSamples<Field, Begin, Solver, S, T> program{field,       begin, solver,
                                                             grid.view(), saver, x};
  const SampleBlock all =
      all_samples(static_cast<std::size_t>(x.rows), options.seed, options.first_id, Use::sampling);
  return run_trajectories<T>(exec, "vrfm::integrate", program, all, options.launch);
}

}  // namespace detail

/// Moves the rows of `x` (samples x field.dimension(), row-major) in place from the beginning to
/// the end of the grid. A failed trajectory is in the result, and its row is where it stopped.
/// Throws std::invalid_argument for impossible settings and extents. Waits for the end.
template <ExecutionSpace Exec, class Field, class View, class Solver, class S = NoSaver>
[[nodiscard]] Result integrate_all(const Exec& exec, const Field& field, const View& x,
                                   const Solver& solver, const IntegrationOptions& options = {},
                                   const S& saver = {}) {
  using T = FieldValue<Field>;
  if constexpr (RequireField<Field>::ok && RequireOutput<View, Field, Exec>::ok &&
                RequireSolver<Solver, Field>::ok && RequireSaver<S, T>::ok) {
    const Matrix<T> table = matrix(x);
    return detail::transport(exec, field, detail::BeginAtTable<T>{table}, solver, saver, table,
                             options);
  } else {
    return {};
  }
}

/// Writes one sample to every row of `x`: a draw of `source`, moved to the end of the grid.
/// As integrate_all, and options.count must be the number of rows.
template <ExecutionSpace Exec, class Field, class Source, class View, class Solver,
          class S = NoSaver>
[[nodiscard]] Result sample_into(const Exec& exec, const Field& field, const Source& source,
                                 const View& x, const Solver& solver, const SampleOptions& options,
                                 const S& saver = {}) {
  using T = FieldValue<Field>;
  if constexpr (RequireField<Field>::ok && RequireSource<Source, T>::ok &&
                RequireOutput<View, Field, Exec>::ok && RequireSolver<Solver, Field>::ok &&
                RequireSaver<S, T>::ok) {
    detail::check_source(source, field);
    expect_same("the table of samples", x.extent(0), "the call", options.count, "rows");
    return detail::transport(exec, field, detail::BeginAtSource<Source, T>{source}, solver, saver,
                             matrix(x), options);
  } else {
    return {};
  }
}

/// options.count samples, one a row. Throws std::runtime_error if a trajectory did not finish.
template <ExecutionSpace Exec, class Field, class Source, class Solver, class S = NoSaver>
Table<FieldValue<Field>, Exec> sample(const Exec& exec, const Field& field, const Source& source,
                                      const Solver& solver, const SampleOptions& options,
                                      const S& saver = {}) {
  Table<FieldValue<Field>, Exec> x;
  if constexpr (RequireField<Field>::ok) {
    // Throws before so many are allocated.
    (void)detail::all_samples(options.count, options.seed, options.first_id, Use::sampling);
    x = Table<FieldValue<Field>, Exec>(
        Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::sample"), options.count,
        static_cast<std::size_t>(field.dimension()));
    sample_into(exec, field, source, x, solver, options, saver).expect_finished();
  }
  return x;
}

/// Samples of a flow without a condition; each draws its own z.
template <Real T, ExecutionSpace Exec, class Networks, Compute precision, class List, class Source,
          class Solver>
Table<T, Exec> sample(const Flow<T, Exec, Networks, precision, List>& flow, const Source& source,
                      const Solver& solver, const SampleOptions& options) {
  return sample(flow.exec(), velocity_of(flow), source, solver, options);
}

}  // namespace vrfm
