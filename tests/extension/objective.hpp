// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An objective of one's own with two named terms and a second point of the path: the velocity's loss at
// t, and how far the velocity at t / 2 on the same path is from that answer (which counts as a constant).
#pragma once

#include <vrfm/objectives/velocity_term.hpp>
#include <vrfm/paths/path_point.hpp>

namespace extension {

/// Row function: r = t / 2
template <class T>
struct HalfTime {
  vrfm::ConstMatrix<T> t;
  vrfm::Matrix<T> r;
  KOKKOS_FUNCTION void operator()(int i) const { r(i, 0) = t(i, 0) / T(2); }
};

struct AgreementLoss {
  static constexpr std::array<const char*, 2> terms = {"velocity", "agreement"};

  vrfm::StepFunction weight = 0.1;

  template <class Networks>
  void check(const Networks& networks) const {
    weight.check("the weight of agreement");
    vrfm::expect(networks.velocity.inputs().latent == 0, "AgreementLoss knows no latent variable");
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const vrfm::LossProblem<Networks, T>& problem,
                                  vrfm::Arena<T>& arena) const {
    using vrfm::Matrix;
    const auto mark = arena.used();
    const int rows = problem.rows(), dimension = problem.x0.cols;
    const vrfm::LinearSchedule path;
    const auto at_t = vrfm::draw_point<Ctx, T>(ctx, path, vrfm::UniformTime{}, problem.draws,
                                               problem.x0, problem.x1, arena);
    const auto at_r = vrfm::PathPoint<T>::take(rows, dimension, arena);
    ctx.each_row(rows, HalfTime<T>{at_t.t, at_r.t});
    ctx.each_row(rows, vrfm::Interpolate<T>{path, at_r.t, problem.x0, problem.x1, at_r.x, at_r.u});

    const auto& model = problem.networks.velocity;
    const T* p = problem.parameters;
    vrfm::VelocityPass<vrfm::VelocityOf<Networks>, T> one, other;
    one.forward(ctx, model, p, problem.condition, {at_t.t, at_t.x, {}}, problem.dropout(), arena);
    other.forward(ctx, model, p, problem.condition, {at_r.t, at_r.x, {}}, problem.dropout(), arena);
    const Matrix<T> answer = arena.take(rows, dimension);
    ctx.map(rows, dimension, vrfm::Copy<T>{one.v, answer});
    // The step is known in kernels alone, so a weight that varies scales inside one.
    const T row_weight = static_cast<T>(problem.row_weight);
    ctx.each_row(rows, vrfm::VelocityError<T>{at_t.t, at_t.u, one.v, problem.losses.col_range(0, 1),
                                              T(1), row_weight});
    ctx.each_row(rows, vrfm::VelocityError<T>{at_r.t, answer, other.v,
                                              problem.losses.col_range(1, 1), T(1), row_weight});
    ctx.each_row(rows, vrfm::ScaleByStep<T>{weight, problem.draws.step, other.v});
    if (!problem.gradient.ignored()) {
      one.backward(ctx, model, p, problem.gradient, one.v, Matrix<T>(), arena);
      other.backward(ctx, model, p, {problem.gradient.values, true}, other.v, Matrix<T>(), arena);
    }
    arena.rewind(mark);
  }
};

}  // namespace extension
