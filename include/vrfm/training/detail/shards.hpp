// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shards: what ranks keep of a training's flat arrays. Undivided, each rank keeps all. Divided, a rank keeps
// the optimizer's state of one segment of the parameters alone, and updates that (ZeRO, stage 1: Rajbhandari,
// Rasley, Ruwase and He 2020): ranks reduce and scatter the gradient, and gather the parameters. Segments are
// of whole blocks (linalg/flat.hpp), whose sums of squares have then the bits of one rank.
#pragma once

#include <algorithm>
#include <span>

#include <vrfm/core/copy.hpp>
#include <vrfm/linalg/flat.hpp>
#include <vrfm/parallel/communicator.hpp>

namespace vrfm::detail {

template <class Comm>
class Shards {
 public:
  /// Of `count` elements. Throws std::invalid_argument if they are to be divided by a communicator that
  /// cannot.
  Shards(const Comm& communicator, const Partition& partition, std::size_t count, bool divide)
      : communicator_(communicator),
        partition_(partition),
        count_(count),
        segment_{0, count},
        divided_(divide && communicator.size() > 1) {
    expect(!divide || can_divide,
           "shard_optimizer needs a communicator with segment(partition, count, unit), "
           "reduce_scatter(exec, partition, roots, result, count, unit) and "
           "all_gather(exec, partition, values, count, unit)");
    if constexpr (can_divide) {
      if (divided_) segment_ = communicator.segment(partition, count, block);
    }
  }

  const Comm& communicator() const { return communicator_; }
  const Partition& partition() const { return partition_; }
  bool divided() const { return divided_; }
  /// The elements whose sum and state this rank has: all unless divided.
  const Segment& segment() const { return segment_; }

  /// The segment of `result` becomes the sum of all leaves. See Communicator.
  template <ExecutionSpace Exec, class T>
  void sum(const Exec& exec, std::span<T* const> roots, T* result) const {
    if constexpr (can_divide) {
      if (divided_) {
        return communicator_.reduce_scatter(exec, partition_, roots, result, count_, block);
      }
    }
    communicator_.sum(exec, partition_, roots, result, count_);
  }

  /// Each rank's segment of `values` becomes that of all.
  template <ExecutionSpace Exec, class T>
  void gather(const Exec& exec, T* values) const {
    if constexpr (can_divide) {
      if (divided_) communicator_.all_gather(exec, partition_, values, count_, block);
    }
  }

  /// The same of an array with one number for each block.
  template <ExecutionSpace Exec, class T>
  void gather_blocks(const Exec& exec, T* values) const {
    if constexpr (can_divide) {
      if (!divided_) return;
      const auto blocks = static_cast<std::size_t>(flat_blocks(static_cast<std::int64_t>(count_)));
      communicator_.all_gather(exec, partition_, values, blocks, 1);
    }
  }

  /// All elements, on the host, of an array of which each rank has its segment. All ranks call it.
  template <ExecutionSpace Exec, class T>
  Kokkos::View<T*, Kokkos::HostSpace> whole(
      const Exec& exec, const Kokkos::View<T*, typename Exec::memory_space>& own) const {
    using Host = Kokkos::View<T*, Kokkos::HostSpace>;
    const Host part = to_host(exec, own);
    if (!divided_) return part;
    const Host all("vrfm::Shards::whole", count_);
    std::copy(part.data(), part.data() + part.size(), all.data() + segment_.begin);
    gather(Kokkos::DefaultHostExecutionSpace(), all.data());
    return all;
  }

  /// The same in the execution space's memory: `own` itself unless divided.
  template <ExecutionSpace Exec, class T>
  Array<T, Exec> gathered(const Exec& exec,
                          const Kokkos::View<T*, typename Exec::memory_space>& own) const {
    if (!divided_) return own;
    return Kokkos::create_mirror_view_and_copy(typename Exec::memory_space(), whole(exec, own));
  }

 private:
  static constexpr bool can_divide = ShardingCommunicator<Comm>;
  static constexpr auto block = static_cast<std::size_t>(flat_block);

  Comm communicator_;
  Partition partition_;
  std::size_t count_;
  Segment segment_;
  bool divided_;
};

}  // namespace vrfm::detail
