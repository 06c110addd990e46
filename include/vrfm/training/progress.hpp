// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ProgressBar: a training run's state on one line of a terminal, or as plain lines, a few in all,
// where the output is not a terminal.
#pragma once

#include <cmath>
#include <cstdio>
#include <string>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include <vrfm/training/report.hpp>

namespace vrfm {

namespace detail {

inline bool is_terminal(std::FILE* stream) {
#if defined(__unix__) || defined(__APPLE__)
  return isatty(fileno(stream)) != 0;
#else
  return stream == nullptr;
#endif
}

/// "1:05" or "2:03:09" from seconds.
inline std::string clock_text(double seconds) {
  const long total = std::lround(std::fmax(seconds, 0.0));
  char buffer[48];
  if (total >= 3600) {
    std::snprintf(buffer, sizeof buffer, "%ld:%02ld:%02ld", total / 3600, total / 60 % 60,
                  total % 60);
  } else {
    std::snprintf(buffer, sizeof buffer, "%ld:%02ld", total / 60, total % 60);
  }
  return buffer;
}

}  // namespace detail

/// An on_report callback for Trainer::run that writes to `stream` under the run's `name`.
class ProgressBar {
 public:
  explicit ProgressBar(std::string name = "training", std::FILE* stream = stderr)
      : name_(std::move(name)), stream_(stream), terminal_(detail::is_terminal(stream)) {}

  void operator()(const TrainingReport& report) {
    if (first_step_ < 0) {
      first_step_ = report.step - static_cast<std::int64_t>(report.losses.size());
    }
    const bool done = report.step == report.last_step;
    const double fraction =
        static_cast<double>(report.step) / static_cast<double>(report.last_step);
    const auto tenth = static_cast<int>(10 * fraction);
    if (!terminal_ && !done && tenth == tenth_) return;
    tenth_ = tenth;
    const double left = report.seconds * static_cast<double>(report.last_step - report.step) /
                        static_cast<double>(report.step - first_step_);
    std::string losses;
    for (std::size_t k = 0; k < report.terms.size(); ++k) {
      char loss[64];
      std::snprintf(loss, sizeof loss, "  %s %.4f", report.terms[k], report.means[k]);
      losses += loss;
    }
    const double speed = report.samples_per_second;
    char line[512];
    std::snprintf(line, sizeof line, "%s %3.0f %%  step %lld/%lld%s  %.*f samples/s  %s %s",
                  name_.c_str(), std::floor(100 * fraction), static_cast<long long>(report.step),
                  static_cast<long long>(report.last_step), losses.c_str(), speed < 10 ? 1 : 0,
                  speed, detail::clock_text(done ? report.seconds : left).c_str(),
                  done ? "in all" : "left");
    if (terminal_) {
      // Erase to the end of the line: the text before it may have been longer.
      std::fprintf(stream_, "\r%s\033[K%s", line, done ? "\n" : "");
    } else {
      std::fprintf(stream_, "%s\n", line);
    }
    std::fflush(stream_);
  }

 private:
  std::string name_;
  std::FILE* stream_;
  bool terminal_;
  int tenth_ = 0;
  std::int64_t first_step_ = -1;
};

}  // namespace vrfm
