// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The progress bar where the output is not a terminal: a line for each tenth of the run, the last
// one at the end, with the loss, the speed and the time.
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/training/progress.hpp>

using vrfm::StepLosses;
using vrfm::TrainingReport;
using vrfm::test::contains;

namespace {

/// The lines that a bar writes about a run from `first` to `last`, reporting every `every` steps.
std::vector<std::string> lines_of_run(std::int64_t first, std::int64_t last, std::int64_t every,
                                      bool variational = true, double speed = 2000) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
  REQUIRE(file != nullptr);
  vrfm::ProgressBar bar("toy", file.get());
  const std::vector<StepLosses> losses(static_cast<std::size_t>(every));
  for (std::int64_t step = first + every; step <= last; step += every) {
    // One second a step.
    TrainingReport report{step, last, {}, losses, {1.25, 0.5}, double(step - first), speed};
    static constexpr const char* terms[] = {"velocity", "kl"};
    report.terms = std::span(terms, variational ? 2 : 1);
    bar(report);
  }
  std::rewind(file.get());
  std::vector<std::string> lines(1);
  for (int c = std::fgetc(file.get()); c != EOF; c = std::fgetc(file.get())) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += static_cast<char>(c);
    }
  }
  CHECK(lines.back().empty());
  lines.pop_back();
  return lines;
}

}  // namespace

TEST_CASE("a run is told in ten lines", "[training][progress]") {
  const auto lines = lines_of_run(0, 10000, 10);
  REQUIRE(lines.size() == 10);
  CHECK(lines[0] ==
        "toy  10 %  step 1000/10000  velocity 1.2500  kl 0.5000  2000 samples/s  2:30:00 left");
  CHECK(lines[8] ==
        "toy  90 %  step 9000/10000  velocity 1.2500  kl 0.5000  2000 samples/s  16:40 left");
  CHECK(lines[9] ==
        "toy 100 %  step 10000/10000  velocity 1.2500  kl 0.5000  2000 samples/s  2:46:40 in all");
}

TEST_CASE("a continued run estimates from its own steps", "[training][progress]") {
  const auto lines = lines_of_run(500, 1000, 50);
  REQUIRE(!lines.empty());
  // 550 steps done, 50 of them in 50 seconds; 450 to go.
  CHECK(contains(lines[0], "toy  55 %  step 550/1000"));
  CHECK(contains(lines[0], "7:30 left"));
  CHECK(contains(lines.back(), "8:20 in all"));
}

TEST_CASE("a single report is a single line", "[training][progress]") {
  const auto lines = lines_of_run(0, 5, 5);
  REQUIRE(lines.size() == 1);
  CHECK(contains(lines[0], "100 %"));
  CHECK(contains(lines[0], "0:05 in all"));
}

TEST_CASE("without a latent variable there is no KL divergence", "[training][progress]") {
  CHECK(
      lines_of_run(0, 5, 5, false, 1.26) ==
      std::vector<std::string>{"toy 100 %  step 5/5  velocity 1.2500  1.3 samples/s  0:05 in all"});
}
