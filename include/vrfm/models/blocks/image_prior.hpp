// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ImagePrior: the network of a learned prior of flows on images. Given x0 and c it is of the posterior's kind; given
// c alone there is no image to see, and it is a dense network of the label and the vector (MlpPosterior).
#pragma once

#include <vrfm/models/mlp/posterior.hpp>

namespace vrfm {

template <LatentModel Posterior>
class ImagePrior {
 public:
  static constexpr bool host_only = vrfm::host_only<Posterior>;

  template <class T, class P = T>
  struct Saved {
    saved_of<Posterior, T, P> given_source;
    typename MlpPosterior<Silu>::template Saved<T> given_condition;
  };

  ImagePrior() = default;

  /// As the posterior's constructor. Throws std::invalid_argument also for input none without a label or a vector.
  template <class Options>
  ImagePrior(ParameterList& list, const std::string& name, const Options& o)
      : sees_source_(o.input != EncoderInput::none) {
    if (sees_source_) {
      given_source_ = Posterior(list, name, o);
    } else {
      given_condition_ = MlpPosterior<Silu>(list, name,
                                            {.latent = o.latent,
                                             .classes = o.classes,
                                             .condition_columns = o.condition_columns,
                                             .input = EncoderInput::none});
    }
  }

  KOKKOS_INLINE_FUNCTION int latent() const {
    return sees_source_ ? given_source_.latent() : given_condition_.latent();
  }
  KOKKOS_INLINE_FUNCTION EncoderInput input() const {
    return sees_source_ ? given_source_.input() : given_condition_.input();
  }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const {
    return sees_source_ ? given_source_.inputs() : given_condition_.inputs();
  }

  template <class Ctx, class P, class T>
  void moments(const Ctx& ctx, const P* p, const LatentInputs<T>& inputs, Matrix<T> moments,
               Saved<T, P>* saved, Arena<T>& arena) const {
    const bool save = saved != nullptr;
    if (sees_source_) {
      given_source_.moments(ctx, p, inputs, moments, save ? &saved->given_source : nullptr, arena);
    } else {
      given_condition_.moments(ctx, p, inputs, moments, save ? &saved->given_condition : nullptr,
                               arena);
    }
  }

  template <class Ctx, class P, class T>
  void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> dmoments,
                const ConditionGradient<T>& dcondition, const Saved<T, P>& saved,
                Arena<T>& arena) const {
    if (sees_source_) {
      given_source_.backward(ctx, p, g, dmoments, dcondition, saved.given_source, arena);
    } else {
      given_condition_.backward(ctx, p, g, dmoments, dcondition, saved.given_condition, arena);
    }
  }

 private:
  bool sees_source_ = true;
  Posterior given_source_;
  MlpPosterior<Silu> given_condition_;
};

}  // namespace vrfm
