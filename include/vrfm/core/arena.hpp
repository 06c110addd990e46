// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arena: the one place that working memory comes from. A step takes typed slices from a block that
// was allocated once, before the first step. Nobody writes down how large that block must be: the
// step runs once against a context whose verbs do nothing, with Arena::measure(), and `peak()` is the
// answer. That context is BatchContext::dry_run for a whole step, MeasureContext for a part of it that
// only tiles run (linalg/context.hpp).
#pragma once

#include <cstddef>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/matrix.hpp>

namespace vrfm {

/// Hands out slices of a block of `capacity` elements, which the caller owns, first to last. Slices
/// begin on 64-byte borders if the block does; their contents are undefined.
template <class T>
class Arena {
 public:
  KOKKOS_INLINE_FUNCTION Arena(T* block, std::size_t capacity)
      : block_(block), capacity_(capacity) {}

  /// An arena without memory, which only counts. Nobody may read its slices, yet they are not
  /// empty: an empty matrix means "not wanted" and would change what is measured.
  KOKKOS_INLINE_FUNCTION static Arena measure() {
    return Arena(reinterpret_cast<T*>(std::size_t(64)), ~std::size_t(0) / 2);
  }

  /// An uninitialised `rows` x `cols` slice. Ends the program if the block is too small, which
  /// means that the caller's measurement did not cover this step.
  KOKKOS_INLINE_FUNCTION Matrix<T> take(int rows, int cols) {
    return Matrix<T>(take_elements(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols)),
                     rows, cols, cols);
  }

  /// The same for elements of another type S; the slice begins on a 64-byte border of T's.
  template <class S>
  KOKKOS_INLINE_FUNCTION Matrix<S> take_as(int rows, int cols) {
    const std::size_t bytes =
        static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols) * sizeof(S);
    T* const block = take_elements((bytes + sizeof(T) - 1) / sizeof(T));
    return Matrix<S>(reinterpret_cast<S*>(block), rows, cols, cols);
  }

  /// Elements taken so far.
  KOKKOS_INLINE_FUNCTION std::size_t used() const { return used_; }

  /// Elements that are still free.
  KOKKOS_INLINE_FUNCTION std::size_t left() const { return capacity_ - used_; }

  /// Gives back everything taken since `used()` returned `mark`.
  KOKKOS_INLINE_FUNCTION void rewind(std::size_t mark) { used_ = mark; }

  /// The largest `used()` so far, in elements.
  KOKKOS_INLINE_FUNCTION std::size_t peak() const { return peak_; }

  /// `count` rounded up so that the next slice starts on a 64-byte border.
  KOKKOS_INLINE_FUNCTION static std::size_t padded(std::size_t count) {
    constexpr std::size_t line = 64 / sizeof(T);
    return (count + line - 1) / line * line;
  }

 private:
  KOKKOS_INLINE_FUNCTION T* take_elements(std::size_t count) {
    T* const first = block_ + used_;
    used_ += padded(count);
    peak_ = math::maximum(peak_, used_);
    if (used_ > capacity_) Kokkos::abort("vrfm::Arena::take: block smaller than measured need");
    return first;
  }

  T* block_;
  std::size_t capacity_;
  std::size_t used_ = 0;
  std::size_t peak_ = 0;
};

}  // namespace vrfm
