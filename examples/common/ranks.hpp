// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ranks: the processes that mpirun or srun started as one program, or a program that was started plainly and
// is one process. They train and draw together; the root alone writes files and speaks. Whatever goes
// wrong on one of them ends all, with one message.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#if defined(VRFM_PROGRAM_HAS_MPI)
#include <vrfm/parallel/mpi_communicator.hpp>
#else
#include <vrfm/parallel/communicator.hpp>
#endif

namespace common {

#if defined(VRFM_PROGRAM_HAS_MPI)
using Communicator = vrfm::MpiCommunicator;
#else
using Communicator = vrfm::SelfCommunicator;
#endif

/// How a program ended on all ranks.
struct RanksEnd {
  bool well;    ///< on all ranks
  bool speaks;  ///< this rank says what was wrong
  bool alike;   ///< it was wrong on all ranks, as options are
};

/// One of a program, made before anything else, and destroyed after Kokkos was finalised.
class Ranks {
 public:
  /// Initialises MPI if a launcher of MPI started this process.
  Ranks() {
    if (!launched()) return;
#if defined(VRFM_PROGRAM_HAS_MPI)
    int level = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level);
    communicator_.emplace(MPI_COMM_WORLD);
    initialized_ = true;
#endif
  }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  ~Ranks() {
#if defined(VRFM_PROGRAM_HAS_MPI)
    communicator_.reset();
    if (initialized_) MPI_Finalize();
#endif
  }

  const Communicator& communicator() const { return *communicator_; }

  /// Throws std::runtime_error if this program cannot be what its launcher takes it for.
  void check() const {
#if !defined(VRFM_PROGRAM_HAS_MPI)
    const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
    if (size == nullptr) size = std::getenv("PMI_SIZE");
    if (size != nullptr && std::string(size) != "1") {
      throw std::runtime_error("started as one of " + std::string(size) +
                               " ranks, but built without MPI: CMake found none");
    }
#endif
  }

  /// Before a rank waits in end(): tells the others why it cannot go on.
  void fail(const std::string& reason) {
#if defined(VRFM_PROGRAM_HAS_MPI)
    communicator_->fail(reason);
#else
    (void)reason;
#endif
  }

  /// To be called by all ranks at their end. A rank without an error waits until the others are done; one
  /// with an error, or one that heard of another's, at most ten seconds.
  RanksEnd end(bool own_error, bool heard_of_one) const {
#if defined(VRFM_PROGRAM_HAS_MPI)
    if (communicator_->size() > 1) {
      const auto begin = std::chrono::steady_clock::now();
      // The lowest rank with an error, and whether all have one. They outlive a wait that is given up.
      static std::array<int, 2> lowest;
      lowest = {own_error ? communicator_->rank() : communicator_->size(), own_error ? 1 : 0};
      MPI_Request request = MPI_REQUEST_NULL;
      MPI_Iallreduce(MPI_IN_PLACE, lowest.data(), 2, MPI_INT, MPI_MIN, MPI_COMM_WORLD, &request);
      for (int done = 0; done == 0;) {
        MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        if (done != 0) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        const auto waited = std::chrono::steady_clock::now() - begin;
        // The lowest rank with an error is the first to speak, and ends the others.
        const auto turn = std::chrono::milliseconds(200 * std::min(communicator_->rank(), 20));
        if ((own_error || heard_of_one) && waited > std::chrono::seconds(10) + turn) {
          return {false, own_error, false};
        }
      }
      return {lowest[0] == communicator_->size(), lowest[0] == communicator_->rank(),
              lowest[1] != 0};
    }
#endif
    (void)heard_of_one;
    return {!own_error, own_error, true};
  }

  /// Ends all ranks. What they still sent each other when one failed may never arrive, so that MPI cannot be
  /// finalised.
  [[noreturn]] void abort(bool speaks) const {
    std::fflush(nullptr);
#if defined(VRFM_PROGRAM_HAS_MPI)
    // The others leave the last word to the one that speaks.
    if (!speaks) std::this_thread::sleep_for(std::chrono::seconds(5));
    MPI_Abort(MPI_COMM_WORLD, 1);
#else
    (void)speaks;
#endif
    std::_Exit(1);
  }

 private:
  static bool launched() {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK"}) {
      if (std::getenv(name) != nullptr) return true;
    }
    return false;
  }

  std::optional<Communicator> communicator_ = Communicator();
  [[maybe_unused]] bool initialized_ = false;
};

/// Those of this program.
inline Ranks& ranks() {
  static Ranks all;
  return all;
}

inline const Communicator& communicator() { return ranks().communicator(); }
inline bool is_root() { return communicator().is_root(); }

/// One line on the standard error, of the root.
[[gnu::format(printf, 1, 2)]] inline void say(const char* format, ...) {
  if (!is_root()) return;
  std::va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
}

/// One line on the standard error, of this rank, which need not be what the others see.
inline void say_as_rank(const std::string& line) {
  const std::string who = communicator().size() > 1 && !is_root()
                              ? "rank " + std::to_string(communicator().rank()) + ": "
                              : "";
  std::fprintf(stderr, "%s%s\n", who.c_str(), line.c_str());
}

}  // namespace common
