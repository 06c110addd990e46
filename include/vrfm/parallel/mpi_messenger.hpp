// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MpiMessenger: messages between ranks that are processes of MPI. It takes a communicator of the caller's and
// works on a duplicate of it, so that its messages never meet others; it neither initialises nor finalises
// MPI. It is used by the thread that initialised MPI.
//
// Nobody waits for ever: a rank that cannot go on calls fail(reason), and each of the others throws
// RankError, which names the rank and the reason, from what it waits for or will wait for next. One
// that waits longer than its patience throws std::runtime_error. The ranks cannot exchange anything
// after that.
// Component vrfm::mpi.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <mpi.h>

#include <vrfm/core/check.hpp>
#include <vrfm/parallel/communicator.hpp>
#include <vrfm/parallel/messenger.hpp>

namespace vrfm {

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

/// Tags: of what exchange sends, and of a rank's last words.
inline constexpr int message_tag = 0, failure_tag = 1;

}  // namespace detail

class MpiMessenger {
 public:
  /// One process alone, which needs no MPI.
  MpiMessenger() : state_(std::make_shared<State>()) {}

  /// Duplicates `comm`; all its ranks make one at the same time. patience: seconds that a rank waits for
  /// others before it gives up. Throws std::runtime_error if MPI was not initialised with
  /// MPI_THREAD_FUNNELED or more, or was by another thread.
  explicit MpiMessenger(MPI_Comm comm, double patience = 3600)
      : state_(std::make_shared<State>()), patience_(patience) {
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
          "thread that "
          "initialised MPI");
    }
    expect(comm != MPI_COMM_NULL, "an MpiCommunicator needs a communicator, got MPI_COMM_NULL");
    expect(patience > 0, "patience must be positive, got ", patience, " s");
    for (MPI_Comm* copy : {&state_->comm, &state_->farewell}) {
      detail::check_mpi(MPI_Comm_dup(comm, copy), "MPI_Comm_dup");
      MPI_Comm_set_errhandler(*copy, MPI_ERRORS_RETURN);
    }
    MPI_Comm_rank(state_->comm, &state_->rank);
    MPI_Comm_size(state_->comm, &state_->size);
  }

  int rank() const { return state_->rank; }
  int size() const { return state_->size; }
  /// The duplicate.
  MPI_Comm comm() const { return state_->comm; }

  /// See Messenger.
  void exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) const {
    if (size() == 1) return;
    begin(outgoing, incoming);
    wait();
  }

  /// See PollingMessenger.
  void begin(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) const {
    auto& requests = state_->requests;
    requests.clear();
    state_->senders.clear();
    for (const Incoming& in : incoming) {
      each_part(in.bytes, [&](std::size_t first, int bytes) {
        state_->senders.push_back(in.from);
        requests.push_back(MPI_REQUEST_NULL);
        detail::check_mpi(MPI_Irecv(static_cast<char*>(in.data) + first, bytes, MPI_BYTE, in.from,
                                    detail::message_tag, state_->comm, &requests.back()),
                          "MPI_Irecv");
      });
    }
    state_->received = requests.size();
    for (const Outgoing& out : outgoing) {
      each_part(out.bytes, [&](std::size_t first, int bytes) {
        requests.push_back(MPI_REQUEST_NULL);
        detail::check_mpi(MPI_Isend(static_cast<const char*>(out.data) + first, bytes, MPI_BYTE,
                                    out.to, detail::message_tag, state_->comm, &requests.back()),
                          "MPI_Isend");
      });
    }
    state_->statuses.assign(requests.size(), MPI_Status{});
  }

  bool test() const {
    if (done()) return true;
    const std::string why = heard();
    if (why.empty()) return false;
    give_up();
    throw RankError("vrfm: " + why);
  }

  void wait() const {
    constexpr int polls_between_looks = 64;
    const auto begin = std::chrono::steady_clock::now();
    for (int polls = 1;; ++polls) {
      if (polls % polls_between_looks != 0) {
        if (done()) return;
        continue;
      }
      if (test()) return;
      std::this_thread::yield();  // there may be more ranks than cores
      const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
      if (waited.count() <= patience_) continue;
      const std::string own = text("waited ", patience_, " s for ", missing());
      fail(own);
      give_up();
      throw std::runtime_error("vrfm: " + own);
    }
  }

  /// Tells all other ranks that this one cannot go on. Waits for nobody.
  void fail(std::string_view reason) const {
    if (size() == 1 || state_->failed) return;
    say_farewell();
    constexpr std::size_t most = 1000;  // what MPI sends without waiting
    state_->last_words = reason.substr(0, most);
    for (int to = 0; to < size(); ++to) {
      if (to == rank()) continue;
      MPI_Request request = MPI_REQUEST_NULL;
      MPI_Isend(state_->last_words.data(), static_cast<int>(state_->last_words.size()), MPI_CHAR,
                to, detail::failure_tag, state_->comm, &request);
      if (request != MPI_REQUEST_NULL) MPI_Request_free(&request);
    }
  }

 private:
  /// What copies share.
  struct State {
    MPI_Comm comm = MPI_COMM_NULL, farewell = MPI_COMM_NULL;
    int rank = 0, size = 1;
    std::vector<MPI_Request> requests;  // of which the first `received` receive
    std::vector<int> senders;           // of those
    std::vector<MPI_Status> statuses;   // of the requests
    std::size_t received = 0;
    std::string last_words;  // outlives the requests that send it
    bool failed = false;
    MPI_Request all_failed = MPI_REQUEST_NULL;

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
      // To free it may take all ranks.
      if (comm == MPI_COMM_NULL || failed) return;
      int finalized = 0;
      MPI_Finalized(&finalized);
      if (finalized != 0) return;
      MPI_Comm_free(&comm);
      MPI_Comm_free(&farewell);
    }
  };

  template <class Use>
  static void each_part(std::size_t bytes, const Use& use) {
    for (std::size_t first = 0; first < bytes; first += detail::most_message_bytes) {
      const std::size_t rest = bytes - first;
      use(first,
          static_cast<int>(rest < detail::most_message_bytes ? rest : detail::most_message_bytes));
    }
  }

  /// "rank 2: ..." once a rank has failed.
  std::string heard() const {
    int there = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, detail::failure_tag, state_->comm, &there, &status);
    if (there == 0) return {};
    int length = 0;
    MPI_Get_count(&status, MPI_CHAR, &length);
    std::string reason(static_cast<std::size_t>(length), ' ');
    MPI_Recv(reason.data(), length, MPI_CHAR, status.MPI_SOURCE, detail::failure_tag, state_->comm,
             MPI_STATUS_IGNORE);
    return text("rank ", status.MPI_SOURCE, ": ", reason);
  }

  /// "rank 1, 3": who has not sent what this rank waits for.
  std::string missing() const {
    std::string ranks;
    for (std::size_t k = 0; k < state_->received; ++k) {
      int there = 0;
      MPI_Request_get_status(state_->requests[k], &there, MPI_STATUS_IGNORE);
      if (there == 0) ranks += text(ranks.empty() ? "rank " : ", ", state_->senders[k]);
    }
    return ranks.empty() ? "other ranks to receive" : ranks;
  }

  std::span<MPI_Request> being_received() const {
    return {state_->requests.data(), state_->received};
  }

  /// From now on this rank exchanges nothing, and what it was about to receive is not written.
  void say_farewell() const {
    if (std::exchange(state_->failed, true)) return;
    for (MPI_Request& request : being_received()) {
      if (request != MPI_REQUEST_NULL) MPI_Cancel(&request);
    }
    MPI_Ibarrier(state_->farewell, &state_->all_failed);
  }

  bool done() const {
    int done = 0;
    const int code = MPI_Testall(static_cast<int>(state_->requests.size()), state_->requests.data(),
                                 &done, state_->statuses.data());
    if (code == MPI_ERR_IN_STATUS) {
      for (const MPI_Status& status : state_->statuses) {
        if (status.MPI_ERROR != MPI_ERR_PENDING) detail::check_mpi(status.MPI_ERROR, "MPI_Testall");
      }
    }
    detail::check_mpi(code, "MPI_Testall");
    return done != 0;
  }

  /// What was to be received or sent is memory that the caller is about to free: a rank that has not heard yet
  /// may still read it, or write to it. So this waits until all have heard, but five seconds at most.
  void give_up() const {
    say_farewell();
    const std::span<MPI_Request> receives = being_received();
    int cancelled = 0, heard = 0;
    const auto begin = std::chrono::steady_clock::now();
    while (cancelled == 0 || heard == 0) {
      MPI_Testall(static_cast<int>(receives.size()), receives.data(), &cancelled,
                  MPI_STATUSES_IGNORE);
      if (heard == 0) MPI_Test(&state_->all_failed, &heard, MPI_STATUS_IGNORE);
      if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(5)) return;
      std::this_thread::yield();
    }
  }

  std::shared_ptr<State> state_;
  double patience_ = 3600;
};

}  // namespace vrfm
