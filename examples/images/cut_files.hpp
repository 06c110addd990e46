// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Files of latents are mapped, and the system answers a look at what was cut off one of them since with SIGBUS, which
// would end the program without a word. Here it ends it with one line and the status 1.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include <signal.h>
#include <unistd.h>

#include <vrfm/io/latents.hpp>

namespace images {

namespace detail {

/// Where a file is in memory, and what is said if it is not there any more.
struct MappedFile {
  std::uintptr_t begin, end;
  std::string line;
};

inline std::vector<MappedFile> mapped_files;
inline struct sigaction earlier_action;

/// Calls nothing that a signal's handler may not call.
inline void end_if_cut(int, siginfo_t* info, void*) {
  static std::atomic_flag spoken = ATOMIC_FLAG_INIT;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (const MappedFile& file : mapped_files) {
    if (address < file.begin || address >= file.end) continue;
    while (spoken.test_and_set()) ::pause();  // another thread speaks and ends all
    [[maybe_unused]] const auto told = ::write(STDERR_FILENO, file.line.data(), file.line.size());
    ::_exit(1);
  }
  ::sigaction(SIGBUS, &earlier_action, nullptr);  // which has the same fault again
}

}  // namespace detail

/// From now on, for files that are read to the program's end. `program` begins the line.
inline void end_clearly_if_cut(const vrfm::LatentFiles& files, const std::string& program) {
  for (const vrfm::SafetensorsFile& file : files.files()) {
    for (const vrfm::Tensor& tensor : file.tensors()) {
      const auto begin = reinterpret_cast<std::uintptr_t>(tensor.data.data());
      detail::mapped_files.push_back({begin, begin + tensor.data.size(),
                                      "\n" + program + ": " + file.name() +
                                          ": expected a file of latents that stays as it is while "
                                          "it is read, found it cut, or "
                                          "its disk failing\n"});
    }
  }
  static const bool installed = [] {
    struct sigaction action {};
    action.sa_sigaction = detail::end_if_cut;
    action.sa_flags = SA_SIGINFO;
    return ::sigaction(SIGBUS, &action, &detail::earlier_action) == 0;
  }();
  (void)installed;
}

}  // namespace images
