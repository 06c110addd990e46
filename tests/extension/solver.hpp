// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A solver of one's own: the two-step method of Adams and Bashforth, x += h (3 v - v_before) / 2, whose
// first step is Euler's. Order 2 with one evaluation a step, on grids of equal steps.
#pragma once

#include <vrfm/integrators/step_plan.hpp>

namespace extension {

/// Element: x += h v on the first step, else h (3 v - before) / 2; before = v.
template <class T>
struct AdamsBashforthStep {
  vrfm::ConstMatrix<T> h, v;
  vrfm::Matrix<T> before, x;
  bool first;
  KOKKOS_FUNCTION void operator()(int i, int j) const {
    const T slope = first ? v(i, j) : (T(3) * v(i, j) - before(i, j)) / T(2);
    before(i, j) = v(i, j);
    x(i, j) += h(i, 0) * slope;
  }
};

struct AdamsBashforth2 {
  int steps = 1;  ///< in each interval of the time grid

  template <class T>
  struct Memory {
    vrfm::Matrix<T> v, before;
    KOKKOS_FUNCTION Memory(int rows, int cols, vrfm::Matrix<T>, vrfm::Arena<T>& arena)
        : v(arena.take(rows, cols)), before(arena.take(rows, cols)) {}
  };

  void check(const vrfm::TimeGrid& grid) const { vrfm::check_steps(steps, grid); }
  KOKKOS_FUNCTION vrfm::StepPlan plan(const vrfm::GridView& grid) const { return {grid, steps, 0}; }
  KOKKOS_FUNCTION int evaluations(const vrfm::StepPlan& plan) const { return plan.count(); }

  template <class Ctx, class Field, class T>
  KOKKOS_FUNCTION void step(const Ctx& ctx, const Field& field, const vrfm::StepAddress& address,
                            vrfm::ConstMatrix<T> t, vrfm::ConstMatrix<T> h, vrfm::Matrix<T> x,
                            const Memory<T>& memory, vrfm::Arena<T>& arena) const {
    field(ctx, t, x, memory.v, arena);
    ctx.map(x.rows, x.cols,
            AdamsBashforthStep<T>{h, memory.v, memory.before, x, address.step == 0});
  }
};

}  // namespace extension
