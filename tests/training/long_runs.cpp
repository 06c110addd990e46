// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a run of days needs: the last checkpoints in a folder, steps with actions in between that a
// signal ends, and held-out losses.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <signal.h>
#include <sys/resource.h>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/thrown.hpp>

#include "support.hpp"

#include <vrfm/training/checkpoint_folder.hpp>
#include <vrfm/training/held_out_loss.hpp>
#include <vrfm/training/long_run.hpp>
#include <vrfm/training/stop_signal.hpp>

using namespace vrfm::test;
using vrfm::CheckpointFolder;
using vrfm::Settings;
using TinyFlow = vrfm::Flow<float>;

namespace {

const Settings settings{{"beta", "0.1"}};

auto trainer_from(std::uint32_t seed) {
  return tiny_trainer(TinyFlow(Kokkos::DefaultExecutionSpace(), tiny_flow(), seed));
}

std::vector<std::string> names(const CheckpointFolder& folder) {
  std::vector<std::string> result;
  for (const auto& file : folder.files()) result.push_back(file.filename().string());
  return result;
}

using Names = std::vector<std::string>;

/// While it lives, no file of this process grows beyond `bytes`.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("a folder keeps the last checkpoints", "[training][checkpoint]") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary / "run", 2);
  auto trainer = trainer_from(1);
  CHECK(folder.files().empty());
  CHECK_FALSE(folder.load_newest(trainer, settings).has_value());
  for (const std::int64_t step : {3, 9, 10}) {
    trainer.run(step);
    const auto written = folder.save(trainer, settings);
    CHECK(written == folder.files().front());
  }
  CHECK(names(folder) == Names{"step-000000010.safetensors", "step-000000009.safetensors"});

  // Files of other names are nobody's checkpoints; a temporary was left by a kill.
  spill(temporary / "run/step-x.safetensors", "");
  spill(temporary / "run/step-11.safetensors.bak", "");
  spill(temporary / "run/.vrfm-1-0.tmp", "");
  folder.save(trainer, settings);
  CHECK(names(folder) == Names{"step-000000010.safetensors", "step-000000009.safetensors"});
  CHECK(std::filesystem::exists(temporary / "run/step-x.safetensors"));
  CHECK_FALSE(std::filesystem::exists(temporary / "run/.vrfm-1-0.tmp"));

  auto other = trainer_from(2);
  CHECK(folder.load_newest(other, settings) == folder.files().front());
  CHECK((state_of(other) == state_of(trainer)));
  // One of an earlier step is not what is too old.
  auto earlier = trainer_from(3);
  earlier.run(1);
  CHECK(std::filesystem::exists(folder.save(earlier, settings)));
  CHECK(names(folder).size() == 3);
  // Whatever the error is, all ranks hear it.
  CHECK(thrown<std::runtime_error>([&] {
          folder.save(trainer, {{"x", "\xff"}});
        }).starts_with("checkpoint of step 10: "));
  CHECK(thrown<std::invalid_argument>([&] { CheckpointFolder(temporary / "run", 0); }) ==
        "vrfm: CheckpointFolder: must keep at least 1 checkpoint, got 0");
}

TEST_CASE("a damaged checkpoint is passed over, another run's is not", "[training][checkpoint]") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary / "run");
  auto trainer = trainer_from(1);
  trainer.run(4);
  folder.save(trainer, settings);
  const State four = state_of(trainer);
  trainer.run(5);
  const auto newest = folder.save(trainer, settings);
  spill(newest, slurp(newest).substr(0, 1000));

  auto other = trainer_from(2);
  std::vector<std::string> skipped;
  const auto note = [&](const std::string& error) { skipped.push_back(error); };
  CHECK(folder.load_newest(other, settings, note) == folder.files()[1]);
  CHECK((state_of(other) == four));
  REQUIRE(skipped.size() == 1);
  CHECK(contains(skipped[0], newest.string()));

  const auto wrong = thrown<std::runtime_error>([&] {
    (void)folder.load_newest(other, {{"beta", "2"}});
  });
  CHECK(contains(wrong, "setting 'beta' is '2' but the checkpoint was made with '0.1'"));
  spill(folder.files()[1], "");
  const auto none = thrown<std::runtime_error>([&] { (void)folder.load_newest(other, settings); });
  CHECK(contains(none, "found 2 that are damaged"));
  CHECK((state_of(other) == four));
}

