// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The LatentModel concept: a network that tells the diagonal Gaussian N(mu, diag(exp(s))) of z. A
// posterior q(z | chosen inputs, c) sees any of {x0, x1, x_t, t}; a prior p(z | x0, c) sees x0 at most,
// since it must be drawn from before a trajectory begins. StandardPrior is N(0, I).
//
//   latent()        columns of z; 0 of a default one: there is none
//   input()         EncoderInput: which of x0, x1, x_t, t are read
//   inputs()        ModelInputs: latent, and what of c is read
//   Saved<T>        what backward reads
//   moments(ctx, p, inputs, moments, saved, arena)
//                   mu to columns [0, latent) of `moments`, s = ln sigma^2 to [latent, 2 latent);
//                   saved == nullptr: no backward follows, and working memory is given back
//   backward(ctx, p, g, dmoments, dcondition, saved, arena)
//   standard()      of priors: true if this is N(0, I); moments is then not called
#pragma once

#include <vrfm/layers/parameters.hpp>
#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/models/condition.hpp>
#include <vrfm/models/stored.hpp>

namespace vrfm {

/// What an encoder of z sees; combine with |.
enum class EncoderInput : unsigned { none = 0, x0 = 1, x1 = 2, x_t = 4, t = 8 };

KOKKOS_INLINE_FUNCTION constexpr EncoderInput operator|(EncoderInput a, EncoderInput b) {
  return static_cast<EncoderInput>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
KOKKOS_INLINE_FUNCTION constexpr bool contains(EncoderInput set, EncoderInput element) {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(element)) != 0;
}

/// "x0+x1+x_t"
inline std::string name_of(EncoderInput set) {
  std::string names;
  const char* const each[] = {"x0", "x1", "x_t", "t"};
  for (unsigned k = 0; k < 4; ++k) {
    if (!contains(set, static_cast<EncoderInput>(1u << k))) continue;
    if (!names.empty()) names += '+';
    names += each[k];
  }
  return names;
}

/// What is given of each row: x0, x1, x_t are rows x dimension, t is rows x 1. What a model does not
/// see may be empty. condition.z is never read.
template <class T>
struct LatentInputs {
  ConstMatrix<T> x0, x1, x_t, t;
  Condition<T> condition;
};

namespace detail {

template <class M>
concept HasLatentShape = requires(const M& model) {
  { model.latent() } -> std::same_as<int>;
  { model.input() } -> std::same_as<EncoderInput>;
  { model.inputs() } -> std::same_as<ModelInputs>;
};

template <class M>
concept HasLatentSaved = requires { typename M::template Saved<float>; };

template <class M>
concept HasMoments = requires(const M& model, const MeasureContext& ctx, const float* p,
                              const LatentInputs<float>& inputs, Matrix<float> moments,
                              typename M::template Saved<float>* saved, Arena<float>& arena) {
  model.moments(ctx, p, inputs, moments, saved, arena);
};

template <class M>
concept HasLatentBackward =
    requires(const M& model, const MeasureContext& ctx, const float* p, Gradient<float> g,
             Matrix<const float> dmoments, const ConditionGradient<float>& dcondition,
             const typename M::template Saved<float>& saved, Arena<float>& arena) {
      model.backward(ctx, p, g, dmoments, dcondition, saved, arena);
    };

}  // namespace detail

template <class M>
concept LatentModel = KernelValue<M> && detail::HasLatentShape<M> && detail::HasLatentSaved<M> &&
                      detail::HasMoments<M> && detail::HasLatentBackward<M>;

template <class M>
concept PriorModel = LatentModel<M> && requires(const M& model) {
  { model.standard() } -> std::same_as<bool>;
};

/// Says in one sentence what a posterior or prior lacks.
template <class M>
struct RequireLatentModel {
  static_assert(
      KernelValue<M>,
      "vrfm: a posterior or prior needs to be trivially copyable, as it travels into kernels"
      ", or `static constexpr bool host_only = true`");
  static_assert(detail::HasLatentShape<M>,
                "vrfm: a posterior or prior needs latent() const -> int, input() const -> "
                "EncoderInput and inputs() const -> ModelInputs");
  static_assert(detail::HasLatentSaved<M>,
                "vrfm: a posterior or prior needs the member template Saved<T>");
  static_assert(!detail::HasLatentSaved<M> || detail::HasMoments<M>,
                "vrfm: a posterior or prior needs moments(const Ctx&, const T* p, const "
                "LatentInputs<T>&, Matrix<T> moments, Saved<T>*, Arena<T>&) const");
  static_assert(!detail::HasLatentSaved<M> || detail::HasLatentBackward<M>,
                "vrfm: a posterior or prior needs backward(const Ctx&, const T* p, Gradient<T>, "
                "ConstMatrix<T> dmoments, const ConditionGradient<T>&, const Saved<T>&, Arena<T>&) "
                "const");
  static constexpr bool ok = LatentModel<M>;
};

/// The posterior and the prior of a flow's networks.
template <class Networks>
using PosteriorOf = std::remove_cvref_t<decltype(Networks::posterior)>;
template <class Networks>
using PriorOf = std::remove_cvref_t<decltype(Networks::prior)>;

/// z ~ N(0, I): no parameters, and nothing to compute.
class StandardPrior {
 public:
  template <class T, class P = T>
  struct Saved {};

