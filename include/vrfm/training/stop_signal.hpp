// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// StopSignal: SIGTERM (a batch system's end of time) and SIGINT (Ctrl-C) as a question that a
// training loop asks between two steps, so that it can write a checkpoint before it ends. A second
// signal of the same kind ends the program at once.
#pragma once

#include <atomic>

#include <signal.h>

namespace vrfm {

/// While it lives, the first SIGTERM or SIGINT is noted. One at a time.
class StopSignal {
 public:
  StopSignal() {
    noted_ = 0;
    struct sigaction action {};
    action.sa_handler = [](int number) { noted_ = number; };
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGTERM, &action, &terminate_before_);
    ::sigaction(SIGINT, &action, &interrupt_before_);
  }
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  /// The handlers are again those of before.
  ~StopSignal() {
    ::sigaction(SIGTERM, &terminate_before_, nullptr);
    ::sigaction(SIGINT, &interrupt_before_, nullptr);
  }

  bool received() const { return noted_ != 0; }
  /// "SIGTERM", "SIGINT", or "" as long as none came.
  const char* name() const {
    const int number = noted_;
    return number == SIGTERM ? "SIGTERM" : number == SIGINT ? "SIGINT" : "";
  }

 private:
  static_assert(std::atomic<int>::is_always_lock_free);
  inline static std::atomic<int> noted_{0};

  struct sigaction terminate_before_ {
  }, interrupt_before_{};
};

}  // namespace vrfm
