// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the time loop of fixed steps does besides stepping.
#pragma once

#include <vrfm/integrators/saver.hpp>
#include <vrfm/integrators/status.hpp>
#include <vrfm/integrators/step_plan.hpp>

namespace vrfm::detail {

/// Element (0, 0): sets time and length of step n for all rows.
template <class T>
struct SetStep {
  StepPlan plan;
  Matrix<T> t, h;
  int n;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int) const {
    const double time = plan.time(n);
    t(i, 0) = static_cast<T>(time);
    h(i, 0) = static_cast<T>(plan.time(n + 1) - time);
  }
};

/// Row: shows x before step n to the saver, if that time is a point of the grid.
template <class T, class Saver>
struct SaveFixed {
  Saver saver;
  StepPlan plan;
  SampleBlock block;
  ConstMatrix<T> x;
  int n;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    saver(plan.grid_point(n), block.first_row + i, static_cast<T>(plan.time(n)), x.row(i), x.cols);
  }

  template <class Ctx>
  KOKKOS_FUNCTION void run(const Ctx& ctx) const {
    if constexpr (!std::is_same_v<Saver, NoSaver>) {
      if (plan.grid_point(n) >= 0) ctx.each_row(block.count, *this);
    }
  }
};

/// Row: writes the tally. An element that was ever not finite still is, since steps only add to x.
template <class T>
struct FinishFixed {
  ConstMatrix<T> x;
  TrajectoryStatus* status;
  int steps;
  int evaluations;
  int saved;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    bool finite = true;
    for (int j = 0; j < x.cols; ++j) finite = finite && math::is_finite(x(i, j));
    status[i].steps += steps;
    status[i].evaluations += evaluations;
    status[i].saved = saved;
    if (!finite) status[i].reason = Reason::not_finite;
  }
};

}  // namespace vrfm::detail