TEST_CASE("a full disk leaves the checkpoints of before", "[training][checkpoint]") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary / "run", 1);
  auto trainer = trainer_from(1);
  trainer.run(1);
  const auto first = folder.save(trainer, settings);
  const std::string contents = slurp(first);
  trainer.run(2);
  {
    const FileSizeLimit limit(contents.size() / 2);
    const auto error = thrown<std::runtime_error>([&] { folder.save(trainer, settings); });
    CHECK(contains(error, "checkpoint of step 2"));
    CHECK(contains(error, "the earlier ones are intact, the newest is " + first.string()));
  }
  CHECK(names(folder) == Names{"step-000000001.safetensors"});
  CHECK((slurp(first) == contents));
  CHECK(std::distance(std::filesystem::directory_iterator(temporary / "run"), {}) == 1);
}

TEST_CASE("a long run has the bits of a short one, its actions and its end",
          "[training][long_run]") {
  auto plain = trainer_from(1), other = trainer_from(1);
  plain.run(13);
  std::vector<std::int64_t> seen, threes, fives;
  const auto on_step = [&](const vrfm::TrainingReport& report) {
    CHECK((report.losses.size() == 1 && report.last_step == 13));
    seen.push_back(report.step);
  };
  const std::vector<vrfm::PeriodicAction> actions{{3, [&] { threes.push_back(other.step()); }},
                                                  {5, [&] { fives.push_back(other.step()); }},
                                                  {0, [] { FAIL("an action of period 0"); }}};
  CHECK_FALSE(vrfm::long_run(other, 13, on_step, actions, [&] { return other.step() == 7; }));
  CHECK(seen.size() == 7);
  CHECK(vrfm::long_run(other, 13, on_step, actions, {}));
  CHECK((seen.size() == 13 && seen.back() == 13));
  CHECK(threes == std::vector<std::int64_t>{3, 6, 9, 12});
  CHECK(fives == std::vector<std::int64_t>{5, 10});
  CHECK((state_of(other) == state_of(plain)));
}

TEST_CASE("how often a long run looks changes no bits and no action", "[training][long_run]") {
  auto plain = trainer_from(1);
  plain.run(13);
  for (const std::int64_t every : {1, 2, 4, 5, 100}) {
    auto other = trainer_from(1);
    std::vector<std::int64_t> seen, threes;
    std::size_t losses = 0;
    const auto on_report = [&](const vrfm::TrainingReport& report) {
      CHECK(static_cast<std::int64_t>(report.losses.size()) <= every);
      CHECK(report.last_step == 13);
      losses += report.losses.size();
      seen.push_back(report.step);
    };
    const std::vector<vrfm::PeriodicAction> actions{{3, [&] { threes.push_back(other.step()); }}};
    const auto stop = [&] { return other.step() >= 7; };
    CHECK_FALSE(vrfm::long_run(other, 13, on_report, actions, stop, every));
    CHECK(vrfm::long_run(other, 13, on_report, actions, {}, every));
    CHECK(threes == std::vector<std::int64_t>{3, 6, 9, 12});
    CHECK((losses == 13 && seen.back() == 13));
    if (every >= 3) CHECK(seen.front() == 3);
    CHECK((state_of(other) == state_of(plain)));
  }
  CHECK_THROWS_AS(vrfm::long_run(plain, 14, {}, {}, {}, 0), std::invalid_argument);
}

