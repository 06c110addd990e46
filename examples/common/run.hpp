// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TrainingRun: one training of a program from its first or its last checkpoint's step to its end. It may
// be stopped by a signal at any time and be continued to the same bits, also by another number of ranks; it
// keeps the losses of every step, and writes the weights at its end.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/training/checkpoint.hpp>
#include <vrfm/training/long_run.hpp>
#include <vrfm/training/progress.hpp>
#include <vrfm/training/stop_signal.hpp>

#include <examples/common/event_file.hpp>
#include <examples/common/loss_log.hpp>
#include <examples/common/ranks.hpp>

namespace common {

/// Makes a folder, if OutputFolder did not. Throws std::runtime_error that names --output.
inline void create_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw std::runtime_error("--output " + folder.string() +
                             ": cannot create the folder: " + error.message());
  }
}

/// What a program runs on: "OpenMP, 2 threads".
template <class Exec>
std::string backend_text(const Exec& exec) {
  const int threads = exec.concurrency(), processes = communicator().size();
  return std::string(Exec::name()) + ", " + std::to_string(threads) +
         (threads == 1 ? " thread" : " threads") +
         (processes == 1 ? "" : " on each of " + std::to_string(processes) + " ranks");
}

/// The one checkpoint of a run; stands where a vrfm::CheckpointFolder may stand.
class CheckpointFile {
 public:
  explicit CheckpointFile(std::filesystem::path file) : file_(std::move(file)) {}

  const std::filesystem::path& path() const { return file_; }

  /// Replaces the checkpoint, making its folder if need be; returns its path. All ranks call it.
  template <class TrainerType>
  std::filesystem::path save(const TrainerType& trainer, const vrfm::Settings& settings) const {
    if (is_root()) create_folder(file_.parent_path());
    vrfm::save_checkpoint(file_, trainer, settings);
    return file_;
  }

  /// Restores the checkpoint, if there is one. Throws as load_checkpoint does.
  template <class TrainerType>
  std::optional<std::filesystem::path> load_newest(
      TrainerType& trainer, const vrfm::Settings& settings,
      const std::function<void(const std::string&)>& /*skipped*/) const {
    if (!std::filesystem::exists(file_)) return std::nullopt;
    vrfm::load_checkpoint(file_, trainer, settings);
    return file_;
  }

 private:
  std::filesystem::path file_;
};

/// Shows the means of the losses, twice a second at most.
class Progress {
 public:
  Progress(const std::string& name, int batch) : bar_(name), batch_(batch) {}

  void operator()(vrfm::TrainingReport report) {
    since_.insert(since_.end(), report.losses.begin(), report.losses.end());
    if (window_.seconds() < 0.5 && report.step < report.last_step) return;
    const auto steps = static_cast<double>(since_.size());
    for (std::size_t k = 0; k < report.terms.size(); ++k) {
      report.means[k] = 0;
      for (const auto& losses : since_) report.means[k] += losses.terms[k] / steps;
    }
    report.losses = since_;
    report.seconds = total_.seconds();
    report.samples_per_second = steps * batch_ / window_.seconds();
    bar_(report);
    since_.clear();
    window_.reset();
  }

 private:
  vrfm::ProgressBar bar_;
  int batch_;
  Kokkos::Timer total_, window_;
  std::vector<vrfm::StepLosses> since_;
};

/// The metadata of weights that tells how many steps they were trained for.
inline constexpr const char* trained_steps = "trained_steps";

struct RunOptions {
  std::string name;                   ///< of the model, before its progress
  std::int64_t iterations = 0;        ///< steps at which the run ends
  std::string end = "--iterations";   ///< what says so,
  std::string advice = {};            ///< and what to do if that is too few
  std::int64_t checkpoint_every = 0;  ///< 0: at the end and when it is stopped only
  std::int64_t compare_every = 0;     ///< steps between comparisons of ranks; 0: before checkpoints
  std::int64_t report_every = 1;  ///< steps between two looks at the results; no bits depend on it
  bool resume = false;            ///< continue from the newest checkpoint
  vrfm::Settings settings;        ///< what checkpoints compare and weights tell
  std::filesystem::path losses;   ///< the archive of a LossLog
  std::filesystem::path events = {};  ///< folder of an EventFile; empty: none
  std::filesystem::path weights;      ///< file of the weights at the end,
  std::filesystem::path average =
      {};  ///< and of their moving average; empty: it is all that is kept
  std::function<void()> before_writing = {};  ///< called before each checkpoint
  vrfm::Settings alike = {};  ///< further options that all ranks must be given alike
  std::function<bool()> enough =
      {};  ///< true on all ranks: the training ends here, before its last step
};

