// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MpiCommunicator: ranks that are processes of MPI share a batch, by messages (see mpi_messenger.hpp).
// All ranks make the same calls in the same order. Component vrfm::mpi.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include <mpi.h>

#include <vrfm/core/copy.hpp>
#include <vrfm/parallel/communicator.hpp>
#include <vrfm/parallel/detail/host_stage.hpp>
#include <vrfm/parallel/message_sum.hpp>
#include <vrfm/parallel/mpi_messenger.hpp>

namespace vrfm {

/// What a sum of ranks promises.
enum class Reproducible {
  invariant,  ///< the bits of one rank alone, for any number of ranks
  fixed,      ///< the same bits whenever the number of ranks is the same
  fast        ///< what MPI_Allreduce gives: other roundings from run to run are allowed
};

struct MpiOptions {
  Reproducible reproducible = Reproducible::invariant;
  double patience = 3600;  ///< seconds that a rank waits for another before it gives up
  /// A gradient of more bytes leaves in buckets of so many, while the backward pass goes on; 0: never. See
  /// OverlappingCommunicator.
  std::size_t bucket_bytes = 25'000'000;
};

class MpiCommunicator {
 public:
  /// One process alone, which needs no MPI: as SelfCommunicator.
  MpiCommunicator() : memory_(std::make_shared<Memory>()) {}

  /// All ranks of `comm` make one at the same time. Throws as MpiMessenger does.
  explicit MpiCommunicator(MPI_Comm comm, const MpiOptions& options = {})
      : messenger_(comm, options.patience),
        options_(options),
        memory_(std::make_shared<Memory>()) {}

  int rank() const { return messenger_.rank(); }
  int size() const { return messenger_.size(); }
  bool is_root() const { return rank() == 0; }
  const MpiOptions& options() const { return options_; }

  /// See Communicator. Memory of devices goes through the host.
  template <ExecutionSpace Exec, class S>
  void sum(const Exec& exec, const Partition& partition, std::span<S* const> roots, S* result,
           std::size_t count) const {
    if (size() == 1) return SelfCommunicator().sum(exec, partition, roots, result, count);
    memory_->stage.add(exec, roots, result, count, {0, count},
                       [&](const auto& host, std::span<S* const> own, S* all) {
                         sum_on_host(host, partition, own, all, count);
                       });
  }

  /// See ShardingCommunicator.
  Segment segment(const Partition& partition, std::size_t count, std::size_t unit) const {
    return segment_of(shape_of(partition), rank(), size(), count, unit);
  }
  template <ExecutionSpace Exec, class S>
  void reduce_scatter(const Exec& exec, const Partition& partition, std::span<S* const> roots,
                      S* result, std::size_t count, std::size_t unit) const {
    if (size() == 1) return SelfCommunicator().sum(exec, partition, roots, result, count);
    memory_->stage.add(exec, roots, result, count, segment(partition, count, unit),
                       [&](const auto& host, std::span<S* const> own, S* all) {
                         scatter_on_host(host, partition, own, all, count, unit);
                       });
  }
  template <ExecutionSpace Exec, class S>
  void all_gather(const Exec& exec, const Partition& partition, S* values, std::size_t count,
                  std::size_t unit) const {
    if (size() == 1) return;
    memory_->stage.gather(exec, values, count, segment(partition, count, unit), [&](S* own) {
      vrfm::all_gather(*this, shape_of(partition), own, count, unit, memory_->messages);
    });
  }

  /// See OverlappingCommunicator. None of MPI's own sum, which takes longer where it does not block.
  std::size_t bucket_bytes() const {
    return size() > 1 && options_.reproducible != Reproducible::fast ? options_.bucket_bytes : 0;
  }
  template <ExecutionSpace Exec, class S>
    requires is_host_space<Exec>
  PendingSum<MpiMessenger, Exec, S> begin_sum(const Exec& exec, const Partition& partition,
                                              std::span<S* const> roots, S* result,
                                              std::size_t count) const {
    exec.fence();
    const auto begin = [&](std::span<S* const> nodes) {
      return PendingSum<MpiMessenger, Exec, S>(messenger_, exec, shape_of(partition), nodes, result,
                                               count, memory_->messages);
    };
    if (options_.reproducible == Reproducible::invariant) return begin(roots);
    add_own(exec, roots, result, count);
    S* const root[] = {result};
    return begin(root);
  }

  bool any(bool flag) const { return any_by_messages(*this, flag); }

