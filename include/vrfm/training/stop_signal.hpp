// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// StopSignal: the signals by which a user or a batch system ends a program, as a question that a training
// loop asks between two steps, so that it can write a checkpoint before it ends. Signals that tell
// of a write that fails are ignored meanwhile: the write itself then says so.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include <signal.h>

namespace vrfm {

/// While it lives, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 and SIGXCPU are noted, and SIGPIPE and SIGXFSZ
/// are ignored. A second SIGTERM or SIGINT ends the program at once; the others may come again and again,
/// as SIGXCPU does every second. A SIGHUP that is ignored (nohup) stays so. One at a time.
class StopSignal {
 public:
  StopSignal() {
    noted_ = 0;
    for (std::size_t k = 0; k < watched.size(); ++k) {
      struct sigaction action {};
      ::sigemptyset(&action.sa_mask);
      action.sa_flags =
          SA_RESTART | (watched[k].kind == Kind::once ? static_cast<int>(SA_RESETHAND) : 0);
      if (watched[k].kind == Kind::ignored) {
        action.sa_handler = SIG_IGN;
      } else {
        action.sa_handler = [](int number) { noted_ = number; };
      }
      ::sigaction(watched[k].number, nullptr, &before_[k]);
      if (watched[k].number == SIGHUP && before_[k].sa_handler == SIG_IGN) continue;
      ::sigaction(watched[k].number, &action, nullptr);
    }
  }
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  /// The handlers are again those of before.
  ~StopSignal() {
    for (std::size_t k = 0; k < watched.size(); ++k) {
      ::sigaction(watched[k].number, &before_[k], nullptr);
    }
  }

  bool received() const { return noted_ != 0; }
  /// "SIGTERM", for instance, or "" as long as none came.
  const char* name() const {
    const int number = noted_;
    for (const auto& signal : watched) {
      if (signal.number == number) return signal.name;
    }
    return "";
  }

 private:
  enum class Kind { once, repeated, ignored };
  struct Signal {
    int number;
    const char* name;
    Kind kind;
  };
  static constexpr std::array<Signal, 8> watched{{{SIGTERM, "SIGTERM", Kind::once},
                                                  {SIGINT, "SIGINT", Kind::once},
                                                  {SIGHUP, "SIGHUP", Kind::repeated},
                                                  {SIGUSR1, "SIGUSR1", Kind::repeated},
                                                  {SIGUSR2, "SIGUSR2", Kind::repeated},
                                                  {SIGXCPU, "SIGXCPU", Kind::repeated},
                                                  {SIGPIPE, "SIGPIPE", Kind::ignored},
                                                  {SIGXFSZ, "SIGXFSZ", Kind::ignored}}};

  static_assert(std::atomic<int>::is_always_lock_free);
  inline static std::atomic<int> noted_{0};

  std::array<struct sigaction, 8> before_{};
};

}  // namespace vrfm
