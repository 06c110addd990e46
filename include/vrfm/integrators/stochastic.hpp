// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Solvers of dx = f(x, t) dt + g(t) dW (Kloeden and Platen, "Numerical Solution of Stochastic
// Differential Equations", chapters 10 and 15), for a StochasticVelocity. The noise is a pure
// function of (seed, use, sample, step).
#pragma once

#include <vrfm/integrators/step_plan.hpp>
#include <vrfm/integrators/stochastic_velocity.hpp>

namespace vrfm {

namespace detail {

/// Columns 4k ... 4k + 3: dw = sqrt(h) times standard normal numbers.
template <class T>
struct DrawIncrement {
  StepAddress address;
  ConstMatrix<T> h;
  Matrix<T> dw;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int k) const {
    const int first = 4 * k, count = math::minimum(4, dw.cols - first);
    T* out = dw.row(i) + first;
    address.block.stream(Purpose::diffusion)
        .normal(address.block.id(i), address.step, static_cast<std::uint32_t>(first), count, out);
    const T scale = math::sqrt(h(i, 0));
    for (int j = 0; j < count; ++j) out[j] *= scale;
  }
};

/// Element: y = x + h f + g(t) dw, or without dw y = x + h f; and t_stage = t + h, once for each
/// row.
template <class T, class System>
struct EulerMaruyamaStep {
  System system;
  ConstMatrix<T> t, h, x, f, dw;
  Matrix<T> y, t_stage;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const T noise = dw.empty() ? T(0) : system.noise(t(i, 0)) * dw(i, j);
    y(i, j) = x(i, j) + h(i, 0) * f(i, j) + noise;
    if (j == 0) set_row(t_stage, i, t(i, 0) + h(i, 0));
  }
};

/// Element: x += h (f + f_new) / 2 + (g(t) + g(t_new)) / 2 dw
template <class T, class System>
struct StochasticHeunStep {
  System system;
  ConstMatrix<T> t, t_new, h, f, f_new, dw;
  Matrix<T> x;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const T noise = (system.noise(t(i, 0)) + system.noise(t_new(i, 0))) * dw(i, j);
    x(i, j) += (h(i, 0) * (f(i, j) + f_new(i, j)) + noise) / T(2);
  }
};

/// Working memory of a stochastic step.
template <class T>
struct StochasticMemory {
  Matrix<T> f, f_new, dw, x, t;
  KOKKOS_FUNCTION StochasticMemory(int rows, int cols, Matrix<T> stage_time, Arena<T>& arena)
      : f(arena.take(rows, cols)),
        f_new(arena.take(rows, cols)),
        dw(arena.take(rows, cols)),
        x(arena.take(rows, cols)),
        t(stage_time) {}
};

/// Draws the increments of a step into `dw`.
template <class Ctx, class T>
KOKKOS_FUNCTION void draw_increments(const Ctx& ctx, const StepAddress& address, ConstMatrix<T> h,
                                     Matrix<T> dw) {
  ctx.map(dw.rows, (dw.cols + 3) / 4, DrawIncrement<T>{address, h, dw});
}

inline void check_stochastic(int steps, double last_step, const TimeGrid& grid) {
  check_steps(steps, grid);
  expect(grid.begin() < grid.end(), "a stochastic solver runs forward in time, but the grid goes ",
         "from ", grid.begin(), " to ", grid.end());
  const double interval = grid.end() - grid[grid.intervals() - 1];
  expect(last_step >= 0 && last_step < interval, "last_step must be in [0, ", interval,
         "), the last interval of the grid, got ", last_step);
}

}  // namespace detail

/// Euler-Maruyama: weak order 1 and, because the noise is additive, strong order 1. With last_step
/// > 0 the noise ends that long before the grid does, and one step of the drift alone follows.
struct EulerMaruyama {
  static constexpr bool stochastic = true;

  int steps = 1;  ///< in each interval of the time grid, the last drift step not counted
  double last_step = 0;

  template <class T>
  using Memory = detail::StochasticMemory<T>;

  /// Throws std::invalid_argument naming the first impossible setting.
  void check(const TimeGrid& grid) const { detail::check_stochastic(steps, last_step, grid); }

  KOKKOS_INLINE_FUNCTION StepPlan plan(const GridView& grid) const {
    return {grid, steps, last_step};
  }
  KOKKOS_INLINE_FUNCTION int evaluations(const StepPlan& plan) const { return plan.count(); }

  template <class Ctx, class Field, class T>
  KOKKOS_FUNCTION void step(const Ctx& ctx, const Field& field, const StepAddress& address,
                            ConstMatrix<T> t, ConstMatrix<T> h, Matrix<T> x,
                            const Memory<T>& memory, Arena<T>& arena) const {
    using System = decltype(field.system);
    const bool quiet = address.last && last_step > 0;
    field(ctx, t, x, memory.f, arena);
    if (!quiet) detail::draw_increments<Ctx, T>(ctx, address, h, memory.dw);
    const Matrix<T> dw = quiet ? Matrix<T>() : memory.dw;
    ctx.map(x.rows, x.cols,
            detail::EulerMaruyamaStep<T, System>{field.system, t, h, x, memory.f, dw, x, memory.t});
  }
};

/// Heun's predictor and corrector: weak order 2 where g is constant, strong order 1.
struct StochasticHeun {
  static constexpr bool stochastic = true;

  int steps = 1;         ///< as in EulerMaruyama
  double last_step = 0;  ///< as in EulerMaruyama; this one step is Euler's

  template <class T>
  using Memory = detail::StochasticMemory<T>;

  void check(const TimeGrid& grid) const { detail::check_stochastic(steps, last_step, grid); }

  KOKKOS_INLINE_FUNCTION StepPlan plan(const GridView& grid) const {
    return {grid, steps, last_step};
  }
  KOKKOS_INLINE_FUNCTION int evaluations(const StepPlan& plan) const {
    return 2 * plan.count() - (last_step > 0 ? 1 : 0);
  }

  template <class Ctx, class Field, class T>
  KOKKOS_FUNCTION void step(const Ctx& ctx, const Field& field, const StepAddress& address,
                            ConstMatrix<T> t, ConstMatrix<T> h, Matrix<T> x,
                            const Memory<T>& memory, Arena<T>& arena) const {
    using System = decltype(field.system);
    if (address.last && last_step > 0) {
      EulerMaruyama{steps, last_step}.step(ctx, field, address, t, h, x, memory, arena);
      return;
    }
    field(ctx, t, x, memory.f, arena);
    detail::draw_increments<Ctx, T>(ctx, address, h, memory.dw);
    ctx.map(x.rows, x.cols,
            detail::EulerMaruyamaStep<T, System>{field.system, t, h, x, memory.f, memory.dw,
                                                 memory.x, memory.t});
    field(ctx, memory.t, memory.x, memory.f_new, arena);
    ctx.map(x.rows, x.cols,
            detail::StochasticHeunStep<T, System>{field.system, t, memory.t, h, memory.f,
                                                  memory.f_new, memory.dw, x});
  }
};

}  // namespace vrfm
