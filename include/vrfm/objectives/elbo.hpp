// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Elbo: variational rectified flow matching (Guo and Schwing 2025), the negative evidence lower
// bound up to constants, with one reparameterised draw z ~ q(z | inputs) a sample:
//   E |v(x_t, t, z) - u|^2 + beta KL(q || N(0, I)).
#pragma once

#include <vrfm/objectives/gaussian.hpp>
#include <vrfm/objectives/objective.hpp>

namespace vrfm {

struct Elbo {
  double beta = 1;
  Reduction velocity = Reduction::sum;
  Reduction kl = Reduction::sum;

  template <class Networks>
  void check(const Networks& networks) const {
    expect(beta >= 0 && math::is_finite(beta), "Elbo needs a finite beta >= 0, got ", beta);
    expect(networks.velocity.latent() > 0,
           "Elbo trains a flow with a latent variable, got latent = 0; use VelocityLoss");
    expect_same("the velocity network", static_cast<std::size_t>(networks.velocity.latent()),
                "the posterior", static_cast<std::size_t>(networks.posterior.latent()),
                "latent dimensions");
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const Networks& networks, const T* p,
                                  Gradient<T> g, const Pairs<T>& pairs, const DrawAddress& draws,
                                  double weight, Matrix<T> losses, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = pairs.x_t.rows, dimension = pairs.x_t.cols;
    const int latent = networks.velocity.latent();
    const double kl_factor = detail::reduction_factor(kl, latent);

    const Matrix<T> moments = arena.take(rows, 2 * latent);
    const Matrix<T> z = arena.take(rows, latent), noise = arena.take(rows, latent);
    const Matrix<T> v = arena.take(rows, dimension);
    typename decltype(networks.posterior)::template Saved<T> posterior_saved;
    typename decltype(networks.velocity)::template Saved<T> velocity_saved;

    networks.posterior.forward(ctx, p, pairs, moments, posterior_saved, arena);
    ctx.each_row(rows, Reparameterize<T>{moments, z, noise, losses.col_range(1, 1),
                                         static_cast<T>(kl_factor),
                                         RandomStream(draws.seed, Purpose::posterior), draws.step,
                                         draws.first_sample});
    networks.velocity.forward(ctx, p, draws, pairs.t, pairs.x_t, z, v, velocity_saved, arena);
    ctx.each_row(
        rows, detail::SquaredError<T>{pairs.u, v, losses,
                                      static_cast<T>(detail::reduction_factor(velocity, dimension)),
                                      static_cast<T>(weight)});

    if (g.ignored()) {
      arena.rewind(mark);
      return;
    }
    const Matrix<T> dz = arena.take(rows, latent), dmoments = arena.take(rows, 2 * latent);
    networks.velocity.backward(ctx, p, g, v, Matrix<T>(), dz, velocity_saved, arena);
    ctx.map(rows, latent,
            ReparameterizeBackward<T>{moments, noise, dz, dmoments,
                                      static_cast<T>(weight * beta * kl_factor)});
    networks.posterior.backward(ctx, p, g, dmoments, posterior_saved, arena);
    arena.rewind(mark);
  }
};

}  // namespace vrfm