/// Throws std::runtime_error on a rank whose settings, such as its data, are not those of rank 0.
inline void check_settings(const vrfm::Settings& settings) {
  std::string own;
  for (const auto& [name, value] : settings) own += name + '\n' + value + '\n';
  std::uint64_t size = own.size();
  vrfm::broadcast_by_messages(communicator(), &size, sizeof size);
  std::string of_root = own;
  of_root.resize(size);
  vrfm::broadcast_by_messages(communicator(), of_root.data(), size);
  if (own == of_root) return;
  std::istringstream lines(of_root);
  std::string name, value;
  while (std::getline(lines, name) && std::getline(lines, value)) {
    const auto found = settings.find(name);
    const std::string here = found == settings.end() ? "" : found->second;
    vrfm::expect(here == value, "expected the settings of rank 0, found '", name, "' to be '", here,
                 "', not '", value, "'");
  }
  throw std::runtime_error("expected the settings of rank 0, found more");
}

/// A signal came where nothing is lost by ending: no error, and the message says how to go on.
struct Stopped {
  std::string message;
};

/// The signal that came; on another rank, if none came here.
inline std::string signal_name(const vrfm::StopSignal& stop) {
  return stop.received() ? stop.name() : "a signal to another rank";
}

/// Throws Stopped if a signal has come to this rank; `message` follows its name.
inline void end_if_stopped(const vrfm::StopSignal& stop, const std::string& message) {
  if (stop.received()) throw Stopped{signal_name(stop) + ": " + message};
}

/// The same on all ranks, which call it together, if a signal has come to one.
inline void end_together_if_stopped(const vrfm::StopSignal& stop, const std::string& message) {
  if (communicator().any(stop.received())) throw Stopped{signal_name(stop) + ": " + message};
}

/// Checkpoints: a vrfm::CheckpointFolder or a CheckpointFile.
template <class FlowType, class TrainerType, class Checkpoints>
class TrainingRun {
 public:
  /// `trainer` trains the values of `flow`. Resumes if that is asked for; throws std::runtime_error if
  /// what is there does not fit.
  TrainingRun(const FlowType& flow, TrainerType& trainer, const Checkpoints& checkpoints,
              const RunOptions& options, std::span<const char* const> terms)
      : flow_(flow),
        trainer_(trainer),
        checkpoints_(checkpoints),
        options_(options),
        losses_(terms) {
    // Whatever decides which calls ranks make together.
    vrfm::Settings everywhere = options.settings;
    everywhere.insert(options.alike.begin(), options.alike.end());
    everywhere["--output"] = options.weights.parent_path().string();
    everywhere["--iterations"] = std::to_string(options.iterations);
    everywhere["--checkpoint-every"] = std::to_string(options.checkpoint_every);
    everywhere["--compare-ranks"] = std::to_string(options.compare_every);
    everywhere["--resume"] = options.resume ? "on" : "off";
    check_settings(everywhere);
    if (options.resume) resume(terms);
    vrfm::check_replicas(trainer);  // that all ranks read the same
    first_step_ = trainer.step();
  }

