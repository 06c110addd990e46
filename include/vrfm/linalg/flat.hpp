// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Passes over flat arrays (optimizer, averaging, gradient sums): one launch, in blocks of fixed
// length, so that partial sums have a fixed shape for any number of threads.
#pragma once

#include <cstdint>
#include <string>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/launch.hpp>

namespace vrfm {

/// Elements in a block.
inline constexpr std::int64_t flat_block = 256;

inline std::int64_t flat_blocks(std::int64_t count) {
  return (count + flat_block - 1) / flat_block;
}

namespace detail {

/// What runs on the elements of a block: f.begin() if f has one (it reads common numbers once, not
/// for each element), else f itself.
template <class F>
KOKKOS_INLINE_FUNCTION auto begin_block(const F& f) {
  if constexpr (requires { f.begin(); }) {
    return f.begin();
  } else {
    return f;
  }
}

/// On hosts f runs on one block (a vector loop inside), on devices on one element.
template <bool by_block, class F>
struct FlatElements {
  std::int64_t count;
  F f;

  KOKKOS_FUNCTION void operator()(std::int64_t index) const {
    const auto element = begin_block(f);
    if constexpr (by_block) {
      const std::int64_t first = index * flat_block;
      const std::int64_t last = math::minimum(first + flat_block, count);
      VRFM_INDEPENDENT_ITERATIONS
      for (std::int64_t i = first; i < last; ++i) element(i);
    } else {
      element(index);
    }
  }
};

}  // namespace detail

/// f(i) for i = 0 ... count-1, all independent. Asynchronous.
template <ExecutionSpace Exec, class F>
void flat_map(const Exec& exec, const std::string& label, std::int64_t count, const F& f) {
  constexpr bool by_block = is_host_space<Exec>;
  launch_each(exec, label, by_block ? flat_blocks(count) : count,
              detail::FlatElements<by_block, F>{count, f});
}

/// Flat element: into += from
template <class T>
struct AddArray {
  T* into;
  const T* from;
  KOKKOS_INLINE_FUNCTION void operator()(std::int64_t i) const { into[i] += from[i]; }
};

}  // namespace vrfm
