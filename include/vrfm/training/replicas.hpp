// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// check_replicas: that all ranks of a training hold the same bits. They do as long as the hardware and the
// caller's code do what they should; a rank that has gone astray would spoil the others without a sign.
// Each rank hashes its parameters and its state, unless that is in shards; the hashes travel, not the numbers.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <vrfm/core/copy.hpp>
#include <vrfm/parallel/tree_sum.hpp>
#include <vrfm/training/weights.hpp>

namespace vrfm {

namespace detail {

/// A Trainer, or what has its state.
template <class X>
concept HasTrainingState = HasParameters<X> && requires(const X& trainer) {
  typename X::T;
  trainer.step();
  trainer.state();
  trainer.segment();
  { trainer.sharded() } -> std::same_as<bool>;
  trainer.communicator();
};

/// Of the bits of `count` numbers.
template <class T>
std::uint64_t hash_of(const T* values, std::size_t count) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a, a number at a time
  for (std::size_t k = 0; k < count; ++k) {
    hash = (hash ^ std::bit_cast<Bits>(values[k])) * 0x100000001b3u;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace detail

/// All ranks call it. Throws std::runtime_error, on all ranks, that names the ranks that differ from rank 0,
/// and the first parameter or array of the state that does. Reads all of them once, but no state in shards,
/// of which there is no second copy.
template <detail::HasTrainingState TrainerType>
void check_replicas(const TrainerType& trainer) {
  using T = typename TrainerType::T;
  using Host = Kokkos::DefaultHostExecutionSpace;
  const auto& communicator = trainer.communicator();
  if (communicator.size() == 1) return;
  std::vector<std::string> names{"the step"};
  std::vector<std::uint64_t> hashes{static_cast<std::uint64_t>(trainer.step())};
  const auto add = [&](const Array<T, std::decay_t<decltype(trainer.exec())>>& values,
                       const std::string& prefix) {
    const auto host = to_host(trainer.exec(), values);
    trainer.exec().fence();
    for (const auto& slot : trainer.parameters().entries()) {
      names.push_back(text("'", prefix, slot.name, "'"));
      hashes.push_back(detail::hash_of(host.data() + slot.offset, slot.count));
    }
  };
  add(trainer.values(), "");
  if (!trainer.sharded()) {
    for (const auto& array : trainer.state()) add(array.values, array.name + '.');
  }

  std::vector<std::uint64_t> of_root = hashes;
  communicator.broadcast(
      Host(),
      Kokkos::View<std::uint64_t*, Kokkos::HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>(
          of_root.data(), of_root.size()));
  // 1 + the first that differs.
  std::size_t own = 0;
  for (std::size_t k = 0; k < hashes.size() && own == 0; ++k) {
    if (hashes[k] != of_root[k]) own = k + 1;
  }
  const auto all = all_ranks(communicator, static_cast<double>(own));
  std::string ranks;
  std::size_t first = 0;
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (all[r] == 0) continue;
    ranks += text(ranks.empty() ? "" : ", ", r);
    if (first == 0) first = static_cast<std::size_t>(all[r]);
  }
  if (ranks.empty()) return;
  throw std::runtime_error(text("vrfm: at step ", trainer.step(), " the ranks ", ranks,
                                " differ from rank 0, the first of them from ", names[first - 1],
                                " on"));
}

}  // namespace vrfm
