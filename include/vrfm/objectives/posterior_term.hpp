// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What objectives with a latent variable share: PosteriorPass, one draw z ~ q(z | inputs, c) with its
// term beta KL(q || p(z | x0, c)), and the backward pass of both; and the checks of what it takes.
#pragma once

#include <vrfm/models/learned_beta.hpp>
#include <vrfm/objectives/gaussian.hpp>
#include <vrfm/objectives/objective.hpp>

namespace vrfm {

/// Throws std::invalid_argument unless the networks have a latent variable, of one dimension, and the
/// term's numbers are possible. `other`: the objective for flows without it.
template <class Networks>
void check_latent(const Networks& networks, const std::string& name, const char* other,
                  const StepFunction& beta, double free_bits, double rate) {
  beta.check(name + "'s beta");
  expect(free_bits >= 0 && math::is_finite(free_bits), name, " needs finite free_bits >= 0, got ",
         free_bits);
  expect(rate >= 0 && math::is_finite(rate), name, " needs a finite rate >= 0, got ", rate);
  if constexpr (learns_beta<Networks>) {
    expect(rate > 0, "LearnedBeta finds the beta at which z tells the objective's rate: expected ",
           name, " with a rate above 0");
  } else {
    expect(rate == 0, name, " with a rate needs networks whose beta is learned, LearnedBeta<...>");
  }
  const int latent = networks.velocity.inputs().latent;
  expect(latent > 0, name, " trains a flow with a latent variable, got latent = 0; use ", other);
  expect(networks.posterior.latent() > 0, name, " trains a posterior, but this flow has none; use ",
         other, " on pairs that give z");
  const auto columns = static_cast<std::size_t>(latent);
  expect_same("the velocity network", columns, "the posterior",
              static_cast<std::size_t>(networks.posterior.latent()), "latent dimensions");
  expect_same("the velocity network", columns, "the prior",
              static_cast<std::size_t>(networks.prior.latent()), "latent dimensions");
}

/// Element: the exponential of a parameter.
template <class P, class T>
struct ExpOf {
  const P* p;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    out(i, j) = math::exp(static_cast<T>(*p));
  }
};

/// One draw of z for each row, in memory of the arena.
template <class Networks, class T>
struct PosteriorPass {
  using P = storage_of<Networks, T>;

  GaussianDraw<T> draw;
  KlTerm<T> term;
  Matrix<T> losses;
  saved_of<PosteriorOf<Networks>, T, P> posterior;
  saved_of<PriorOf<Networks>, T, P> prior;

  /// Draws draw.z and writes the KL divergence to losses(i, 0).
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const LossProblem<Networks, T>& problem,
                               const LatentInputs<T>& seen, const KlTerm<T>& kl,
                               Matrix<T> kl_losses, Arena<T>& arena) {
    const Networks& networks = problem.networks;
    const int rows = problem.rows(), latent = networks.posterior.latent();
    const bool learned = !networks.prior.standard();
    term = kl;
    losses = kl_losses;
    if constexpr (learns_beta<Networks>) {
      const Matrix<T> factor = arena.take(1, 1);
      ctx.map(1, 1, ExpOf<P, T>{problem.parameters + networks.log_beta, factor});
      term.learned = factor;
    }
    draw.moments = arena.take(rows, 2 * latent);
    draw.prior = learned ? arena.take(rows, 2 * latent) : Matrix<T>();
    draw.z = arena.take(rows, latent);
    draw.noise = arena.take(rows, latent);
    networks.posterior.moments(ctx, problem.parameters, seen, draw.moments, &posterior, arena);
    if (learned) {
      networks.prior.moments(ctx, problem.parameters, seen, draw.prior, &prior, arena);
    }
    ctx.each_row(rows, Reparameterize<T>{draw, term, losses, problem.draws});
  }

  /// Gradients of posterior and prior, from dz and from the KL divergence.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const LossProblem<Networks, T>& problem,
                                ConstMatrix<T> dz, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Networks& networks = problem.networks;
    if constexpr (learns_beta<Networks>) {
      const Gradient<T>& g = problem.gradient;
      if (!g.ignored()) {
        constexpr double scale = 1e-3;
        ctx.column_sum(
            dz.rows, 1,
            LearnedBetaGradient<T>{losses, static_cast<T>(term.factor), static_cast<T>(term.rate),
                                   static_cast<T>(scale * term.row_weight)},
            g.values + networks.log_beta, g.accumulate ? Update::accumulate : Update::overwrite);
        g.done(networks.log_beta, 1);
      }
    }
    const Matrix<T> dmoments = arena.take(dz.rows, 2 * dz.cols);
    const bool learned = !networks.prior.standard();
    const Matrix<T> dprior = learned ? arena.take(dz.rows, 2 * dz.cols) : Matrix<T>();
    ctx.each_row(dz.rows,
                 ReparameterizeBackward<T>{draw, term, dz, dmoments, dprior, problem.draws.step});
    networks.posterior.backward(ctx, problem.parameters, problem.gradient, ConstMatrix<T>(dmoments),
                                ConditionGradient<T>{}, posterior, arena);
    if (learned) {
      networks.prior.backward(ctx, problem.parameters, problem.gradient, ConstMatrix<T>(dprior),
                              ConditionGradient<T>{}, prior, arena);
    }
    arena.rewind(mark);
  }
};

}  // namespace vrfm