  /// Trains to the end, or to the step at which `stop` comes; writes a checkpoint, and at the end the
  /// weights. Returns whether it is the end. write(flow, record): what the root writes in place of the weights.
  bool train(const vrfm::StopSignal& stop, std::vector<vrfm::PeriodicAction> actions = {},
             const std::function<void(const FlowType&, const vrfm::Settings&)>& write = {}) {
    if (communicator().size() > 1) say("%s", backend_text(flow_.exec()).c_str());
    Progress progress(options_.name, trainer_.options().batch);
    actions.insert(
        actions.begin(),
        {vrfm::PeriodicAction{options_.compare_every, [this] { vrfm::check_replicas(trainer_); }},
         vrfm::PeriodicAction{options_.checkpoint_every, [this] { save(); }}});
    if (is_root() && !options_.events.empty()) events_.emplace(options_.events, first_step_ + 1);
    const Kokkos::Timer timer;
    const auto enough = [&] { return options_.enough && options_.enough(); };
    const bool all_steps = vrfm::long_run(
        trainer_, options_.iterations,
        [&](const vrfm::TrainingReport& report) {
          losses_.add(report.losses);
          if (is_root()) progress(report);
          if (events_) add_event(report);
        },
        actions, [&] { return stop.received() || enough(); }, options_.report_every);
    const bool done = all_steps || enough();
    seconds_ = timer.seconds();
    if (saved_step_ != trainer_.step()) save();
    if (!done) {
      say("\n%s: stopped after step %lld, written to %s; --resume continues",
          signal_name(stop).c_str(), static_cast<long long>(trainer_.step()), saved_.c_str());
      return false;
    }
    const FlowType averages = trained();  // of shards, all ranks gather it
    if (!is_root()) return true;
    vrfm::Settings record = options_.settings;
    record[trained_steps] = std::to_string(trainer_.step());
    if (write) {
      write(averages, record);
      return true;
    }
    if (averaged() && options_.average.empty()) {
      vrfm::save_weights(options_.weights, averages, record);
      return true;
    }
    vrfm::save_weights(options_.weights, flow_, record);
    if (averaged()) vrfm::save_weights(options_.average, averages, record);
    return true;
  }

  const LossLog& losses() const { return losses_; }
  /// Adds numbers of the last step, of other names than the training's, to the events, if there are any.
  void note(const std::vector<std::pair<std::string, double>>& numbers) {
    if (events_) events_->add(trainer_.step(), numbers);
  }
  /// Of this start; NaN if the training was done before.
  double seconds() const {
    return trainer_.step() > first_step_ ? seconds_ : std::numeric_limits<double>::quiet_NaN();
  }
  double steps_per_second() const {
    return static_cast<double>(trainer_.step() - first_step_) / seconds();
  }
  /// The flow to draw from: with the moving average of its weights, if there is one. All ranks call it.
  FlowType trained() const { return averaged() ? flow_.with_values(trainer_.average()) : flow_; }

 private:
  void add_event(const vrfm::TrainingReport& report) {
    std::vector<std::pair<std::string, double>> numbers;
    for (std::size_t k = 0; k < report.terms.size(); ++k) {
      numbers.emplace_back(std::string("training/") + report.terms[k], report.means[k]);
    }
    events_->add(report.step, numbers);
  }

  bool averaged() const { return trainer_.options().ema_decay > 0; }

  void resume(std::span<const char* const> terms) {
    const auto found = checkpoints_.load_newest(
        trainer_, options_.settings,
        [](const std::string& error) { say_as_rank("skipped a damaged checkpoint: " + error); });
    const char* name = options_.name.c_str();
    if (!found) {
      if (std::filesystem::exists(options_.weights)) {
        throw std::runtime_error("--resume: expected a checkpoint in " +
                                 checkpoints_.path().string() + ", found none but the weights " +
                                 options_.weights.string() +
                                 " of a training that is done; --overwrite replaces them");
      }
      say("%s: no checkpoint in %s yet: training begins", name, checkpoints_.path().c_str());
      return;
    }
    vrfm::expect(trainer_.step() <= options_.iterations, found->string(), " has ", trainer_.step(),
                 " steps done, more than ", options_.end, ' ', options_.iterations,
                 options_.advice);
    losses_ = LossLog::resumed(options_.losses, terms, trainer_.step(),
                               [](const std::string& what) { say("warning: %s", what.c_str()); });
    say("%s: continues from %s to step %lld", name, found->c_str(),
        static_cast<long long>(options_.iterations));
  }

  /// The losses first: a checkpoint is never ahead of them, and resuming cuts them to its step.
  void save() {
    if (is_root()) {
      if (options_.before_writing) options_.before_writing();
      create_folder(options_.losses.parent_path());
      losses_.write(options_.losses);
    }
    saved_ = checkpoints_.save(trainer_, options_.settings);
    saved_step_ = trainer_.step();
  }

  FlowType flow_;
  TrainerType& trainer_;
  Checkpoints checkpoints_;
  RunOptions options_;
  LossLog losses_;
  std::optional<EventFile> events_;
  std::int64_t first_step_ = 0, saved_step_ = -1;
  std::filesystem::path saved_;
  double seconds_ = 0;
};

}  // namespace common
