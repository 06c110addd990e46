// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fixed steps on a time grid: `steps` equal steps in each interval; n steps have n + 1 times. With
// last_step > 0 the steps of the last interval end that long before the grid does, and one more
// step of that length follows (249 steps on [0, 0.96] and one of 0.04: Ma et al. 2024, "SiT").
#pragma once

#include <cmath>
#include <limits>

#include <vrfm/integrators/grid.hpp>
#include <vrfm/integrators/velocity.hpp>

namespace vrfm {

struct StepPlan {
  GridView grid;
  int steps = 1;
  double last_step = 0;  ///< a length: positive whatever the direction

  /// Steps from the first to the last time.
  KOKKOS_INLINE_FUNCTION int count() const {
    return steps * grid.intervals + (last_step > 0 ? 1 : 0);
  }

  /// The time before step n, or after step n - 1.
  KOKKOS_INLINE_FUNCTION double time(int n) const {
    if (n >= count()) return grid.end;
    const int interval = math::minimum(n / steps, grid.intervals - 1);
    const double first = grid(interval);
    double last = grid(interval + 1);
    if (interval == grid.intervals - 1) last -= last > first ? last_step : -last_step;
    return first + (last - first) * (n - interval * steps) / steps;
  }

  /// Which point of the grid time(n) is, or -1.
  KOKKOS_INLINE_FUNCTION int grid_point(int n) const {
    if (n == count()) return grid.intervals;
    return n % steps == 0 && n / steps < grid.intervals ? n / steps : -1;
  }
};

/// Throws std::invalid_argument unless 1 <= steps and all steps can be counted.
inline void check_steps(int steps, const TimeGrid& grid) {
  expect(steps >= 1, "a solver needs at least 1 step, got ", steps);
  expect(steps < (std::numeric_limits<int>::max)() / grid.intervals(), "a solver cannot count ",
         steps, " steps in each of ", grid.intervals(), " intervals");
}

/// Throws std::invalid_argument if a type of this machine epsilon does not tell the times before and after
/// a step apart.
inline void check_resolution(const StepPlan& plan, const TimeGrid& grid, double epsilon) {
  const auto check = [&](double from, double to, int steps) {
    const double step = std::fabs(to - from) / steps;
    const double resolution = epsilon * math::maximum(std::fabs(from), std::fabs(to));
    expect(step > resolution, "steps of ", step, " between the times ", from, " and ", to,
           " are below the resolution of the type of the samples there, which is ", resolution,
           ": expected fewer steps, times nearer to 0, or samples of double");
  };
  if (plan.last_step > 0) check(grid.end() - plan.last_step, grid.end(), 1);
  if (grid.times().empty()) {
    check(grid.begin(), grid.end(), grid.intervals() * plan.steps);
  } else {
    for (int n = 0; n < grid.intervals(); ++n) check(grid[n], grid[n + 1], plan.steps);
  }
}

/// Where a fixed step stands. Random draws along the trajectory take their address from it.
struct StepAddress {
  SampleBlock block;
  std::uint32_t step = 0;
  bool last = false;
};

}  // namespace vrfm