  StandardPrior() = default;
  explicit StandardPrior(int latent) : latent_(latent) {}

  KOKKOS_INLINE_FUNCTION int latent() const { return latent_; }
  KOKKOS_INLINE_FUNCTION EncoderInput input() const { return EncoderInput::none; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const { return {.latent = latent_}; }
  KOKKOS_INLINE_FUNCTION bool standard() const { return true; }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void moments(const Ctx&, const P*, const LatentInputs<T>&, Matrix<T>,
                               Saved<T, P>*, Arena<T>&) const {}
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx&, const P*, Gradient<T>, ConstMatrix<T>,
                                const ConditionGradient<T>&, const Saved<T, P>&, Arena<T>&) const {}

 private:
  int latent_ = 0;
};

/// p(z | x0, c) = N(mu, diag(exp(s))) by a network of the posterior's kind, or N(0, I) where there is
/// none.
template <LatentModel Network>
class GaussianPrior {
 public:
  static constexpr bool host_only = requires { requires Network::host_only; };

  template <class T, class P = T>
  using Saved = saved_of<Network, T, P>;

  /// N(0, I).
  GaussianPrior() = default;
  explicit GaussianPrior(int latent) : latent_(latent) {}

  /// Throws std::invalid_argument if the network sees more than x0 and c.
  explicit GaussianPrior(const Network& network)
      : latent_(network.latent()), standard_(false), network_(network) {
    expect(network.input() == EncoderInput::x0 || network.input() == EncoderInput::none,
           "a prior sees x0 at most, because a trajectory begins with its z");
  }

  KOKKOS_INLINE_FUNCTION int latent() const { return latent_; }
  KOKKOS_INLINE_FUNCTION EncoderInput input() const {
    return standard_ ? EncoderInput::none : network_.input();
  }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const {
    return standard_ ? ModelInputs{.latent = latent_} : network_.inputs();
  }
  KOKKOS_INLINE_FUNCTION bool standard() const { return standard_; }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void moments(const Ctx& ctx, const P* p, const LatentInputs<T>& inputs,
                               Matrix<T> moments, Saved<T, P>* saved, Arena<T>& arena) const {
    network_.moments(ctx, p, inputs, moments, saved, arena);
  }
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> dmoments,
                                const ConditionGradient<T>& dcondition, const Saved<T, P>& saved,
                                Arena<T>& arena) const {
    network_.backward(ctx, p, g, dmoments, dcondition, saved, arena);
  }

 private:
  int latent_ = 0;
  bool standard_ = true;
  Network network_;
};

}  // namespace vrfm
