// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What sampling and likelihoods ask of a source and a field, one sentence for each broken rule. That
// of a solver is in integrators/solver.hpp.
#pragma once

#include <vrfm/core/distribution.hpp>
#include <vrfm/integrators/velocity.hpp>

namespace vrfm {

namespace detail {

template <class S>
concept HasDimension = requires(const S& source) {
  { source.dimension() } -> std::convertible_to<int>;
};

/// Whether `F` is differentiable once it is bound.
template <VelocityField F>
constexpr bool differentiable() {
  if constexpr (BindableVelocity<F>) {
    return DifferentiableVelocity<decltype(std::declval<const F&>().bind(
        std::declval<const MeasureContext&>(), std::declval<const SampleBlock&>(),
        std::declval<Matrix<const typename F::value_type>>(),
        std::declval<Arena<typename F::value_type>&>()))>;
  } else {
    return DifferentiableVelocity<F>;
  }
}

}  // namespace detail

/// Says in one sentence what a source of samples of `T` lacks.
template <class S, class T>
struct RequireSource {
  static_assert(detail::HasDimension<S>, "vrfm: a source needs dimension() -> int");
  static_assert(!detail::HasDimension<S> || Distribution<S, T>,
                "vrfm: a source that is drawn from needs draw(std::uint64_t sample, std::uint32_t "
                "step, const RandomStream&, T* x) const");
  static constexpr bool ok = Distribution<S, T>;
};

/// Says in one sentence what a source lacks whose density is asked for.
template <class S, class T>
struct RequireDensity {
  static_assert(detail::HasDimension<S>, "vrfm: a source needs dimension() -> int");
  static_assert(!detail::HasDimension<S> || LogDensity<S, T>,
                "vrfm: a likelihood needs a source with log_density(const T* x) const -> T");
  static constexpr bool ok = LogDensity<S, T>;
};

/// Says in one sentence why there is no likelihood under a field.
template <class F>
struct RequireDifferentiable {
  static_assert(detail::differentiable<F>(),
                "vrfm: a likelihood needs the field's derivative: the members Saved, linearize and "
                "tangent, a pointwise field's tangent, or a model's");
  static constexpr bool ok = detail::differentiable<F>();
};

}  // namespace vrfm
