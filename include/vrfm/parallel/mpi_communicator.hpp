// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MpiCommunicator: ranks that are processes of MPI. It takes a communicator of the caller's and works on a
// duplicate of it, so that its messages never meet others; it neither initialises nor finalises MPI. All
// ranks of the communicator make the same calls in the same order, by the thread that initialised MPI.
// Component vrfm::mpi.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <mpi.h>

#include <vrfm/core/check.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/parallel/communicator.hpp>
#include <vrfm/parallel/message_sum.hpp>

namespace vrfm {

/// What a sum of ranks promises.
enum class Reproducible {
  invariant,  ///< the bits of one rank alone, for any number of ranks
  fixed,      ///< the same bits whenever the number of ranks is the same
  fast        ///< what MPI_Allreduce gives: other roundings from run to run are allowed
};

namespace detail {

/// Throws std::runtime_error naming `call` and MPI's own words.
inline void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char words[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, words, &length);
  throw std::runtime_error(text("vrfm: ", call, " failed: ", std::string(words)));
}

/// MPI counts by int: longer messages are sent in parts of so many bytes.
inline constexpr std::size_t most_message_bytes = std::size_t{1} << 30;

/// What copies of a communicator share.
struct MpiState {
  MPI_Comm comm = MPI_COMM_NULL;
  int rank = 0, size = 1;
  MessageMemory memory;
  std::vector<std::byte> staged;  // what devices sum, on the host
  std::tuple<std::vector<float*>, std::vector<double*>> staged_roots;
  std::vector<MPI_Request> requests;

  MpiState() = default;
  MpiState(const MpiState&) = delete;
  MpiState& operator=(const MpiState&) = delete;
  ~MpiState() {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0 && comm != MPI_COMM_NULL) MPI_Comm_free(&comm);
  }
};

}  // namespace detail

class MpiCommunicator {
 public:
  /// Duplicates `comm`; all its ranks make one at the same time. Throws std::runtime_error if MPI was
  /// not initialised with MPI_THREAD_FUNNELED or more, or was by another thread.
  explicit MpiCommunicator(MPI_Comm comm, Reproducible reproducible = Reproducible::invariant)
      : state_(std::make_shared<detail::MpiState>()), reproducible_(reproducible) {
    int initialized = 0, level = MPI_THREAD_SINGLE, main = 0;
    MPI_Initialized(&initialized);
    if (initialized == 0) {
      throw std::runtime_error(
          "vrfm: MPI is not initialised; call MPI_Init_thread with MPI_THREAD_FUNNELED before an "
          "MpiCommunicator is made");
    }
    MPI_Query_thread(&level);
    MPI_Is_thread_main(&main);
    if (level < MPI_THREAD_FUNNELED || main == 0) {
      throw std::runtime_error(
          "vrfm: an MpiCommunicator needs MPI_THREAD_FUNNELED or more, and to be made by the "
          "thread "
          "that initialised MPI");
    }
    expect(comm != MPI_COMM_NULL, "an MpiCommunicator needs a communicator, got MPI_COMM_NULL");
    detail::check_mpi(MPI_Comm_dup(comm, &state_->comm), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(state_->comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(state_->comm, &state_->rank);
    MPI_Comm_size(state_->comm, &state_->size);
  }

  int rank() const { return state_->rank; }
  int size() const { return state_->size; }
  bool is_root() const { return rank() == 0; }
  Reproducible reproducible() const { return reproducible_; }

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
      auto& bytes = state_->staged;
      if (bytes.size() < slices * count * sizeof(S)) bytes.resize(slices * count * sizeof(S));
      S* const staged = reinterpret_cast<S*>(bytes.data());
      auto& host_roots = std::get<std::vector<S*>>(state_->staged_roots);
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

  bool any(bool flag) const {
    int one = flag ? 1 : 0;
    detail::check_mpi(MPI_Allreduce(MPI_IN_PLACE, &one, 1, MPI_INT, MPI_LOR, state_->comm),
                      "MPI_Allreduce");
    return one != 0;
  }

  template <ExecutionSpace Exec, class View>
  void broadcast(const Exec& exec, const View& values) const {
    const auto host = to_host(exec, values);
    exec.fence();
    auto* bytes = reinterpret_cast<char*>(host.data());
    const std::size_t all = host.span() * sizeof(typename View::value_type);
    for (std::size_t done = 0; done < all; done += detail::most_message_bytes) {
      const std::size_t count =
          all - done < detail::most_message_bytes ? all - done : detail::most_message_bytes;
      detail::check_mpi(MPI_Bcast(bytes + done, static_cast<int>(count), MPI_BYTE, 0, state_->comm),
                        "MPI_Bcast");
    }
    copy_elements(exec, values, host);
    exec.fence();
  }

  /// See Messenger.
  void exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) const {
    auto& requests = state_->requests;
    requests.clear();
    for (const Incoming& in : incoming) {
      each_part(in.bytes, [&](std::size_t first, int bytes) {
        requests.push_back(MPI_REQUEST_NULL);
        detail::check_mpi(MPI_Irecv(static_cast<char*>(in.data) + first, bytes, MPI_BYTE, in.from,
                                    0, state_->comm, &requests.back()),
                          "MPI_Irecv");
      });
    }
    for (const Outgoing& out : outgoing) {
      each_part(out.bytes, [&](std::size_t first, int bytes) {
        requests.push_back(MPI_REQUEST_NULL);
        detail::check_mpi(MPI_Isend(static_cast<const char*>(out.data) + first, bytes, MPI_BYTE,
                                    out.to, 0, state_->comm, &requests.back()),
                          "MPI_Isend");
      });
    }
    detail::check_mpi(
        MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE),
        "MPI_Waitall");
  }

 private:
  template <class S>
  using Host = Kokkos::View<S*, Kokkos::HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;

  template <class Use>
  static void each_part(std::size_t bytes, const Use& use) {
    for (std::size_t first = 0; first < bytes; first += detail::most_message_bytes) {
      const std::size_t rest = bytes - first;
      use(first,
          static_cast<int>(rest < detail::most_message_bytes ? rest : detail::most_message_bytes));
    }
  }

  template <class Exec, class S>
  void sum_on_host(const Exec& exec, const Partition& partition, std::span<S* const> roots,
                   S* result, std::size_t count) const {
    if (reproducible_ == Reproducible::invariant) {
      tree_sum(*this, exec, partition, roots, result, count, state_->memory);
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
    if (reproducible_ == Reproducible::fixed) {
      S* const root[] = {result};
      tree_sum(*this, exec, Partition(size(), size()), std::span<S* const>(root), result, count,
               state_->memory);
      return;
    }
    const MPI_Datatype type = sizeof(S) == sizeof(float) ? MPI_FLOAT : MPI_DOUBLE;
    const std::size_t most = detail::most_message_bytes / sizeof(S);
    for (std::size_t done = 0; done < count; done += most) {
      const int part = static_cast<int>(count - done < most ? count - done : most);
      detail::check_mpi(
          MPI_Allreduce(MPI_IN_PLACE, result + done, part, type, MPI_SUM, state_->comm),
          "MPI_Allreduce");
    }
  }

  std::shared_ptr<detail::MpiState> state_;
  Reproducible reproducible_;
};

}  // namespace vrfm
