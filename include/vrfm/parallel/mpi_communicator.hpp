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
#include <tuple>
#include <vector>

#include <mpi.h>

#include <vrfm/core/copy.hpp>
#include <vrfm/parallel/communicator.hpp>
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
    if constexpr (is_host_space<Exec>) {
      exec.fence();
      sum_on_host(exec, partition, roots, result, count);
    } else {
      using Device =
          Kokkos::View<S*, typename Exec::memory_space, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
      const std::size_t slices = roots.size() > 0 ? roots.size() : 1;
      auto& bytes = memory_->staged;
      if (bytes.size() < slices * count * sizeof(S)) bytes.resize(slices * count * sizeof(S));
      S* const staged = reinterpret_cast<S*>(bytes.data());
      auto& host_roots = std::get<std::vector<S*>>(memory_->staged_roots);
      host_roots.clear();
      for (std::size_t k = 0; k < roots.size(); ++k) {
        S* const slice = staged + k * count;
        copy_elements(exec, Host<S>(slice, count), Device(roots[k], count));
        host_roots.push_back(slice);
      }
      exec.fence();
      sum_on_host(Kokkos::DefaultHostExecutionSpace(), partition, std::span<S* const>(host_roots),
                  staged, count);
      copy_elements(exec, Device(result, count), Host<S>(staged, count));
      exec.fence();
    }
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
  template <class S>
  using Host = Kokkos::View<S*, Kokkos::HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;

  /// What copies share.
  struct Memory {
    MessageMemory messages;
    std::vector<std::byte> staged;  // what devices sum, on the host
    std::tuple<std::vector<float*>, std::vector<double*>> staged_roots;
  };

  template <class Exec, class S>
  void sum_on_host(const Exec& exec, const Partition& partition, std::span<S* const> roots,
                   S* result, std::size_t count) const {
    if (options_.reproducible == Reproducible::invariant) {
      tree_sum(*this, exec, partition, roots, result, count, memory_->messages);
      return;
    }
    // One sum for each rank, of what it holds.
    if (roots.empty()) {
      std::fill(result, result + count, S(0));
    } else if (roots[0] != result) {
      std::copy(roots[0], roots[0] + count, result);
    }
    for (std::size_t k = 1; k < roots.size(); ++k) {
      detail::add_message(exec, result, static_cast<const S*>(roots[k]), count);
    }
    if (options_.reproducible == Reproducible::fixed) {
      S* const root[] = {result};
      tree_sum(*this, exec, Partition(size(), size()), std::span<S* const>(root), result, count,
               memory_->messages);
      return;
    }
    const MPI_Datatype type = sizeof(S) == sizeof(float) ? MPI_FLOAT : MPI_DOUBLE;
    const std::size_t most = detail::most_message_bytes / sizeof(S);
    for (std::size_t done = 0; done < count; done += most) {
      const int part = static_cast<int>(count - done < most ? count - done : most);
      MPI_Request request = MPI_REQUEST_NULL;
      detail::check_mpi(MPI_Iallreduce(MPI_IN_PLACE, result + done, part, type, MPI_SUM,
                                       messenger_.comm(), &request),
                        "MPI_Iallreduce");
      messenger_.wait(std::span(&request, 1));
    }
  }

  MpiMessenger messenger_;
  MpiOptions options_;
  std::shared_ptr<Memory> memory_;
};

}  // namespace vrfm
