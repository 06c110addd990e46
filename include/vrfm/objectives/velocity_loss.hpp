// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// VelocityLoss: rectified flow matching, E weight(t) d(v(x_t, t | z, c) - u), d the squared distance (Liu,
// Gong and Liu 2023). There is a z if the coupling gives it, as of the pairs of a flow that has one.
#pragma once

#include <vrfm/objectives/velocity_term.hpp>
#include <vrfm/paths/path_point.hpp>

namespace vrfm {

template <class Path = LinearSchedule, class Times = DefaultTimes<Path>, class D = SquaredDistance,
          class W = UnitWeight>
struct BasicVelocityLoss {
  static_assert(RequireLossParts<Path, Times, D, W>::ok);
  static constexpr std::array<const char*, 1> terms = {"velocity"};
  static constexpr bool gives_source_gradient = true;

  Reduction velocity = Reduction::sum;
  Path path = {};
  Times times = {};
  D distance = {};
  W time_weight = {};

  /// Throws std::invalid_argument if the networks have a posterior.
  template <class Networks>
  void check(const Networks& networks) const {
    check_part(path);
    check_part(distance);
    check_part(time_weight);
    check_part(times);
    check_no_posterior(networks, "VelocityLoss", "Elbo");
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const LossProblem<Networks, T>& problem,
                                  Arena<T>& arena) const {
    const auto mark = arena.used();
    const auto point =
        draw_point<Ctx, T>(ctx, path, times, problem.draws, problem.x0, problem.x1, arena);
    VelocityPass<VelocityOf<Networks>, T, storage_of<Networks, T>> pass;
    pass.forward(ctx, problem.networks.velocity, problem.parameters, problem.condition,
                 {point.t, point.x, {}}, problem.dropout(), arena);
    ctx.each_row(problem.rows(),
                 VelocityError<T, D, W>{point.t, point.u, pass.v, problem.losses,
                                        static_cast<T>(reduction_factor(velocity, pass.v.cols)),
                                        static_cast<T>(problem.row_weight), distance, time_weight});
    if (!problem.gradient.ignored()) {
      pass.backward(ctx, problem.networks.velocity, problem.parameters, problem.gradient, pass.v,
                    Matrix<T>(), arena, problem.dx0);
      if (!problem.dx0.empty()) {
        source_gradient<Ctx, T>(ctx, path, point.t, pass.v, problem.dx0);
      }
    }
    arena.rewind(mark);
  }
};

using VelocityLoss = BasicVelocityLoss<>;

}  // namespace vrfm