  template <ExecutionSpace Exec, class View>
  void broadcast(const Exec& exec, const View& values) const {
    if (size() == 1) return;
    const auto host = to_host(exec, values);
    exec.fence();
    broadcast_by_messages(*this, host.data(), host.span() * sizeof(typename View::value_type));
    copy_elements(exec, values, host);
    exec.fence();
  }

  /// See Messenger.
  void exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) const {
    messenger_.exchange(outgoing, incoming);
  }
  /// See MpiMessenger.
  void fail(std::string_view reason) const { messenger_.fail(reason); }

 private:
  /// What copies share.
  struct Memory {
    MessageMemory messages;
    detail::HostStage stage;
  };

  /// Along which ranks add: where they need not have the bits of one rank, each adds up its own nodes first.
  Partition shape_of(const Partition& partition) const {
    if (options_.reproducible == Reproducible::invariant) return partition;
    return Partition(size(), size());
  }

  template <class Exec, class S>
  void sum_on_host(const Exec& exec, const Partition& partition, std::span<S* const> roots,
                   S* result, std::size_t count) const {
    const auto add = [&](std::span<S* const> nodes) {
      tree_sum(*this, exec, shape_of(partition), nodes, result, count, memory_->messages);
    };
    if (options_.reproducible == Reproducible::invariant) return add(roots);
    const bool one_root = options_.reproducible == Reproducible::fast && roots.size() == 1 &&
                          roots[0] != result;  // MPI reads it where it is
    if (!one_root) add_own(exec, roots, result, count);
    S* const root[] = {result};
    if (options_.reproducible == Reproducible::fixed) return add(root);
    meet();
    each_slice<S>({0, count}, [&](std::size_t first, int slice) {
      const void* own = one_root ? roots[0] + first : MPI_IN_PLACE;
      detail::check_mpi(
          MPI_Allreduce(own, result + first, slice, type_of<S>(), MPI_SUM, messenger_.comm()),
          "MPI_Allreduce");
    });
  }

  template <class Exec, class S>
  void scatter_on_host(const Exec& exec, const Partition& partition, std::span<S* const> roots,
                       S* result, std::size_t count, std::size_t unit) const {
    const auto add = [&](std::span<S* const> nodes) {
      vrfm::reduce_scatter(*this, exec, shape_of(partition), nodes, result, count, unit,
                           memory_->messages);
    };
    if (options_.reproducible == Reproducible::invariant) return add(roots);
    add_own(exec, roots, result, count);
    S* const root[] = {result};
    if (options_.reproducible == Reproducible::fixed) return add(root);
    meet();
    for (int owner = 0; owner < size(); ++owner) {
      const Segment theirs = segment_of(shape_of(partition), owner, size(), count, unit);
      each_slice<S>(theirs, [&](std::size_t first, int slice) {
        S* const values = result + first;
        // Not in place: of two ranks of MPICH 4.0.2 the second one crashes then.
        S* const received = memory_->messages.template take<S>(static_cast<std::size_t>(slice));
        detail::check_mpi(
            MPI_Reduce(values, received, slice, type_of<S>(), MPI_SUM, owner, messenger_.comm()),
            "MPI_Reduce");
        if (owner == rank()) std::copy(received, received + slice, values);
      });
    }
  }

  /// The sum of what this rank holds, in `result`.
  template <class Exec, class S>
  static void add_own(const Exec& exec, std::span<S* const> roots, S* result, std::size_t count) {
    if (roots.empty()) {
      std::fill(result, result + count, S(0));
    } else if (roots[0] != result) {
      std::copy(roots[0], roots[0] + count, result);
    }
    for (std::size_t k = 1; k < roots.size(); ++k) {
      flat_map(exec, "vrfm::MpiCommunicator::add_own", static_cast<std::int64_t>(count),
               AddArray<S>{result, roots[k]});
    }
    exec.fence();
  }

  template <class S>
  static MPI_Datatype type_of() {
    return sizeof(S) == sizeof(float) ? MPI_FLOAT : MPI_DOUBLE;
  }

  /// Before the ranks enter a call of MPI's own, in which nobody would hear of a rank that failed. MPI's
  /// calls that do not block could be polled, but take up to three times as long.
  void meet() const { any(false); }

  /// Calls use(first, count) for slices of a segment that MPI can count.
  template <class S, class Use>
  static void each_slice(const Segment& segment, const Use& use) {
    constexpr std::size_t most = detail::most_message_bytes / sizeof(S);
    for (std::size_t first = segment.begin; first < segment.end; first += most) {
      use(first, static_cast<int>(math::minimum(most, segment.end - first)));
    }
  }

  MpiMessenger messenger_;
  MpiOptions options_;
  std::shared_ptr<Memory> memory_;
};

}  // namespace vrfm
