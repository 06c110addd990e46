// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Variational: an objective of few steps, given one reparameterised draw z ~ q(z | x0, x1, c) a sample,
// + beta KL(q || p(z | x0, c)). z is constant along a map, which it would not be if the posterior saw
// x_t or t; that is refused. Under z the velocities that meet at one (x, t) differ less, and these
// objectives regress on differences of them (Guo and Schwing 2025 is the bound without maps: Elbo).
//
// The objective it is about has, besides the contract's members,
//   name                      what errors call it
//   check_parts(networks)     its check, but for whether there is a latent variable
// and passes problem.condition on to the velocity network and the gradient of its z to problem.dz.
#pragma once

#include <vrfm/objectives/posterior_term.hpp>
#include <vrfm/objectives/velocity_term.hpp>

namespace vrfm {

template <class O>
struct Variational {
  static constexpr auto terms = detail::terms_and<O>("kl");

  /// Of the objective's x0: the posterior, which must not see it then, has none.
  static constexpr bool gives_source_gradient = requires { requires O::gives_source_gradient; };

  O objective = {};
  StepFunction beta = 1.0;
  Reduction kl = Reduction::sum;
  double free_bits = 0;  ///< nats that each dimension's KL counts at least (Kingma et al. 2016)
  double rate = 0;       ///< nats that a LearnedBeta brings the KL to; beta then multiplies it

  /// Throws std::invalid_argument naming what does not fit.
  template <class Networks>
  void check(const Networks& networks) const {
    const std::string name = text("Variational", O::name);
    objective.check_parts(networks);
    check_latent(networks, name, O::name, beta, free_bits, rate);
    const EncoderInput seen = networks.posterior.input();
    expect(!contains(seen, EncoderInput::x_t | EncoderInput::t), name,
           " holds z along a map: expected a posterior that sees x0 and x1 at most, got ",
           name_of(seen));
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const LossProblem<Networks, T>& problem,
                                  Arena<T>& arena) const {
    const auto mark = arena.used();
    const int latent = problem.networks.posterior.latent();
    PosteriorPass<Networks, T> posterior;
    LatentInputs<T> seen{};
    seen.x0 = problem.x0;
    seen.x1 = problem.x1;
    seen.condition = problem.condition;
    posterior.forward(
        ctx, problem, seen,
        {beta, reduction_factor(kl, latent), static_cast<T>(free_bits), problem.row_weight, rate},
        problem.losses.col_range(term_count<O>, 1), arena);
    LossProblem<Networks, T> given = problem;
    given.condition.z = posterior.draw.z;
    given.losses = problem.losses.col_range(0, term_count<O>);
    given.dz = arena.take(problem.rows(), latent);
    objective(ctx, given, arena);
    if (!problem.gradient.ignored()) posterior.backward(ctx, problem, given.dz, arena);
    arena.rewind(mark);
  }
};

/// `objective` + beta KL(q || p).
template <class O>
Variational<O> variational(const O& objective, const StepFunction& beta) {
  return {objective, beta};
}

}  // namespace vrfm
