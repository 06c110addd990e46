// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a test computes with another number of threads, which a process is told when it starts: the program calls itself
// for a hidden test that writes to a file.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <tests/support/catch.hpp>

#include <vrfm/core/check.hpp>

namespace vrfm::test {

inline constexpr const char* output_variable = "VRFM_TEST_OUTPUT";

/// Where the hidden test writes; numbers as hexadecimal ones.
inline std::ofstream hidden_output() {
  const char* path = std::getenv(output_variable);
  REQUIRE(path != nullptr);
  std::ofstream out(path);
  out << std::hexfloat;
  return out;
}

/// What the hidden tests of `tag`, as "[write_pairs]", write in a process with `threads` threads.
inline std::string output_with_threads(const std::string& tag, int threads) {
  const auto path = std::filesystem::temp_directory_path() /
                    text("vrfm_output_", ::getpid(), '_', threads, ".txt");
  const auto program = std::filesystem::read_symlink("/proc/self/exe");
  const std::string command =
      text("OMP_PROC_BIND=false OMP_NUM_THREADS=", threads, ' ', output_variable, '=', path, ' ',
           program, " '", tag, "' > /dev/null 2>&1");
  REQUIRE(std::system(command.c_str()) == 0);
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  std::filesystem::remove(path);
  return content.str();
}

}  // namespace vrfm::test
