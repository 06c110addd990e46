// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The trainer: it learns; its result does not depend on the number of threads, the way a step runs,
// or how often the host looks.
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#if defined(__linux__)
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "support.hpp"

#include <vrfm/training/checkpoint.hpp>

using namespace vrfm::test;
using vrfm::Execution;
using vrfm::Flow;
using vrfm::StepLosses;
using vrfm::TrainerOptions;
using vrfm::TrainingReport;

namespace {

/// The losses of every step of a run.
template <class TrainerType>
std::vector<StepLosses> run(TrainerType& trainer, std::int64_t last_step,
                            std::int64_t report_every = 100) {
  std::vector<StepLosses> all;
  trainer.run(last_step, report_every, [&](const TrainingReport& report) {
    all.insert(all.end(), report.losses.begin(), report.losses.end());
  });
  return all;
}

double mean_velocity_loss(const std::vector<StepLosses>& losses, std::size_t first,
                          std::size_t count) {
  double sum = 0;
  for (std::size_t i = first; i < first + count; ++i) sum += losses[i].terms[0];
  return sum / static_cast<double>(count);
}

/// The state after 20 steps from seed 1.
template <class T, class Exec>
State state_after_20(const TrainerOptions& options, std::int64_t report_every = 100) {
  const Flow<T, Exec> flow(Exec(), tiny_flow(), 1);
  auto trainer = tiny_trainer(flow, options);
  trainer.run(20, report_every);
  return state_of(trainer);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("training lowers the loss", "[training][trainer]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Flow<T, Exec> flow(Exec(), tiny_flow(), 1);
  auto trainer = tiny_trainer(flow, {.batch = 128}, vrfm::AdamW{.learning_rate = 1e-2});
  const auto losses = run(trainer, 300);
  REQUIRE(losses.size() == 300);
  // E|u|^2 = 2 + 4 to begin with; what is left at the end is mostly the noise of x0.
  CHECK(mean_velocity_loss(losses, 0, 10) > 5);
  CHECK(mean_velocity_loss(losses, 250, 50) < 0.5 * mean_velocity_loss(losses, 0, 10));
  for (const auto& loss : losses) CHECK((loss.terms[1] > 0 && loss.gradient_norm > 0));
}

TEST_CASE("the execution follows from the size of the network unless it is given",
          "[training][trainer]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const auto chosen = [](int width, Execution given, int batch = 1) {
    vrfm::FlowOptions options = tiny_flow(0);
    options.decoder_width = width;
    options.decoder_depth = 4;
    const vrfm::Flow<float, Exec> flow(Exec(), options, 1);
    const vrfm::Trainer trainer(
        flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, tiny_coupling<float>(Exec()),
        vrfm::TrainerOptions{.batch = batch, .launch = {.execution = given}});
    return trainer.options().launch.execution;
  };
  CHECK(chosen(8, Execution::automatic) == Execution::tiles);
  CHECK(chosen(2200, Execution::automatic) == Execution::batch);
  CHECK(chosen(8, Execution::batch) == Execution::batch);
  // One network, whose gradients are few, or too many to keep.
  CHECK(chosen(1'100, Execution::automatic) == Execution::tiles);
  CHECK(chosen(1'100, Execution::automatic, 4'100) == Execution::batch);
  CHECK(chosen(2200, Execution::tiles) == Execution::tiles);
}

TEMPLATE_LIST_TEST_CASE("tiles, whole batches and parts of it give the same gradient",
                        "[training][trainer]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  // One row; around one leaf; more leaves than workers; leaves of more than one tile.
  constexpr int tile = vrfm::detail::most_tile_rows<Exec>;
  constexpr int most = (vrfm::detail::most_leaves<Exec> + 2) * tile;
  for (const int batch : {1, tile - 1, tile, tile + 1, tile * 7 + 3, most + 1}) {
    INFO("batch " << batch);
    const auto first_step = [&](const vrfm::Launch& launch) {
      const Flow<T, Exec> flow(Exec(), tiny_flow(), 1);
      auto trainer = tiny_trainer(flow, {.batch = batch, .launch = launch});
      const auto losses = run(trainer, 1);
      return std::make_pair(state_array(trainer, "adam.first_moment"), losses.at(0));
    };
    const auto [tiles, tile_losses] = first_step({.execution = Execution::tiles});
    const auto [whole, whole_losses] = first_step({.execution = Execution::batch});
    // The first moment is a tenth of the gradient: a mean over the batch, added in two orders.
    const double error = (batch + tile) * epsilon<T>;
    CHECK(largest(tiles) > 0);
    CHECK(difference(tiles, whole, error * largest(whole)) == "");
    const auto near = [&, expected_losses = whole_losses](const StepLosses& losses) {
      for (std::size_t k = 0; k < 2; ++k) {
        const double expected = expected_losses.terms[k];
        CHECK(std::fabs(losses.terms[k] - expected) <= error * expected);
      }
      CHECK(std::fabs(losses.gradient_norm - expected_losses.gradient_norm) <=
            error * expected_losses.gradient_norm);
    };
    near(tile_losses);
    for (const int leaf : {100, batch}) {
      const auto [parts, part_losses] = first_step({.execution = Execution::batch, .batch = leaf});
      CHECK(difference(parts, whole, error * largest(whole)) == "");
      near(part_losses);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("how often the host looks changes no bit", "[training][trainer]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const State once = state_after_20<T, Exec>(tiny_options(), 1000000000000);
  CHECK(once.step == 20);
  for (const std::int64_t report_every : {1, 3, 10, 20})
    CHECK((state_after_20<T, Exec>(tiny_options(), report_every) == once));
  // And a different seed changes it.
  auto other = tiny_options();
  other.seed = 6;
  CHECK_FALSE((state_after_20<T, Exec>(other) == once));
}

TEST_CASE("reports cover every step once", "[training][trainer]") {
  const Flow<float> flow(Kokkos::DefaultExecutionSpace(), tiny_flow(), 1);
  auto trainer = tiny_trainer(flow);
  std::vector<std::int64_t> ends;
  std::int64_t next = 0;
  double seconds = 0;
  const auto check = [&](const TrainingReport& report) {
    ends.push_back(report.step);
    double velocity = 0, kl = 0;
    for (const auto& loss : report.losses) {
      CHECK(loss.step == next++);
      velocity += loss.terms[0];
      kl += loss.terms[1];
    }
    const auto n = static_cast<double>(report.losses.size());
    const double mean_velocity = report.mean("velocity"), mean_kl = report.mean("kl");
    CHECK(std::fabs(mean_velocity - velocity / n) <= n * epsilon<double> * mean_velocity);
    CHECK(std::fabs(mean_kl - kl / n) <= n * epsilon<double> * mean_kl);
    CHECK(thrown<std::invalid_argument>([&] { (void)report.mean("KL"); }) ==
          "vrfm: there is no loss 'KL'; the objective's are velocity, kl");
    CHECK(report.seconds >= seconds);
    CHECK(report.samples_per_second > 0);
    CHECK(report.step <= report.last_step);
    seconds = report.seconds;
  };
  trainer.run(10, 4, check);
  CHECK(ends == std::vector<std::int64_t>{4, 8, 10});
  seconds = 0;
  trainer.run(13, 100, check);  // continues where it stopped
  trainer.run(13, 1, check);    // nothing left to do
  trainer.run(5, 1, check);
  CHECK(ends == std::vector<std::int64_t>{4, 8, 10, 13});
  CHECK(trainer.step() == 13);
}

TEST_CASE("settings that do not fit are refused", "[training][trainer]") {
  const Kokkos::DefaultExecutionSpace exec;
  const Flow<float> flow(exec, tiny_flow(), 1);
  const auto refusal = [&](const TrainerOptions& options) {
    return thrown<std::invalid_argument>([&] { tiny_trainer(flow, options); });
  };
  CHECK(refusal({.batch = 0}) == "vrfm: batch must be at least 1, got 0");
  CHECK(refusal({.clip_norm = -1}) == "vrfm: clip_norm must be >= 0, got -1");
  CHECK(contains(refusal({.clip_norm = std::nan("")}), "clip_norm must be >= 0, got "));
  CHECK(refusal({.ema_decay = 1}) == "vrfm: ema_decay must be in [0, 1), got 1");
  CHECK(refusal({.launch = {.batch = -1}}) ==
        "vrfm: launch.batch must be >= 0 (0: the whole batch), got -1");
  CHECK(refusal({.ema_decay = -0.1}) == "vrfm: ema_decay must be in [0, 1), got -0.1");
  CHECK(thrown<std::invalid_argument>([&] {
          tiny_trainer(flow, {}, vrfm::AdamW{.learning_rate = -1});
        }) == "vrfm: learning rate must be positive, got -1");

  auto options = tiny_flow();
  options.dimension = 3;
  const Flow<float> wide(exec, options, 1);
  CHECK(thrown<std::invalid_argument>([&] { tiny_trainer(wide); }) ==
        "vrfm: the flow has 3 dimensions but the coupling has 2 dimensions");
  const Flow<float> plain(exec, tiny_flow(0), 1);
  CHECK(contains(thrown<std::invalid_argument>([&] { tiny_trainer(plain); }),
                 "got latent = 0; use VelocityLoss"));
  auto trainer = tiny_trainer(flow);
  CHECK(thrown<std::invalid_argument>([&] { trainer.run(1, 0); }) ==
        "vrfm: report_every must be at least 1, got 0");
  // A draw's address has 32 bits for the step.
  CHECK(contains(thrown<std::invalid_argument>([&] { trainer.run(std::int64_t{1} << 32); }),
                 "the last step (a draw's address has 32 bits for it)"));
  for (const std::int64_t step : {std::int64_t{1} << 32, std::int64_t{-1}}) {
    CHECK(contains(thrown<std::invalid_argument>([&] { trainer.resume_at(step); }),
                   "the number of steps done"));
  }
  CHECK(trainer.step() == 0);
}

#if defined(KOKKOS_ENABLE_SERIAL) && defined(KOKKOS_ENABLE_OPENMP)
TEMPLATE_TEST_CASE("one thread and many give the same bits", "[training][threads]", float, double) {
  for (const auto execution : {Execution::tiles, Execution::batch}) {
    const auto options = in_launch(tiny_options(), {.execution = execution, .batch = 100});
    CHECK((state_after_20<TestType, Kokkos::Serial>(options) ==
           state_after_20<TestType, Kokkos::OpenMP>(options)));
  }
}
#endif

namespace {
constexpr const char* child_output = "VRFM_TEST_CHILD_OUTPUT";
}

// Run by the next test in processes of its own: writes a checkpoint that names the threads.
TEST_CASE("child: train and save", "[.child]") {
  const char* folder = std::getenv(child_output);
  REQUIRE(folder != nullptr);
  const Kokkos::DefaultHostExecutionSpace exec;
  const auto concurrency = std::to_string(static_cast<int>(exec.concurrency()));
  for (const auto execution : {Execution::tiles, Execution::batch}) {
    const auto options = in_launch(tiny_options(), {.execution = execution, .batch = 100});
    const Flow<float, Kokkos::DefaultHostExecutionSpace> flow(exec, tiny_flow(), 1);
    auto trainer = tiny_trainer(flow, options);
    trainer.run(20);
    const std::string name = execution == Execution::tiles ? "tiles" : "batch";
    vrfm::save_checkpoint(std::filesystem::path(folder) / (name + "-" + concurrency), trainer,
                          vrfm::Settings{});
  }
}

#if defined(__linux__) && defined(KOKKOS_ENABLE_OPENMP)
TEST_CASE("processes with different numbers of threads write the same bytes",
          "[training][threads]") {
  const TemporaryFolder folder;
  for (const int threads : {1, 2, 3, 7}) {
    std::vector<std::string> environment{"OMP_NUM_THREADS=" + std::to_string(threads),
                                         "OMP_PROC_BIND=false", "OMP_WAIT_POLICY=passive",
                                         std::string(child_output) + "=" + (folder / "").string()};
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string variable = *entry;
      if (!variable.starts_with("OMP_") && !variable.starts_with("KOKKOS_"))
        environment.push_back(variable);
    }
    std::vector<char*> pointers;
    for (auto& variable : environment) pointers.push_back(variable.data());
    pointers.push_back(nullptr);
    std::string program = "/proc/self/exe", test = "child: train and save";
    char* arguments[] = {program.data(), test.data(), nullptr};
    pid_t child = 0;
    REQUIRE(::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, pointers.data()) ==
            0);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
  }
  // The names show that each child had the threads that it should have.
  const auto names = folder.names();
  REQUIRE(names == std::vector<std::string>{"batch-1", "batch-2", "batch-3", "batch-7", "tiles-1",
                                            "tiles-2", "tiles-3", "tiles-7"});
  for (const std::string execution : {"batch", "tiles"}) {
    const auto one = slurp(folder / (execution + "-1"));
    CHECK(one.size() > 1000);
    CHECK((slurp(folder / (execution + "-2")) == one));
    CHECK((slurp(folder / (execution + "-3")) == one));
    CHECK((slurp(folder / (execution + "-7")) == one));
  }
}
#endif
