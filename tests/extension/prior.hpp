// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A learned prior of one's own: p(z) = N(mu, diag(exp(s))) with mu and s as parameters.
#pragma once

#include <vrfm/models/latent_model.hpp>

namespace extension {

/// Element: every row gets the parameters.
template <class T>
struct SpreadRow {
  const T* row;
  vrfm::Matrix<T> out;
  KOKKOS_FUNCTION void operator()(int i, int j) const { out(i, j) = row[j]; }
};

class ShiftedPrior {
 public:
  template <class T>
  struct Saved {};

  ShiftedPrior() = default;
  ShiftedPrior(vrfm::ParameterList& list, const std::string& name, int latent)
      : latent_(latent),
        moments_(list.add(name + ".moments", {2 * static_cast<std::size_t>(latent)},
                          vrfm::Initializer::constant(0))) {}

  KOKKOS_FUNCTION int latent() const { return latent_; }
  KOKKOS_FUNCTION vrfm::EncoderInput input() const { return vrfm::EncoderInput::none; }
  KOKKOS_FUNCTION vrfm::ModelInputs inputs() const { return {.latent = latent_}; }
  KOKKOS_FUNCTION bool standard() const { return false; }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void moments(const Ctx& ctx, const T* p, const vrfm::LatentInputs<T>&,
                               vrfm::Matrix<T> moments, Saved<T>*, vrfm::Arena<T>&) const {
    ctx.map(moments.rows, 2 * latent_, SpreadRow<T>{p + moments_, moments});
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T*, vrfm::Gradient<T> g,
                                vrfm::ConstMatrix<T> dmoments, const vrfm::ConditionGradient<T>&,
                                const Saved<T>&, vrfm::Arena<T>&) const {
    if (g.ignored()) return;
    ctx.column_sum(dmoments, g.values + moments_,
                   g.accumulate ? vrfm::Update::accumulate : vrfm::Update::overwrite);
  }

 private:
  int latent_ = 0;
  std::size_t moments_ = 0;
};

}  // namespace extension
