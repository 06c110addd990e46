// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs gnuplot as a child process: the script is its standard input, the picture its standard
// output. No shell takes part, and the three streams are unnamed temporary files, so neither side
// can block on a full pipe and nothing is left behind.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

extern char** environ;

namespace common {

/// gnuplot could not be started at all, so no other figure can be drawn either.
struct GnuplotMissing : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// gnuplot ran and rejected a script; the text holds what it said.
struct GnuplotFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

inline File temporary_file() {
  File file(std::tmpfile());
  if (!file)
    throw GnuplotMissing(std::string("no temporary file for gnuplot: ") + std::strerror(errno));
  // A child gets a stream through the copy that dup2 makes, never through the original.
  ::fcntl(::fileno(file.get()), F_SETFD, FD_CLOEXEC);
  return file;
}

inline std::string contents(std::FILE* file) {
  std::rewind(file);
  std::string text;
  char buffer[1 << 14];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, file))
    text.append(buffer, count);
  return text;
}

inline GnuplotMissing not_started(const std::string& program, const std::string& reason) {
  return GnuplotMissing("could not start '" + program + "': " + reason +
                        ". Install gnuplot 5.4 or later to have figures drawn");
}

/// The child's file actions, released on every way out.
class StandardStreams {
 public:
  StandardStreams(std::FILE* input, std::FILE* output, std::FILE* errors) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, ::fileno(input), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, ::fileno(output), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, ::fileno(errors), STDERR_FILENO);
  }
  StandardStreams(const StandardStreams&) = delete;
  StandardStreams& operator=(const StandardStreams&) = delete;
  ~StandardStreams() { ::posix_spawn_file_actions_destroy(&actions_); }

  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

}  // namespace detail

/// Returns what gnuplot writes to standard output when it reads `script`. `program` is a path or a
/// name looked up in PATH. Throws GnuplotMissing or GnuplotFailed.
inline std::string run_gnuplot(const std::string& program, const std::string& script) {
  const detail::File input = detail::temporary_file();
  const detail::File output = detail::temporary_file();
  const detail::File errors = detail::temporary_file();
  if (std::fwrite(script.data(), 1, script.size(), input.get()) != script.size() ||
      std::fflush(input.get()) != 0)
    throw GnuplotFailed(std::string("writing gnuplot's script: ") + std::strerror(errno));
  std::rewind(input.get());

  // -d keeps a user's own gnuplot settings from changing the figures.
  std::string name = program, defaults = "-d", standard_input = "-";
  char* const arguments[] = {name.data(), defaults.data(), standard_input.data(), nullptr};
  const detail::StandardStreams streams(input.get(), output.get(), errors.get());
  pid_t child = 0;
  if (const int error =
          ::posix_spawnp(&child, name.c_str(), streams.get(), nullptr, arguments, environ))
    throw detail::not_started(program, std::strerror(error));

  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      throw GnuplotFailed(std::string("waiting for gnuplot: ") + std::strerror(errno));
  const std::string said = detail::contents(errors.get());
  // A C library that reports a failed exec only from the child uses exit status 127.
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    throw detail::not_started(program, "command not found");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw GnuplotFailed("gnuplot failed: " + (said.empty() ? "it gave no reason" : said));
  return detail::contents(output.get());
}

}  // namespace common