TEST_CASE("a stop before the first step stops there", "[training][long_run]") {
  auto trainer = trainer_from(1);
  CHECK_FALSE(vrfm::long_run(trainer, 3, {}, {}, [] { return true; }));
  CHECK(trainer.step() == 0);
  trainer.run(3);
  CHECK(vrfm::long_run(trainer, 3, {}, {}, [] { return true; }));
}

TEST_CASE("signals are noted while someone asks", "[training][stop_signal]") {
  static int seen = 0;
  const std::pair<int, const char*> all[] = {{SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"},
                                             {SIGHUP, "SIGHUP"},   {SIGUSR1, "SIGUSR1"},
                                             {SIGUSR2, "SIGUSR2"}, {SIGXCPU, "SIGXCPU"}};
  for (const auto& [number, name] : all) {
    INFO(name);
    auto* const before = ::signal(number, [](int) { ++seen; });
    {
      const vrfm::StopSignal stop;
      CHECK_FALSE(stop.received());
      CHECK(std::string(stop.name()).empty());
      ::raise(number);
      CHECK(stop.received());
      CHECK(stop.name() == std::string(name));
      // A second one of a user's two ends the program; the others may come as often as they like.
      if (number != SIGTERM && number != SIGINT) ::raise(number);
    }
    CHECK(seen == 0);
    ::raise(number);
    CHECK(seen == 1);
    seen = 0;
    ::signal(number, before);
  }
}

TEST_CASE("what a failed write or nohup says is left alone", "[training][stop_signal]") {
  auto* const before = ::signal(SIGHUP, SIG_IGN);
  {
    const vrfm::StopSignal stop;
    for (const int number : {SIGPIPE, SIGXFSZ, SIGHUP}) {
      ::raise(number);
      CHECK_FALSE(stop.received());
    }
  }
  CHECK(::signal(SIGHUP, before) == SIG_IGN);
}

TEST_CASE("held-out losses are the objective's, on draws of their own",
          "[training][held_out_loss]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  for (const int latent : {0, 2}) {
    const vrfm::Flow<double> flow(Exec(), tiny_flow(latent), 1);
    const auto pairs = tiny_coupling<double>(Exec());
    const auto check = [&](const auto& objective) {
      const auto losses = [&](int batch, std::uint32_t step) {
        return vrfm::held_out_losses(
            flow, objective, pairs,
            {.count = 500, .seed = 5, .step = step, .launch = {.batch = batch}});
      };
      const auto whole = losses(0, 0);
      for (const char* term : objective.terms) {
        // Added in another order, the same; at another step, and in training, other samples.
        const double bound = 1e3 * std::numeric_limits<double>::epsilon() * whole.mean(term);
        CHECK(std::abs(losses(7, 0).mean(term) - whole.mean(term)) <= bound);
        CHECK(losses(7, 0).mean(term) == losses(7, 0).mean(term));
        CHECK(std::abs(losses(0, 1).mean(term) - whole.mean(term)) > bound);
      }
      vrfm::Trainer trainer(flow, objective, vrfm::Adam{.learning_rate = 1e-300}, pairs,
                            {.batch = 500, .seed = 5});
      trainer.run(1, 1, [&](const vrfm::TrainingReport& report) {
        for (const char* term : objective.terms) {
          CHECK(report.mean(term) != whole.mean(term));
          CHECK(std::abs(report.mean(term) - whole.mean(term)) < 0.2 * whole.mean(term));
        }
      });
    };
    if (latent > 0) {
      check(vrfm::Elbo{.beta = 0.1});
    } else {
      check(vrfm::VelocityLoss{});
      using AtTime = vrfm::BasicVelocityLoss<vrfm::LinearSchedule, vrfm::FixedTime>;
      const auto early = vrfm::held_out_losses(flow, AtTime{.times = {0.1}}, pairs, {.count = 50});
      const auto late = vrfm::held_out_losses(flow, AtTime{.times = {0.9}}, pairs, {.count = 50});
      CHECK(early.mean("velocity") != late.mean("velocity"));
    }
  }
}
