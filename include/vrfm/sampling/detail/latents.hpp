// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Draws of z ~ N(mu, diag(exp(s))): z = mu + exp(s/2) e, from a posterior's or a learned prior's
// moments, or from N(0, I).
#pragma once

#include <vrfm/integrators/sample_block.hpp>
#include <vrfm/models/latent_model.hpp>
#include <vrfm/models/log_variance.hpp>
#include <vrfm/sampling/condition_tables.hpp>

namespace vrfm::detail {

/// Row: z at the address (sample, draw) of its purpose; moments empty: N(0, I).
template <class T>
struct DrawLatent {
  SampleBlock block;
  Purpose purpose;
  ConstMatrix<T> moments;
  Matrix<T> z;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    block.stream(purpose).normal(block.id(i), block.draw, 0, z.cols, z.row(i));
    if (moments.empty()) return;
    for (int j = 0; j < z.cols; ++j) {
      const T s = limited_log_variance(moments(i, z.cols + j));
      z(i, j) = moments(i, j) + math::exp(s / T(2)) * z(i, j);
    }
  }
};

/// z ~ p(z | x0, c) of a block whose trajectories begin at x0. What the prior does not see may be
/// empty.
VRFM_UNCHECKED_HOST_DEVICE
template <class Ctx, class Prior, class P, class T>
KOKKOS_FUNCTION void draw_from_prior(const Ctx& ctx, const Prior& prior, const P* p,
                                     const SampleBlock& block, ConstMatrix<T> x0,
                                     const Condition<T>& c, Matrix<T> z, Arena<T>& arena) {
  const auto mark = arena.used();
  Matrix<T> moments;
  if (!prior.standard()) {
    moments = arena.take(block.count, 2 * z.cols);
    LatentInputs<T> inputs{};
    if (contains(prior.input(), EncoderInput::x0)) inputs.x0 = x0;
    inputs.condition = taken_of(c, prior.inputs());
    saved_of<Prior, T, P>* const unsaved = nullptr;
    prior.moments(ctx, p, inputs, moments, unsaved, arena);
  }
  ctx.each_row(block.count, DrawLatent<T>{block, Purpose::prior, moments, z});
  arena.rewind(mark);
}

}  // namespace vrfm::detail
