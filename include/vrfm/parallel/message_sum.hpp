// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums by messages: the sum along a Partition's tree of what ranks hold in memories of their own, as a whole
// (tree_sum), in its two phases (reduce_scatter, all_gather), or on its way while the caller does
// something else (PendingSum). Which messages they are: see sum_rounds.hpp.
#pragma once

#include <cstddef>
#include <span>

#include <vrfm/parallel/messenger.hpp>
#include <vrfm/parallel/sum_rounds.hpp>

namespace vrfm {

/// A sum of both phases on its way, while this rank does something else; one at a time. Arguments: see
/// SumRounds, but all ranks begin their sums in the same order.
template <PollingMessenger M, class Exec, class S>
class PendingSum {
 public:
  PendingSum(const M& messenger, const Exec& exec, const Partition& partition,
             std::span<S* const> roots, S* result, std::size_t count, MessageMemory& memory)
      : messenger_(messenger),
        memory_(&memory),
        rounds_(messenger.rank(), messenger.size(), exec, partition, roots, result, count, 1,
                SumPhases::both, memory) {
    proceed();
  }

  /// Does what can be done without waiting; true once the sum is there.
  bool test() {
    while (!done_ && messenger_.test()) proceed();
    return done_;
  }

  /// Returns once the sum is there.
  void wait() {
    while (!done_) {
      messenger_.wait();
      proceed();
    }
  }

 private:
  void proceed() {
    done_ = !rounds_.next();
    if (!done_) messenger_.begin(memory_->outgoing, memory_->incoming);
  }

  M messenger_;
  MessageMemory* memory_;
  SumRounds<Exec, S> rounds_;
  bool done_ = false;
};

namespace detail {

template <Messenger M, class Exec, class S>
void exchange_rounds(const M& messenger, const Exec& exec, const Partition& partition,
                     std::span<S* const> roots, S* result, std::size_t count, std::size_t unit,
                     SumPhases phases, MessageMemory& memory) {
  SumRounds<Exec, S> rounds(messenger.rank(), messenger.size(), exec, partition, roots, result,
                            count, unit, phases, memory);
  while (rounds.next()) messenger.exchange(memory.outgoing, memory.incoming);
}

}  // namespace detail

/// The first phase: the elements of result[0 .. count) that are this rank's segment_of(partition, ..., unit)
/// become the sum of all leaves; what the others hold is lost. roots[k] is the sum of the k-th node of
/// partition.roots(partition.owned(rank, size)), in memory of the host; what the roots hold is lost.
/// roots[0] may be result. All ranks call it with the same partition, count and unit.
template <Messenger M, class Exec, class S>
void reduce_scatter(const M& messenger, const Exec& exec, const Partition& partition,
                    std::span<S* const> roots, S* result, std::size_t count, std::size_t unit,
                    MessageMemory& memory) {
  detail::exchange_rounds(messenger, exec, partition, roots, result, count, unit,
                          SumPhases::scatter, memory);
}

/// The second phase: each rank's segment of values[0 .. count) becomes that of all ranks. As above.
template <Messenger M, class S>
void all_gather(const M& messenger, const Partition& partition, S* values, std::size_t count,
                std::size_t unit, MessageMemory& memory) {
  detail::exchange_rounds(messenger, Kokkos::DefaultHostExecutionSpace(), partition,
                          std::span<S* const>(), values, count, unit, SumPhases::gather, memory);
}

/// The sum of all leaves on every rank: both phases.
template <Messenger M, class Exec, class S>
void tree_sum(const M& messenger, const Exec& exec, const Partition& partition,
              std::span<S* const> roots, S* result, std::size_t count, MessageMemory& memory) {
  detail::exchange_rounds(messenger, exec, partition, roots, result, count, 1, SumPhases::both,
                          memory);
}

}  // namespace vrfm
