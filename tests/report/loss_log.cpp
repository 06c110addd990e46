// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The losses of a training's steps: kept by name, read back to the last bit, cut where a run resumes,
// and read from the files of earlier versions.
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include <examples/common/loss_log.hpp>
#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

using common::LossLog;
using vrfm::test::contains;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;

namespace {

constexpr std::array<const char*, 2> terms{"velocity", "kl"};

/// Steps whose losses are n / 3, n and 10 n.
LossLog log_of(int steps) {
  LossLog log(terms);
  for (int n = 0; n < steps; ++n) {
    vrfm::StepLosses losses;
    losses.step = n;
    losses.terms[0] = n / 3.0;
    losses.terms[1] = n;
    losses.gradient_norm = 10.0 * n;
    log.add(std::vector{losses});
  }
  return log;
}

void no_warning(const std::string& what) { FAIL_CHECK(what); }

}  // namespace

TEST_CASE("Losses are kept by name", "[report]") {
  const TemporaryFolder folder;
  const auto path = folder / "losses.npz";
  CHECK_FALSE(LossLog::existing(path));
  log_of(1000).write(path);
  REQUIRE(LossLog::existing(path) == path);
  const LossLog log = LossLog::read(path);
  CHECK(log.steps() == 1000);
  CHECK((log.has("velocity") && log.has("kl") && log.has("gradient norm")));
  CHECK_FALSE(log.has("other"));
  CHECK(log.mean(7, 8, "velocity") == 7 / 3.0);
  CHECK(log.mean(10, 13, "gradient norm") == 110);
  CHECK(log.final_mean(2, "kl") == 998.5);
  CHECK(log.final_mean(2, "other") == 0);
  const auto curve = log.curve("kl");
  REQUIRE(curve.x.size() == 400);
  CHECK((curve.x.front() == 1 && curve.y.front() == 0.5));
  CHECK(contains(thrown<std::invalid_argument>([&] { log.mean(0, 1, "other"); }), "'other'"));
}

TEST_CASE("Losses are cut where a run resumes", "[report]") {
  const TemporaryFolder folder;
  const auto path = folder / "losses.npz";
  log_of(9).write(path);
  const LossLog log = LossLog::resumed(path, terms, 4, no_warning);
  CHECK(log.steps() == 4);
  CHECK(log.mean(3, 4, "kl") == 3);
  CHECK(LossLog::resumed(folder / "none", terms, 0, no_warning).steps() == 0);
}

TEST_CASE("Losses that are not there cost only their curve", "[report]") {
  const TemporaryFolder folder;
  const auto path = folder / "losses.npz";
  std::vector<std::string> warnings;
  const auto warn = [&](const std::string& what) { warnings.push_back(what); };
  const std::string end = "; the others are missing from the curves, nothing else depends on them";

  log_of(9).write(path);
  LossLog log = LossLog::resumed(path, terms, 12, warn);
  CHECK(warnings.back() ==
        path.string() + ": expected the losses of 12 steps, found those of 9" + end);
  CHECK((log.steps() == 12 && log.mean(8, 12, "kl") == 8 && std::isnan(log.mean(9, 12, "kl"))));
  CHECK((log.curve("kl").y[8] == 8 && std::isnan(log.curve("kl").y[9])));

  spill(path, slurp(path).substr(0, 300));
  log = LossLog::resumed(path, terms, 12, warn);
  CHECK(contains(warnings.back(), "expected the losses of 12 steps, found those of 0 ("));
  CHECK((log.steps() == 12 && std::isnan(log.curve("velocity").y.back())));

  log = LossLog::resumed(folder / "none", terms, 2, warn);
  CHECK(contains(warnings.back(), "expected the losses of 2 steps, found those of 0" + end));
  CHECK(std::isnan(log.final_mean(100, "velocity")));
  log.add(std::vector{vrfm::StepLosses{.step = 2, .terms = {4, 5}, .gradient_norm = 6}});
  CHECK((log.steps() == 3 && log.final_mean(100, "kl") == 5));
}

TEST_CASE("Losses of earlier versions are read", "[report]") {
  const TemporaryFolder folder;
  const std::vector<double> values{1, 2, 3, 4, 5, 6};
  const auto path = folder / "run-losses.npz";
  vrfm::write_npy(folder / "run-losses.npy", {2, 3}, values);
  REQUIRE(LossLog::existing(path) == folder / "run-losses.npy");
  LossLog log = LossLog::resumed(path, terms, 2, no_warning);
  CHECK((log.mean(1, 2, "velocity") == 4 && log.mean(1, 2, "kl") == 5));
  CHECK(log.mean(0, 2, "gradient norm") == 4.5);

  // Without the norm; and of a model without latent variable, whose KL was written as zeros.
  vrfm::write_npy(folder / "run-losses.npy", {3, 2}, values);
  log = LossLog::resumed(path, std::span(terms).first(1), 3, no_warning);
  CHECK((log.steps() == 3 && log.mean(2, 3, "velocity") == 5));
  CHECK_FALSE(log.has("kl"));
  CHECK(std::isnan(log.mean(0, 1, "gradient norm")));

  vrfm::write_npy(folder / "run-losses.npy", {6}, values);
  CHECK(contains(thrown<std::runtime_error>([&] { LossLog::read(folder / "run-losses.npy"); }),
                 "expected losses of shape [steps, 2] or [steps, 3]"));
}
