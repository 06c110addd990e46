// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elbo: variational rectified flow matching (Guo and Schwing 2025), the negative evidence lower bound up
// to constants, with one reparameterised draw z ~ q(z | inputs, c) a sample:
//   E weight(t) d(v(x_t, t, z | c) - u) + beta KL(q || p(z | x0, c)),
// p = N(0, I) unless the networks have a learned prior; d is the squared distance.
#pragma once

#include <vrfm/objectives/posterior_term.hpp>
#include <vrfm/objectives/velocity_term.hpp>
#include <vrfm/paths/path_point.hpp>

namespace vrfm {

template <class Path = LinearSchedule, class Times = DefaultTimes<Path>, class D = SquaredDistance,
          class W = UnitWeight>
struct BasicElbo {
  static_assert(RequireLossParts<Path, Times, D, W>::ok);
  static constexpr std::array<const char*, 2> terms = {"velocity", "kl"};
  /// Of a posterior and prior that see neither x0 nor x_t.
  static constexpr bool gives_source_gradient = true;

  StepFunction beta = 1.0;
  Reduction velocity = Reduction::sum;
  Reduction kl = Reduction::sum;
  double free_bits = 0;  ///< nats that each dimension's KL counts at least (Kingma et al. 2016)
  double rate = 0;       ///< nats that a LearnedBeta brings the KL to; beta then multiplies it
  Path path = {};
  Times times = {};
  D distance = {};
  W time_weight = {};

  /// Throws std::invalid_argument naming what does not fit.
  template <class Networks>
  void check(const Networks& networks) const {
    check_part(path);
    check_part(distance);
    check_part(time_weight);
    check_part(times);
    check_latent(networks, "Elbo", "VelocityLoss", beta, free_bits, rate);
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
    PosteriorPass<Networks, T> posterior;
    posterior.forward(
        ctx, problem, {problem.x0, problem.x1, point.x, point.t, problem.condition},
        {beta, reduction_factor(kl, latent), static_cast<T>(free_bits), problem.row_weight, rate},
        problem.losses.col_range(1, 1), arena);

    Condition<T> condition = problem.condition;
    condition.z = posterior.draw.z;
    VelocityPass<VelocityOf<Networks>, T, P> pass;
    pass.forward(ctx, networks.velocity, p, condition, {point.t, point.x, {}}, problem.dropout(),
                 arena);
    ctx.each_row(rows,
                 VelocityError<T, D, W>{point.t, point.u, pass.v, problem.losses,
                                        static_cast<T>(reduction_factor(velocity, pass.v.cols)),
                                        static_cast<T>(problem.row_weight), distance, time_weight});

    if (!problem.gradient.ignored()) {
      const Matrix<T> dz = arena.take(rows, latent);
      pass.backward(ctx, networks.velocity, p, problem.gradient, pass.v, dz, arena, problem.dx0);
      if (!problem.dx0.empty()) {
        source_gradient<Ctx, T>(ctx, path, point.t, pass.v, problem.dx0);
      }
      posterior.backward(ctx, problem, dz, arena);
    }
    arena.rewind(mark);
  }
};

using Elbo = BasicElbo<>;

}  // namespace vrfm
