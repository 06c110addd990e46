// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Learning-rate schedules at their corners, and what they refuse.
#include <cmath>
#include <limits>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/training/learning_rate.hpp>

using vrfm::LearningRate;
using vrfm::test::contains;
using vrfm::test::epsilon;
using vrfm::test::thrown;
using Decay = LearningRate::Decay;

TEST_CASE("a constant rate is constant", "[training][rate]") {
  const LearningRate rate{.base = 2e-4};
  for (const std::int64_t step : {0ll, 1ll, 1000000000000ll}) CHECK(rate.at(step) == 2e-4);
}

TEST_CASE("warm-up starts at zero and is linear", "[training][rate]") {
  const LearningRate rate{.base = 2e-4, .warmup = 5000};
  CHECK(rate.at(0) == 0);
  CHECK(rate.at(1) == 2e-4 / 5000);
  CHECK(rate.at(2500) == 1e-4);
  CHECK(rate.at(4999) < 2e-4);
  CHECK(rate.at(5000) == 2e-4);
  CHECK(rate.at(600000) == 2e-4);
}

TEST_CASE("cosine falls from the base to its floor and stays there", "[training][rate]") {
  const LearningRate rate{
      .base = 4, .warmup = 10, .decay = Decay::cosine, .total = 110, .floor = 0.25};
  CHECK(rate.at(0) == 0);
  CHECK(rate.at(5) == 2);
  CHECK(rate.at(10) == 4);
  CHECK(std::fabs(rate.at(60) - (1 + 4) / 2.0) <= 8 * epsilon<double>);
  CHECK(std::fabs(rate.at(35) - (1 + 3 * (1 + std::sqrt(0.5)) / 2)) <= 16 * epsilon<double>);
  CHECK(rate.at(110) == 1);
  CHECK(rate.at(111) == 1);
  CHECK(rate.at(1000000) == 1);
  for (std::int64_t step = 10; step < 110; ++step) CHECK(rate.at(step + 1) < rate.at(step));
}

TEST_CASE("impossible schedules are refused", "[training][rate]") {
  const auto refusal = [](const LearningRate& rate) {
    return thrown<std::invalid_argument>([&] { rate.check(); });
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_NOTHROW(LearningRate{}.check());
  CHECK(refusal({.base = 0}) == "vrfm: learning rate must be positive, got 0");
  CHECK(contains(refusal({.base = nan}), "learning rate must be positive, got "));
  CHECK(contains(refusal({.base = std::numeric_limits<double>::infinity()}),
                 "learning rate must be positive, got inf"));
  CHECK(refusal({.warmup = -1}) == "vrfm: warm-up must be >= 0 steps, got -1");
  CHECK(refusal({.warmup = 10, .decay = Decay::cosine, .total = 10}) ==
        "vrfm: cosine decay needs total > warm-up (10 steps), got 10");
  CHECK(refusal({.decay = Decay::cosine}) ==
        "vrfm: cosine decay needs total > warm-up (0 steps), got 0");
  CHECK(refusal({.floor = 1.5}) == "vrfm: the cosine's floor must be in [0, 1], got 1.5");
}
