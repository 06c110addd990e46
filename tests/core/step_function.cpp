// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions of the step at their corners, on the host and in kernels, and what they refuse.
#include <cmath>
#include <limits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/core/concepts.hpp>
#include <vrfm/core/step_function.hpp>

using vrfm::StepFunction;
using vrfm::test::contains;
using vrfm::test::difference;
using vrfm::test::epsilon;
using vrfm::test::thrown;

namespace {

struct Evaluate {
  StepFunction f;
  double* values;

  KOKKOS_FUNCTION void operator()(int step) const { values[step] = f.at(step); }
};

}  // namespace

TEST_CASE("a plain number is a constant function", "[core][step]") {
  const StepFunction f = 2e-4;
  for (const std::int64_t step : {0ll, 1ll, 1000000000000ll}) CHECK(f.at(step) == 2e-4);
  CHECK(f.value() == 2e-4);
  CHECK(StepFunction().at(7) == 0);
}

TEST_CASE("a warm-up starts at zero and is linear", "[core][step]") {
  const auto f = StepFunction::warmup(2e-4, 5000);
  CHECK(f.value() == 2e-4);
  CHECK(f.at(0) == 0);
  CHECK(f.at(1) == 2e-4 / 5000);
  CHECK(f.at(2500) == 1e-4);
  CHECK(f.at(4999) < 2e-4);
  CHECK(f.at(5000) == 2e-4);
  CHECK(f.at(600000) == 2e-4);
  CHECK(StepFunction::warmup(3, 0).at(0) == 3);
}

TEST_CASE("a change is at its step", "[core][step]") {
  const auto f = StepFunction::change(0, 0.9, 100);
  CHECK((f.at(0) == 0 && f.at(99) == 0 && f.at(100) == 0.9 && f.at(1'000'000) == 0.9));
  CHECK((f.least() == 0 && f.largest() == 0.9 && f.value() == 0));
  CHECK(StepFunction::change(2, 1, 0).at(0) == 1);
  CHECK(
      contains(thrown<std::invalid_argument>([] { StepFunction::change(1, -1, 5).check("b"); }),
               "a change of b must be at a step >= 0 to a finite number >= 0, got step 5 and -1"));
  CHECK(contains(thrown<std::invalid_argument>([] { StepFunction::change(1, 1, -5).check("b"); }),
                 "step -5"));
}

TEST_CASE("a cosine falls from its value to its floor and stays there", "[core][step]") {
  const auto f = StepFunction::cosine(4, 10, 110, 0.25);
  CHECK(f.at(0) == 0);
  CHECK(f.at(5) == 2);
  CHECK(f.at(10) == 4);
  CHECK(std::fabs(f.at(60) - (1 + 4) / 2.0) <= 8 * epsilon<double>);
  CHECK(std::fabs(f.at(35) - (1 + 3 * (1 + std::sqrt(0.5)) / 2)) <= 16 * epsilon<double>);
  CHECK(f.at(110) == 1);
  CHECK(f.at(111) == 1);
  CHECK(f.at(1000000) == 1);
  for (std::int64_t step = 10; step < 110; ++step) CHECK(f.at(step + 1) < f.at(step));
  CHECK(StepFunction::cosine(4, 0, 10).at(10) == 0);
}

TEST_CASE("a cycle is a ramp and a plateau, again and again", "[core][step]") {
  const auto f = StepFunction::cyclic(4, 100, 0.25);
  for (const std::int64_t first : {0ll, 100ll, 1000000000000ll}) {
    CHECK(f.at(first) == 0);
    CHECK(std::fabs(f.at(first + 1) - 0.16) <= 4 * epsilon<double>);
    CHECK(std::fabs(f.at(first + 20) - 3.2) <= 16 * epsilon<double>);
    CHECK(f.at(first + 25) == 4);
    CHECK(f.at(first + 99) == 4);
  }
  CHECK(StepFunction::cyclic(4, 10).at(4) < 4);
  CHECK(StepFunction::cyclic(4, 10).at(5) == 4);
  CHECK(StepFunction::cyclic(4, 10, 1).at(9) < 4);
}

