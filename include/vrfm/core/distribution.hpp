// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Distributions: light values that, inside a kernel, draw a sample or compute its log density; and
// Slot, where a coupling writes one training sample. Besides what the concepts below ask for, one that is drawn from may
// have
//   check(batch)         throws std::invalid_argument unless a global batch may have this size
//   prepare(exec, address, purpose, batch)
//                        fills its tables for the samples 0 ... batch - 1 of the step at `address`, which are then drawn
//                        from the stream of that purpose; it allocates nothing, and does not fence unless it says
//   prepares_on_host     static constexpr bool, true: see couplings/coupling.hpp
#pragma once

#include <concepts>
#include <cstdint>

#include <vrfm/core/concepts.hpp>
#include <vrfm/core/random.hpp>

namespace vrfm {

/// What is written of a sample besides x0 and x1: its condition c (see Condition in models/condition.hpp), and z
/// where the pair was made with one.
struct ConditionShape {
  int classes = 0;        ///< labels are 0 ... classes - 1; 0: no label
  int columns = 0;        ///< of the vector; 0: none
  int field_columns = 0;  ///< elements of the field; 0: none
  bool dropped = false;   ///< whether it counts as not given in some samples
  int latent = 0;         ///< columns of z, no part of c and not dropped with it; 0: none

  bool operator==(const ConditionShape&) const = default;

  /// True if there is a c: a label, a vector or a field.
  KOKKOS_INLINE_FUNCTION bool conditional() const {
    return classes > 0 || columns > 0 || field_columns > 0;
  }
};

/// Where one sample is written. What the writer's condition() does not have is null.
template <class T>
struct Slot {
  T* x0;                  ///< [dimension]
  T* x1;                  ///< [dimension]
  std::int32_t* label;    ///< [1]
  T* vector;              ///< [columns]
  T* field;               ///< [field_columns]
  std::int32_t* dropped;  ///< [1], 0 at first; set if the condition counts as not given, and then
                          ///< the rest of it need not be written
  T* z = nullptr;         ///< [latent]
};

/// Draws the sample at (sample, step) of a stream into x [dimension()].
template <class D, class T>
concept Distribution = requires(const D& distribution, const RandomStream& stream, T* x) {
  { distribution.dimension() } -> std::convertible_to<int>;
  distribution.draw(std::uint64_t{}, std::uint32_t{}, stream, x);
};

/// Draws x1 and the condition of one sample into a slot.
template <class D, class T>
concept ConditionalDistribution =
    requires(const D& distribution, const RandomStream& stream, const Slot<T>& slot) {
      { distribution.dimension() } -> std::convertible_to<int>;
      { distribution.condition() } -> std::same_as<ConditionShape>;
      distribution.draw(std::uint64_t{}, std::uint32_t{}, stream, slot);
    };

namespace detail {

template <class S>
concept HasDimension = requires(const S& source) {
  { source.dimension() } -> std::convertible_to<int>;
};

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

/// Says in one sentence what a target of `T`, with or without a condition, lacks.
template <class D, class T>
struct RequireTarget {
  static_assert(detail::HasDimension<D>, "vrfm: a target needs dimension() -> int");
  static_assert(!detail::HasDimension<D> || Distribution<D, T> || ConditionalDistribution<D, T>,
                "vrfm: a target needs draw(std::uint64_t sample, std::uint32_t step, const "
                "RandomStream&, T* x) const, or with const Slot<T>& in place of x where it has "
                "condition() -> ConditionShape");
  static constexpr bool ok = Distribution<D, T> || ConditionalDistribution<D, T>;
};

/// Computes the log density, in nats, of x [dimension()].
template <class D, class T>
concept LogDensity = requires(const D& density, const T* x) {
  { density.dimension() } -> std::convertible_to<int>;
  { density.log_density(x) } -> std::convertible_to<T>;
};

/// The condition, and z, that a coupling or distribution writes.
template <class C>
KOKKOS_INLINE_FUNCTION ConditionShape condition_of(const C& drawn) {
  if constexpr (requires { drawn.condition(); }) {
    return drawn.condition();
  } else {
    return {};
  }
}

/// Whether `prepare` is partly the host's work.
template <class C>
inline constexpr bool prepares_on_host = requires { requires C::prepares_on_host; };

/// Throws std::invalid_argument if `drawn` was made for another global batch.
template <class C>
void check_batch(const C& drawn, int batch) {
  if constexpr (requires { drawn.check(batch); }) drawn.check(batch);
}

/// Lets a distribution with tables prepare the step at `address`.
template <ExecutionSpace Exec, class D>
void prepare_draws(const Exec& exec, const D& distribution, const DrawAddress& address,
                   Purpose purpose, int batch) {
  if constexpr (requires { distribution.prepare(exec, address, purpose, batch); }) {
    distribution.prepare(exec, address, purpose, batch);
  }
}

}  // namespace vrfm
