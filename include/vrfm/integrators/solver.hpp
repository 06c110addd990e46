// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Solvers: values that move samples along a velocity field over a time grid, by fixed steps
// (FixedSolver) or by steps that they choose (AdaptiveSolver). A field with noise, dx = f dt + g
// dW, has `static constexpr bool stochastic = true`, and so has a solver that draws noise. One
// without the other would solve another equation, and does not compile.
#pragma once

#include <vrfm/integrators/step_plan.hpp>

namespace vrfm {

/// A solver of fixed steps: see RungeKutta, EulerMaruyama.
template <class S>
concept FixedSolver = requires(const S& solver, const GridView& grid, const StepPlan& plan) {
  { solver.plan(grid) } -> std::same_as<StepPlan>;
  { solver.evaluations(plan) } -> std::same_as<int>;
};

/// A solver that chooses its steps: see AdaptiveRungeKutta.
template <class S>
concept AdaptiveSolver = requires(const S& solver) {
  solver.norm;
  S::Tableau::error;
  S::Tableau::dense;
};

/// True for fields and solvers that have noise.
template <class F>
inline constexpr bool is_stochastic = requires { requires F::stochastic; };

namespace detail {

template <class S>
concept AnySolver = FixedSolver<S> || AdaptiveSolver<S>;

template <class S>
concept ChecksGrid = requires(const S& solver, const TimeGrid& grid) { solver.check(grid); };

template <class S, class Field>
concept SolverOf = AnySolver<S> && is_stochastic<S> == is_stochastic<Field>;

}  // namespace detail

/// Says in one sentence why `S` cannot move samples along `Field`.
template <class S, class Field>
struct RequireSolver {
  static_assert(detail::AnySolver<S>,
                "vrfm: this is no solver; expected one of fixed steps, with plan(grid) -> StepPlan "
                "and evaluations(plan) -> int, or an adaptive one, with a norm and a Tableau that "
                "has an error estimate and dense output");
  static_assert(!detail::AnySolver<S> || detail::ChecksGrid<S>,
                "vrfm: a solver needs check(const TimeGrid&) const");
  static_assert(!detail::AnySolver<S> || !is_stochastic<Field> || is_stochastic<S>,
                "vrfm: the field has noise, but the solver would leave it out; expected a "
                "stochastic solver, such as EulerMaruyama or StochasticHeun");
  static_assert(!detail::AnySolver<S> || is_stochastic<Field> || !is_stochastic<S>,
                "vrfm: the solver draws noise, but the field has none; expected a "
                "StochasticVelocity, or a solver without noise");
  static constexpr bool ok = detail::SolverOf<S, Field> && detail::ChecksGrid<S>;
};

}  // namespace vrfm
