// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elbo: variational rectified flow matching (Guo and Schwing 2025), the negative evidence lower bound up
// to constants, with one reparameterised draw z ~ q(z | inputs, c) a sample:
//   E weight(t) d(v(x_t, t, z | c) - u) + beta KL(q || p(z | x0, c)),
// p = N(0, I) unless the networks have a learned prior; d is the squared distance.
#pragma once

#include <vrfm/objectives/gaussian.hpp>
#include <vrfm/objectives/velocity_term.hpp>
#include <vrfm/paths/path_point.hpp>

namespace vrfm {

template <class Path = LinearSchedule, class Times = DefaultTimes<Path>, class D = SquaredDistance,
          class W = UnitWeight>
struct BasicElbo {
  static_assert(RequireLossParts<Path, Times, D, W>::ok);
  static constexpr std::array<const char*, 2> terms = {"velocity", "kl"};

  StepFunction beta = 1.0;
  Reduction velocity = Reduction::sum;
  Reduction kl = Reduction::sum;
  double free_bits = 0;  ///< nats that each dimension's KL counts at least (Kingma et al. 2016)
  Path path = {};
  Times times = {};
  D distance = {};
  W time_weight = {};

  /// Throws std::invalid_argument naming what does not fit.
  template <class Networks>
  void check(const Networks& networks) const {
    beta.check("Elbo's beta");
    check_part(path);
    check_part(distance);
    check_part(time_weight);
    check_part(times);
    expect(free_bits >= 0 && math::is_finite(free_bits), "Elbo needs finite free_bits >= 0, got ",
           free_bits);
    const int latent = networks.velocity.inputs().latent;
    expect(latent > 0,
           "Elbo trains a flow with a latent variable, got latent = 0; use VelocityLoss");
    const auto columns = static_cast<std::size_t>(latent);
    expect_same("the velocity network", columns, "the posterior",
                static_cast<std::size_t>(networks.posterior.latent()), "latent dimensions");
    expect_same("the velocity network", columns, "the prior",
                static_cast<std::size_t>(networks.prior.latent()), "latent dimensions");
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const LossProblem<Networks, T>& problem,
                                  Arena<T>& arena) const {
    const auto mark = arena.used();
    const Networks& networks = problem.networks;
    using P = storage_of<Networks, T>;
    const P* p = problem.parameters;
    const int rows = problem.rows(), latent = networks.posterior.latent();
    const auto point =
        draw_point<Ctx, T>(ctx, path, times, problem.draws, problem.x0, problem.x1, arena);
    const LatentInputs<T> seen{problem.x0, problem.x1, point.x, point.t, problem.condition};

    const GaussianDraw<T> draw{
        arena.take(rows, 2 * latent),
        networks.prior.standard() ? Matrix<T>() : arena.take(rows, 2 * latent),
        arena.take(rows, latent), arena.take(rows, latent)};
    const KlTerm<T> term{beta, reduction_factor(kl, latent), static_cast<T>(free_bits),
                         problem.row_weight};
    saved_of<PosteriorOf<Networks>, T, P> posterior_saved;
    saved_of<PriorOf<Networks>, T, P> prior_saved;
    networks.posterior.moments(ctx, p, seen, draw.moments, &posterior_saved, arena);
    if (!networks.prior.standard()) {
      networks.prior.moments(ctx, p, seen, draw.prior, &prior_saved, arena);
    }
    ctx.each_row(rows,
                 Reparameterize<T>{draw, term, problem.losses.col_range(1, 1), problem.draws});

    Condition<T> condition = problem.condition;
    condition.z = draw.z;
    VelocityPass<VelocityOf<Networks>, T, P> pass;
    pass.forward(ctx, networks.velocity, p, condition, {point.t, point.x, {}}, problem.dropout(),
                 arena);
    ctx.each_row(rows,
                 VelocityError<T, D, W>{point.t, point.u, pass.v, problem.losses,
                                        static_cast<T>(reduction_factor(velocity, pass.v.cols)),
                                        static_cast<T>(problem.row_weight), distance, time_weight});

    if (!problem.gradient.ignored()) {
      const Matrix<T> dz = arena.take(rows, latent), dmoments = arena.take(rows, 2 * latent);
      const Matrix<T> dprior =
          networks.prior.standard() ? Matrix<T>() : arena.take(rows, 2 * latent);
      pass.backward(ctx, networks.velocity, p, problem.gradient, pass.v, dz, arena);
      ctx.each_row(rows,
                   ReparameterizeBackward<T>{draw, term, dz, dmoments, dprior, problem.draws.step});
      networks.posterior.backward(ctx, p, problem.gradient, dmoments, ConditionGradient<T>{},
                                  posterior_saved, arena);
      if (!networks.prior.standard()) {
        networks.prior.backward(ctx, p, problem.gradient, dprior, ConditionGradient<T>{},
                                prior_saved, arena);
      }
    }
    arena.rewind(mark);
  }
};

using Elbo = BasicElbo<>;

}  // namespace vrfm
