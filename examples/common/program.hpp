// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Program: what every main() does. Options that begin with --kokkos- go to Kokkos and the rest to
// CLI11, so that both may refuse what they do not know; whatever is wrong becomes one line on the
// standard error and the status 1. Of the ranks that mpirun started one says it.
#pragma once

#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <Kokkos_Core.hpp>

#include <examples/common/failed_writes.hpp>
#include <examples/common/ranks.hpp>
#include <examples/common/run.hpp>

namespace common {

class Program {
 public:
  Program(std::string name, int argc, char** argv) : name_(std::move(name)) {
    report_failed_writes();
    ranks();  // before anything else
    for_kokkos_ = {argv[0], "--kokkos-disable-warnings"};
    for_us_ = {argv[0]};
    command_line_ = name_;
    for (int i = 1; i < argc; ++i) {
      const std::string argument = argv[i];
      (argument.starts_with("--kokkos-") ? for_kokkos_ : for_us_).push_back(argument);
      const std::string shown = without_root(argument);
      const bool plain = shown.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "_-+=.,/:") == std::string::npos;
      command_line_ += plain && !shown.empty() ? ' ' + shown : " '" + shown + '\'';
    }
  }

  /// The command line again, quoted where a shell needs it, with paths from the folder it was given in.
  const std::string& command_line() const { return command_line_; }

  /// Parses, calls complete() and, with Kokkos initialised, run(). Returns the exit status.
  template <class Complete, class Run>
  int main(CLI::App& app, const Complete& complete, const Run& run) const {
    try {
      ranks().check();
      auto arguments = pointers(for_us_);
      app.parse(static_cast<int>(for_us_.size()), arguments.data());
      complete();
    } catch (const CLI::Success& help) {
      return is_root() ? app.exit(help) : 0;
    } catch (const CLI::ExtrasError& error) {
      const std::vector<std::string> unknown = app.remaining(true);
      const bool option = !unknown.empty() && unknown.front().starts_with('-');
      return refuse(unknown.empty() ? error.what()
                                    : (option ? "unknown option '" : "unexpected argument '") +
                                          unknown.front() + "'; --help lists what there is");
    } catch (const CLI::ParseError& error) {
      return refuse(error.what() + std::string("; --help lists what there is"));
    } catch (const std::exception& error) {
      return refuse(error.what());
    }

    auto arguments = pointers(for_kokkos_);
    int count = static_cast<int>(for_kokkos_.size());
    Kokkos::ScopeGuard kokkos(count, arguments.data());
    try {
      run();
    } catch (const Stopped& stopped) {
      say("\n%s", stopped.message.c_str());
    } catch (const vrfm::RankError&) {
      return end(nullptr, true);
    } catch (const std::exception& error) {
      // On a terminal the cursor may stand behind a line of progress.
      if (isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\n");
      return refuse(error.what());
    }
    return end(nullptr, false);
  }

 private:
  /// An argument, or what it gives to an option after =, with an absolute path made relative.
  static std::string without_root(const std::string& argument) {
    const std::size_t equals = argument.starts_with("--") ? argument.find('=') : std::string::npos;
    const std::size_t begin = equals == std::string::npos ? 0 : equals + 1;
    const std::filesystem::path path = argument.substr(begin);
    if (!path.is_absolute()) return argument;
    std::error_code none;
    const auto relative = path.lexically_relative(std::filesystem::current_path(none));
    return relative.empty() ? argument : argument.substr(0, begin) + relative.string();
  }

  /// Kokkos and CLI11 take what main() gets, with a null pointer at the end.
  static std::vector<char*> pointers(const std::vector<std::string>& arguments) {
    std::vector<char*> result;
    for (const std::string& argument : arguments)
      result.push_back(const_cast<char*>(argument.c_str()));
    result.push_back(nullptr);
    return result;
  }

  /// One line says what was wrong, on one rank; returns the exit status.
  int refuse(std::string_view message) const {
    // The library's own messages begin with its name; the program's stands for it.
    if (message.starts_with("vrfm: ")) message.remove_prefix(6);
    // One line, whatever follows the first.
    const std::string line(message.substr(0, message.find('\n')));
    ranks().fail(line);
    return end(line.c_str(), false);
  }

  /// Waits for the other ranks' end; returns the exit status.
  int end(const char* own_error, bool heard_of_one) const {
    const RanksEnd end = ranks().end(own_error != nullptr, heard_of_one);
    if (end.speaks) {
      const std::string who =
          end.alike ? "" : "rank " + std::to_string(communicator().rank()) + ": ";
      std::fprintf(stderr, "%s: %s%s\n", name_.c_str(), who.c_str(), own_error);
    }
    if (!end.well && !end.alike) ranks().abort(end.speaks);
    return end.well ? 0 : 1;
  }

  std::string name_, command_line_;
  std::vector<std::string> for_kokkos_, for_us_;
};

}  // namespace common
