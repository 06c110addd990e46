// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A posterior of one's own: mu and s of z are one dense layer of x1.
#pragma once

#include <vrfm/layers/dense.hpp>
#include <vrfm/models/latent_model.hpp>

namespace extension {

class LinearPosterior {
 public:
  template <class T>
  struct Saved {
    vrfm::Matrix<const T> x1;
  };

  LinearPosterior() = default;
  LinearPosterior(vrfm::ParameterList& list, const std::string& name, int dimension, int latent)
      : latent_(latent), layer_(list, name, dimension, 2 * latent) {}

  KOKKOS_FUNCTION int latent() const { return latent_; }
  KOKKOS_FUNCTION vrfm::EncoderInput input() const { return vrfm::EncoderInput::x1; }
  KOKKOS_FUNCTION vrfm::ModelInputs inputs() const { return {.latent = latent_}; }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void moments(const Ctx& ctx, const T* p, const vrfm::LatentInputs<T>& inputs,
                               vrfm::Matrix<T> moments, Saved<T>* saved,
                               vrfm::Arena<T>& arena) const {
    vrfm::Dense<>::Saved<T>* const none = nullptr;
    layer_.forward(ctx, p, inputs.x1, moments, none, arena);
    if (saved != nullptr) saved->x1 = inputs.x1;
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, vrfm::Gradient<T> g,
                                vrfm::ConstMatrix<T> dmoments, const vrfm::ConditionGradient<T>&,
                                const Saved<T>& saved, vrfm::Arena<T>& arena) const {
    layer_.backward(ctx, p, g, saved.x1, dmoments, vrfm::Matrix<T>(), {}, arena);
  }

 private:
  int latent_ = 0;
  vrfm::Dense<> layer_;
};

}  // namespace extension
