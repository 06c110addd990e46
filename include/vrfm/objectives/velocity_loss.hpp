// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// VelocityLoss: rectified flow matching, E |v(x_t, t) - u|^2 (Liu, Gong and Liu 2023).
#pragma once

#include <vrfm/objectives/objective.hpp>

namespace vrfm {

struct VelocityLoss {
  Reduction velocity = Reduction::sum;
  static constexpr double beta = 0;

  template <class Networks>
  void check(const Networks& networks) const {
    expect(networks.velocity.latent() == 0,
           "VelocityLoss trains a flow without latent variable, got latent = ",
           networks.velocity.latent(), "; use Elbo");
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const Networks& networks, const T* p,
                                  Gradient<T> g, const Pairs<T>& pairs, const DrawAddress& draws,
                                  double weight, Matrix<T> losses, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = pairs.x_t.rows, dimension = pairs.x_t.cols;
    const Matrix<T> v = arena.take(rows, dimension);
    typename decltype(networks.velocity)::template Saved<T> saved;
    networks.velocity.forward(ctx, p, draws, pairs.t, pairs.x_t, Matrix<T>(), v, saved, arena);
    ctx.map(rows, 1, Fill<T>{losses.col_range(1, 1), T(0)});
    ctx.each_row(
        rows, detail::SquaredError<T>{pairs.u, v, losses,
                                      static_cast<T>(detail::reduction_factor(velocity, dimension)),
                                      static_cast<T>(weight)});
    if (!g.ignored()) {
      networks.velocity.backward(ctx, p, g, v, Matrix<T>(), Matrix<T>(), saved, arena);
    }
    arena.rewind(mark);
  }
};

}  // namespace vrfm
