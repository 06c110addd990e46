// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pairs of times: in order, equal as often as asked for, each draw that of the sampler at its own address.
#include <cmath>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/core/concepts.hpp>
#include <vrfm/paths/time_pair.hpp>

using namespace vrfm;

namespace {

template <class T>
struct Pairs {
  std::vector<T> t, s;
};

template <class T, class Times>
Pairs<T> draw(const TimePairs<Times>& pairs, int count, const DrawAddress& draws = {.seed = 3}) {
  const auto n = static_cast<std::size_t>(count);
  Pairs<T> out{std::vector<T>(n), std::vector<T>(n)};
  const DrawTimePair<T, Times> rows{pairs, draws, Matrix<T>(out.t.data(), count, 1, 1),
                                    Matrix<T>(out.s.data(), count, 1, 1)};
  for (int i = 0; i < count; ++i) rows(i);
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("times of a pair are in order", "[paths][time_pair]", float, double) {
  using T = TestType;
  constexpr int count = 20'000;
  const double error = 5 / std::sqrt(count);  // of five deviations of at most 1
  for (const double equal : {0.0, 0.25, 1.0}) {
    const auto pairs = draw<T>(TimePairs<>{.equal = equal}, count);
    int same = 0;
    double first = 0, last = 0;
    for (std::size_t i = 0; i < count; ++i) {
      CHECK_FALSE(pairs.t[i] > pairs.s[i]);
      if (pairs.t[i] == pairs.s[i]) {
        ++same;
      } else {
        first += static_cast<double>(pairs.t[i]);
        last += static_cast<double>(pairs.s[i]);
      }
    }
    CHECK(std::fabs(1.0 * same / count - equal) <= error);
    if (equal == 1) continue;
    // The smaller and the larger of two uniform draws.
    CHECK(std::fabs(first / (count - same) - 1.0 / 3) <= error);
    CHECK(std::fabs(last / (count - same) - 2.0 / 3) <= error);
  }
}

TEST_CASE("equal times are the sampler's own", "[paths][time_pair]") {
  const LogitNormalTime times{.mean = 0.5, .deviation = 2};
  const DrawAddress draws{.seed = 3, .step = 7, .first_sample = 90};
  const auto pairs = draw<double>(TimePairs<LogitNormalTime>{.equal = 1, .times = times}, 5, draws);
  for (int i = 0; i < 5; ++i) {
    const double t = times.draw<double>(draws.stream(Purpose::time), draws.sample(i), 7);
    CHECK(pairs.t[static_cast<std::size_t>(i)] == t);
    CHECK(pairs.s[static_cast<std::size_t>(i)] == t);
  }
}

TEST_CASE("impossible pairs are refused", "[paths][time_pair]") {
  const auto refused = [](const auto& pairs) {
    return test::thrown<std::invalid_argument>([&] { pairs.check(); });
  };
  CHECK(refused(TimePairs<>{.equal = -0.5}) ==
        "vrfm: TimePairs needs a probability `equal` in [0, 1], got -0.5");
  CHECK(test::contains(refused(TimePairs<FixedTime>{.times = {.t = 2}}), "FixedTime needs t"));
  CHECK(refused(TimePairs<>{}) == "(nothing thrown)");
}
