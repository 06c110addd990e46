// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Communicators: who shares a batch. Each rank owns consecutive leaves of a Partition and adds what
// it can by itself. A communicator adds the rest in the tree's order, so that every rank has the
// bits that one rank alone would have. The address of a draw is that of the global sample, so draws
// do not depend on ranks at all.
//
//   rank(), size(), is_root()   the root alone writes files
//   sum(exec, partition, roots, result, count)
//       roots[k]: `count` elements in exec's memory, the sum of the k-th node of
//       partition.roots(partition.owned(rank(), size())); result: `count` elements, which become the sum
//       of all leaves on every rank; roots[0] may be result, and what the others hold may be lost. After
//       exec's work so far, before what is launched next. Elements are float or double.
//   any(flag)                   true on all ranks if `flag` is true on one; all ranks call it
//   broadcast(exec, values)     the elements of a view become those of the root's
//
// A ShardingCommunicator also has the two phases of a sum, between which each rank owns a segment of the
// elements, in units of `unit` elements (see segment.hpp). All ranks call them with the same arguments:
//   segment(partition, count, unit)
//       that of this rank, which may be empty; each element belongs to one rank. Of c elements in units of u
//       it is u times that of ceil(c / u) elements in units of 1, cut at c
//   reduce_scatter(exec, partition, roots, result, count, unit)
//       as sum, but of result the rank's segment alone becomes the sum; what the others hold is lost
//   all_gather(exec, partition, values, count, unit)
//       values: `count` elements, of which each segment becomes that of the rank that owns it
//
// An OverlappingCommunicator also sums while the caller goes on:
//   bucket_bytes()              parts of a sum that are worth a sum of their own; 0: do not overlap
//   begin_sum(exec, partition, roots, result, count)
//       starts what sum does; what it returns has test(), which does what can be done without waiting and is
//       true once the sum is there, and wait(). All ranks begin their sums in the same order, one
//       after the other, and call nothing else in between
//
// Where a rank cannot go on, it may throw RankError on the others: see mpi_messenger.hpp.
#pragma once

#include <concepts>
#include <span>
#include <stdexcept>

#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/parallel/messenger.hpp>
#include <vrfm/parallel/partition.hpp>
#include <vrfm/parallel/segment.hpp>

namespace vrfm {

/// Another rank failed, so that this one cannot go on either.
class RankError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {

template <class C>
concept HasRank = requires(const C& communicator) {
  { communicator.rank() } -> std::same_as<int>;
  { communicator.size() } -> std::same_as<int>;
  { communicator.is_root() } -> std::same_as<bool>;
};

template <class C, class Exec = Kokkos::DefaultHostExecutionSpace>
concept HasTreeSum = requires(const C& communicator, const Exec& exec, const Partition& partition,
                              std::span<float* const> roots, float* result,
                              std::span<double* const> double_roots, double* double_result) {
  communicator.sum(exec, partition, roots, result, std::size_t{});
  communicator.sum(exec, partition, double_roots, double_result, std::size_t{});
};

template <class C>
concept HasAgreement =
    requires(const C& communicator, const Kokkos::DefaultHostExecutionSpace& exec,
             const Array<float, Kokkos::DefaultHostExecutionSpace>& values) {
      { communicator.any(true) } -> std::same_as<bool>;
      communicator.broadcast(exec, values);
    };

template <class C, class S, class Exec = Kokkos::DefaultHostExecutionSpace>
concept HasPhases = requires(const C& communicator, const Exec& exec, const Partition& partition,
                             std::span<S* const> roots, S* values, std::size_t count) {
  { communicator.segment(partition, count, count) } -> std::same_as<Segment>;
  communicator.reduce_scatter(exec, partition, roots, values, count, count);
  communicator.all_gather(exec, partition, values, count, count);
};

template <class C, class Exec, class S>
concept HasPendingSum =
    requires(const C& communicator, const Exec& exec, const Partition& partition,
             std::span<S* const> roots, S* values, std::size_t count) {
      { communicator.bucket_bytes() } -> std::same_as<std::size_t>;
      {
        communicator.begin_sum(exec, partition, roots, values, count).test()
      } -> std::same_as<bool>;
      communicator.begin_sum(exec, partition, roots, values, count).wait();
    };

}  // namespace detail

template <class C>
concept Communicator = detail::HasRank<C> && detail::HasTreeSum<C> && detail::HasAgreement<C>;

/// With which ranks may keep a segment each of an optimizer's state.
template <class C>
concept ShardingCommunicator =
    Communicator<C> && detail::HasPhases<C, float> && detail::HasPhases<C, double>;

/// With which a gradient of `Exec` may leave in buckets while the backward pass goes on.
template <class C, class Exec, class S>
concept OverlappingCommunicator = Communicator<C> && detail::HasPendingSum<C, Exec, S>;

/// Says in one sentence what a communicator lacks.
template <class C>
struct RequireCommunicator {
  static_assert(detail::HasRank<C>,
                "vrfm: a communicator needs rank() -> int, size() -> int and is_root() -> bool");
  static_assert(detail::HasTreeSum<C>,
                "vrfm: a communicator needs sum(exec, const Partition&, std::span<S* const> roots, "
                "S* result, std::size_t count) for S = float and double");
  static_assert(detail::HasAgreement<C>,
                "vrfm: a communicator needs any(bool) -> bool and broadcast(exec, view)");
  static constexpr bool ok = Communicator<C>;
};

/// One process on its own; a Messenger without anyone to write to.
struct SelfCommunicator {
  int rank() const { return 0; }
  int size() const { return 1; }
  bool is_root() const { return true; }

  /// The only root of a single rank is the sum of all leaves.
  template <ExecutionSpace Exec, class S>
  void sum(const Exec& exec, const Partition&, std::span<S* const> roots, S* result,
           std::size_t count) const {
    if (roots[0] == result) return;
    using Unmanaged = Kokkos::MemoryTraits<Kokkos::Unmanaged>;
    using View = Kokkos::View<S*, typename Exec::memory_space, Unmanaged>;
    copy_elements(exec, View(result, count), View(roots[0], count));
  }
  Segment segment(const Partition&, std::size_t count, std::size_t) const { return {0, count}; }
  template <ExecutionSpace Exec, class S>
  void reduce_scatter(const Exec& exec, const Partition& partition, std::span<S* const> roots,
                      S* result, std::size_t count, std::size_t) const {
    sum(exec, partition, roots, result, count);
  }
  template <ExecutionSpace Exec, class S>
  void all_gather(const Exec&, const Partition&, S*, std::size_t, std::size_t) const {}
  bool any(bool flag) const { return flag; }
  template <ExecutionSpace Exec, class View>
  void broadcast(const Exec&, const View&) const {}
  void exchange(std::span<const Outgoing>, std::span<const Incoming>) const {}
};

}  // namespace vrfm
