// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Couplings: where training pairs (x0, x1) come from. A coupling is a light value that writes the
// pair of one (sample, step) inside a kernel; the draw depends on nothing else, so a batch may be
// split in any way.
#pragma once

#include <vrfm/core/check.hpp>
#include <vrfm/core/random.hpp>

namespace vrfm {

/// A distribution that can be drawn from inside a kernel.
template <class D, class T>
concept Distribution = requires(const D& distribution, const RandomStream& stream, T* x) {
  { distribution.dimension() } -> std::convertible_to<int>;
  distribution.draw(std::uint64_t{}, std::uint32_t{}, stream, x);
};

/// Writes x0 and x1 (dimension() numbers each) of one sample.
template <class C, class T>
concept Coupling = requires(const C& coupling, T* x) {
  { coupling.dimension() } -> std::convertible_to<int>;
  coupling.draw(std::uint64_t{}, std::uint32_t{}, std::uint32_t{}, x, x);
};

/// x0 and x1 drawn independently.
template <class Source, class Target>
class IndependentCoupling {
 public:
  /// Throws std::invalid_argument if the dimensions differ.
  IndependentCoupling(const Source& source, const Target& target)
      : source_(source), target_(target) {
    expect_same("the source", static_cast<std::size_t>(source.dimension()), "the target",
                static_cast<std::size_t>(target.dimension()), "dimensions");
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return source_.dimension(); }

  template <class T>
  KOKKOS_INLINE_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, std::uint32_t seed,
                                   T* x0, T* x1) const {
    source_.draw(sample, step, RandomStream(seed, Purpose::source), x0);
    target_.draw(sample, step, RandomStream(seed, Purpose::target), x1);
  }

 private:
  Source source_;
  Target target_;
};

/// The independent coupling of two distributions.
template <class Source, class Target>
IndependentCoupling<Source, Target> independent(const Source& source, const Target& target) {
  return IndependentCoupling<Source, Target>(source, target);
}

}  // namespace vrfm
