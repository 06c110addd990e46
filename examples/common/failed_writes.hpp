// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes that fail are errors, or are ignored where only a reader of the progress has left; they end no
// program.
#pragma once

#include <signal.h>

namespace common {

/// To be called first in main(): for a limit on the size of files, and for a pipe without a reader.
inline void report_failed_writes() {
  ::signal(SIGXFSZ, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace common
