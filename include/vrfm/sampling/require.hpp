// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What sampling and likelihoods ask of a field, of its samples and savers, and of a density, one
// sentence for each broken rule. Those of a source are in core/distribution.hpp, those of a solver in
// integrators/solver.hpp.
#pragma once

#include <type_traits>

#include <vrfm/core/distribution.hpp>
#include <vrfm/integrators/saver.hpp>
#include <vrfm/integrators/velocity.hpp>

namespace vrfm {

namespace detail {

/// Whether `V` is a view of rank 2.
template <class V>
constexpr bool is_table() {
  if constexpr (Kokkos::is_view<V>::value) {
    return V::rank == 2;
  } else {
    return false;
  }
}

/// Whether a table has the numbers of a field. What is no field meets another sentence.
template <class V, class F>
constexpr bool holds() {
  if constexpr (is_table<V>() && VelocityField<F>) {
    return std::is_same_v<typename V::non_const_value_type, typename F::value_type>;
  } else {
    return is_table<V>();
  }
}

/// Whether the numbers of a table are const.
template <class V>
constexpr bool is_read_only() {
  if constexpr (is_table<V>()) {
    return std::is_const_v<typename V::value_type>;
  } else {
    return false;
  }
}

template <class V, class Exec>
constexpr bool is_accessible() {
  if constexpr (is_table<V>()) {
    return Kokkos::SpaceAccessibility<Exec, typename V::memory_space>::accessible;
  } else {
    return false;
  }
}

/// Whether `F` is differentiable once it is bound. What is no field meets another sentence.
template <class F>
constexpr bool differentiable() {
  if constexpr (!VelocityField<F>) {
    return true;
  } else if constexpr (BindableVelocity<F>) {
    return DifferentiableVelocity<decltype(std::declval<const F&>().bind(
        std::declval<const MeasureContext&>(), std::declval<const SampleBlock&>(),
        std::declval<Matrix<const typename F::value_type>>(),
        std::declval<Arena<typename F::value_type>&>()))>;
  } else {
    return DifferentiableVelocity<F>;
  }
}

}  // namespace detail

/// Says in one sentence why samples cannot move along `F`.
template <class F>
struct RequireField {
  static_assert(VelocityField<F>,
                "vrfm: this is no velocity field; expected value_type, dimension() -> int and a "
                "call field(ctx, t, x, v, arena) or bind(ctx, block, x, arena); pointwise<T>(f, "
                "dimension) makes a field of f(t, x, v)");
  static constexpr bool ok = VelocityField<F>;
};

namespace detail {
template <class F>
struct FieldValue {
  using type = double;
};
template <VelocityField F>
struct FieldValue<F> {
  using type = typename F::value_type;
};
}  // namespace detail

/// The type of a field's numbers; of what is no field, and does not compile, any.
template <class F>
using FieldValue = typename detail::FieldValue<F>::type;

/// Says in one sentence why `V` is no table of samples that move along `F` in `Exec`.
template <class V, class F, class Exec>
struct RequireTable {
  static_assert(Kokkos::is_view<V>::value, "vrfm: a table of samples needs to be a Kokkos view");
  static_assert(!Kokkos::is_view<V>::value || detail::is_table<V>(),
                "vrfm: a table of samples needs rank 2, one sample a row");
  static_assert(!detail::is_table<V>() || detail::holds<V, F>(),
                "vrfm: a table of samples needs the field's type, float or double");
  static_assert(!detail::is_table<V>() || detail::is_accessible<V, Exec>(),
                "vrfm: a table of samples needs memory that the execution space can access");
  static constexpr bool ok =
      detail::is_table<V>() && detail::holds<V, F>() && detail::is_accessible<V, Exec>();
};

/// The same of a table that is written to.
template <class V, class F, class Exec>
struct RequireOutput {
  static_assert(!detail::is_read_only<V>(),
                "vrfm: a table that samples are written to needs numbers that are not const");
  static constexpr bool ok = RequireTable<V, F, Exec>::ok && !detail::is_read_only<V>();
};

/// Says in one sentence what a saver lacks.
template <class S, class T>
struct RequireSaver {
  static_assert(Saver<S, T>,
                "vrfm: a saver needs to be trivially copyable, and operator()(int index, int row, "
                "T t, const T* x, int dimension) const");
  static constexpr bool ok = Saver<S, T>;
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