TEST_CASE("an exponential goes by equal factors and stays", "[core][step]") {
  const auto f = StepFunction::exponential(1, 1e-4, 100);
  CHECK(f.at(0) == 1);
  CHECK(std::fabs(f.at(25) - 0.1) <= 8 * epsilon<double>);
  CHECK(std::fabs(f.at(50) - 0.01) <= epsilon<double>);
  CHECK(f.at(100) == 1e-4);
  CHECK(f.at(1000000) == 1e-4);
  CHECK(std::fabs(StepFunction::exponential(2, 8, 2).at(1) - 4) <= 16 * epsilon<double>);
}

TEST_CASE("bounds of a function of the step", "[core][step]") {
  const auto check = [](const StepFunction& f, double least, double largest) {
    CHECK(f.least() == least);
    CHECK(f.largest() == largest);
  };
  check(2, 2, 2);
  check(StepFunction::warmup(2, 5), 0, 2);
  check(StepFunction::cosine(2, 0, 9, 0.25), 0.5, 2);
  check(StepFunction::cosine(2, 3, 9, 0.25), 0, 2);
  check(StepFunction::cyclic(2, 5), 0, 2);
  check(StepFunction::exponential(2, 0.5, 5), 0.5, 2);
  check(StepFunction::exponential(0.5, 2, 5), 0.5, 2);
}

TEMPLATE_LIST_TEST_CASE("kernels get the host's values", "[core][step]", vrfm::test::Spaces) {
  constexpr int steps = 150;
  for (const auto& f :
       {StepFunction(2), StepFunction::warmup(2, 100), StepFunction::cosine(2, 10, 120, 0.1),
        StepFunction::cyclic(2, 40), StepFunction::exponential(2, 0.01, 90)}) {
    const vrfm::Array<double, TestType> values("vrfm::test::values", steps);
    Kokkos::parallel_for(Kokkos::RangePolicy<TestType>(0, steps), Evaluate{f, values.data()});
    Kokkos::fence();
    const auto host = Kokkos::create_mirror_view(values);
    Kokkos::deep_copy(host, values);
    std::vector<double> expected;
    for (int step = 0; step < steps; ++step) expected.push_back(f.at(step));
    CHECK(difference({host.data(), host.data() + steps}, expected, 8 * epsilon<double> * 2) == "");
  }
}

TEST_CASE("impossible functions of the step are refused", "[core][step]") {
  const auto refusal = [](const StepFunction& f) {
    return thrown<std::invalid_argument>([&] { f.check("beta"); });
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const auto& f : {StepFunction(), StepFunction(1e-3), StepFunction::warmup(1, 0),
                        StepFunction::cosine(1, 0, 1), StepFunction::cyclic(1, 1, 1)})
    CHECK_NOTHROW(f.check("beta"));
  CHECK(refusal(-1) == "vrfm: beta must be a finite number >= 0, got -1");
  CHECK(contains(refusal(nan), "beta must be a finite number >= 0, got "));
  CHECK(refusal(infinity) == "vrfm: beta must be a finite number >= 0, got inf");
  CHECK(refusal(StepFunction::warmup(1, -1)) ==
        "vrfm: the warm-up of beta must be >= 0 steps, got -1");
  CHECK(refusal(StepFunction::cosine(1, 10, 10)) ==
        "vrfm: the cosine of beta needs total > warm-up (10 steps), got 10");
  CHECK(refusal(StepFunction::cosine(1, 0, 10, 1.5)) ==
        "vrfm: the cosine's floor of beta must be in [0, 1], got 1.5");
  CHECK(contains(refusal(StepFunction::cosine(1, 0, 10, nan)), "floor of beta must be in [0, 1]"));
  CHECK(refusal(StepFunction::cyclic(1, 0)) ==
        "vrfm: a cycle of beta must have at least 1 step, got 0");
  for (const double ramp : {0.0, -0.5, 1.5, nan})
    CHECK(contains(refusal(StepFunction::cyclic(1, 10, ramp)),
                   "vrfm: the ramp of a cycle of beta must be a fraction in (0, 1], got "));
  CHECK(refusal(StepFunction::exponential(1, 2, 0)) ==
        "vrfm: an exponential of beta must have at least 1 step, got 0");
  for (const double last : {0.0, -0.5, infinity, nan})
    CHECK(contains(
        refusal(StepFunction::exponential(1, last, 5)),
        "vrfm: an exponential of beta must go from and to finite numbers > 0, got 1 and "));
  CHECK(contains(refusal(StepFunction::exponential(0, 1, 5)), "got 0 and 1"));
}
