// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Solvers of fixed steps: order, number of steps and evaluations, grids, direction.
#include <limits>

#include <tests/integrators/fields.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/sampling/sample.hpp>

namespace vrfm::test {

/// v = 2 t: what a method of order 1 makes of it tells at which times it was evaluated.
struct Ramp {
  template <class T>
  KOKKOS_FUNCTION void operator()(T t, const T*, T* v) const {
    v[0] = T(2) * t;
  }
};

/// Overflows once x exceeds 10.
struct Explosion {
  template <class T>
  KOKKOS_FUNCTION void operator()(T, const T* x, T* v) const {
    v[0] = x[0] > T(10) ? math::exp(T(1000) * x[0]) : T(1);
  }
};

template <class Exec, class Solver>
double error_of(const Solver& solver, const TimeGrid& grid = {}) {
  const auto x = table<double, Exec>(1, 2, {0.2, 0.7});
  const auto field = pointwise<double>(Logistic{}, 2);
  const Result result = integrate_all(Exec(), field, x, solver, {.grid = grid});
  REQUIRE(result.finished());
  const auto exact = Logistic::exact(grid.end(), {0.2, 0.7});
  const auto found = numbers_of(x);
  return std::hypot(found[0] - exact[0], found[1] - exact[1]);
}

}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("halving the steps shrinks the error by the solver's order",
                        "[integrators]", Spaces) {
  using E = TestType;
  // Within 0.1 of the order at steps fine enough for it and coarse enough for double.
  CHECK(std::fabs(order_of(error_of<E>(Euler{512}), error_of<E>(Euler{1024})) - 1) < 0.1);
  CHECK(std::fabs(order_of(error_of<E>(Midpoint{512}), error_of<E>(Midpoint{1024})) - 2) < 0.1);
  CHECK(std::fabs(order_of(error_of<E>(Heun{128}), error_of<E>(Heun{256})) - 2) < 0.1);
  CHECK(std::fabs(order_of(error_of<E>(RungeKutta4{64}), error_of<E>(RungeKutta4{128})) - 4) < 0.1);
  using Fifth = RungeKutta<DormandPrinceTableau>;
  CHECK(std::fabs(order_of(error_of<E>(Fifth{32}), error_of<E>(Fifth{64})) - 5) < 0.1);
}

TEMPLATE_LIST_TEST_CASE("n steps are n + 1 times and n evaluations of each stage", "[integrators]",
                        Spaces) {
  using Exec = TestType;
  const auto field = pointwise<double>(Ramp{}, 1);
  const auto run = [&](const auto& solver, const TimeGrid& grid, double expected) {
    const auto x = table<double, Exec>(2, 1, {0, 10});
    const Result result = integrate_all(Exec(), field, x, solver, {.grid = grid});
    CHECK(difference(numbers_of(x), {expected, 10 + expected},
                     [](std::size_t) { return 40 * epsilon<double>; }) == "");
    CHECK(result.finished());
    CHECK(result.samples == 2);
    CHECK(result.mean_steps == result.max_steps);
    CHECK(result.mean_evaluations == result.max_evaluations);
    return result;
  };
  // Euler adds 2 t_n h at t_n = 0, ..., 1 - h: 1 - h in all. The others integrate 2 t exactly.
  for (const int n : {1, 2, 5}) {
    const Result euler = run(Euler{n}, {}, 1 - 1.0 / n);
    CHECK((euler.max_steps == n && euler.max_evaluations == n));
    CHECK(run(Midpoint{n}, {}, 1).max_evaluations == 2 * n);
    CHECK(run(Heun{n}, {}, 1).max_evaluations == 2 * n);
    CHECK(run(RungeKutta4{n}, {}, 1).max_evaluations == 4 * n);
    CHECK(run(RungeKutta<DormandPrinceTableau>{n}, {}, 1).max_evaluations == 6 * n);
  }
  SECTION("a uniform grid and steps in its intervals are the same steps") {
    CHECK(run(Euler{}, TimeGrid::uniform(0, 1, 5), 0.8).max_steps == 5);
    CHECK(run(Euler{3}, {0, 0.5, 1}, 1 - 1.0 / 6).max_steps == 6);
  }
  SECTION("any increasing or decreasing times") {
    CHECK(run(Euler{}, {0, 0.5, 0.75, 2}, 0.5 * 0.5 * 0.5 * 2 + 0.75 * 1.25 * 2).max_steps == 3);
    CHECK(run(Euler{}, {2, 0.75, -1}, -2 * 2 * 1.25 - 2 * 0.75 * 1.75).max_steps == 2);
    CHECK(run(Heun{3}, {2, 0.75, -1}, 1 - 4).max_steps == 6);
  }
}

TEMPLATE_LIST_TEST_CASE("backward then forward returns to the start", "[integrators]", Spaces) {
  using Exec = TestType;
  const auto field = pointwise<double>(Logistic{}, 2);
  const std::vector<double> start = {0.2, 0.7, 0.9, -1.5, 0.5, 0};
  const auto x = table<double, Exec>(3, 2, start);
  const auto round_trip = [&](const auto& solver, double tolerance) {
    const Result there = integrate_all(Exec(), field, x, solver, {.grid = {1, 0}});
    const auto middle = numbers_of(x);
    const Result back = integrate_all(Exec(), field, x, solver, {.grid = {0, 1}});
    CHECK((there.finished() && back.finished()));
    CHECK(difference(middle, start, [](std::size_t i) { return i == 5 ? 0 : 0.05; }) != "");
    CHECK(difference(numbers_of(x), start, [&](std::size_t) { return tolerance; }) == "");
  };
  round_trip(RungeKutta4{50}, 1e-6);
  round_trip(RungeKutta<DormandPrinceTableau>{50}, 1e-8);
  round_trip(Heun{1000}, 1e-5);
}

TEMPLATE_LIST_TEST_CASE("numbers that are not finite are reported", "[integrators]", Spaces) {
  using Exec = TestType;
  const auto field = pointwise<float>(Explosion{}, 1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto x = table<float, Exec>(4, 1, {0, 9.9, nan, 9.8});
  const Result result = integrate_all(Exec(), field, x, Euler{10}, {.first_id = 100});
  CHECK(result.reason == Reason::not_finite);
  CHECK(result.samples == 4);
  CHECK(result.failed == 3);
  CHECK(result.first_failed == 101);
  CHECK(contains(thrown<std::runtime_error>([&] { result.expect_finished(); }),
                 "3 of 4 trajectories did not finish; the gravest reason: one became infinite or "
                 "NaN; the first is that of sample 101"));
  CHECK(std::fabs(numbers_of(x)[0] - 1) <= 10 * epsilon<float>);
}

TEST_CASE("impossible grids and steps are refused", "[integrators]") {
  using Error = std::invalid_argument;
  const Kokkos::DefaultExecutionSpace exec;
  const auto field = pointwise<double>(Ramp{}, 1);
  const auto x = table<double, Kokkos::DefaultExecutionSpace>(2, 1, {0, 0});
  const auto wide = table<double, Kokkos::DefaultExecutionSpace>(2, 3, {0, 0, 0, 0, 0, 0});
  CHECK(contains(thrown<Error>([&] { (void)integrate_all(exec, field, x, Euler{0}); }),
                 "at least 1 step, got 0"));
  CHECK(contains(thrown<Error>([&] { (void)integrate_all(exec, field, wide, Euler{1}); }),
                 "3 columns but the velocity field has 1 columns"));
  const auto bad_times = [](const std::vector<double>& times) {
    return thrown<Error>([&] { TimeGrid grid(times); });
  };
  CHECK(contains(bad_times({1}), "at least 2 times, got 1"));
  CHECK(contains(bad_times({1, 1}), "time 0 is 1 and time 1 is 1"));
  CHECK(contains(bad_times({0, 0.5, 0.5, 1}), "time 1 is 0.5 and time 2 is 0.5"));
  CHECK(contains(bad_times({1, 0, 2}), "time 0 is 1 and time 1 is 0"));
  CHECK(contains(bad_times({0, std::numeric_limits<double>::infinity()}), "time 1 is inf"));
  CHECK(contains(thrown<Error>([] { TimeGrid::uniform(0, 1, 0); }), "at least 1 interval, got 0"));
  CHECK(contains(thrown<Error>([] { TimeGrid::uniform(1, 1, 3); }), "time 1 is 1"));
  CHECK(contains(thrown<Error>([] { pointwise<double>(Ramp{}, 0); }), "dimension >= 1, got 0"));
}

TEST_CASE("grids know their times in both directions", "[integrators]") {
  const TimeGrid uniform = TimeGrid::uniform(1, 0, 4), given{0, 0.5, 2};
  CHECK((uniform.begin() == 1 && uniform.end() == 0 && uniform.points() == 5));
  CHECK((uniform[0] == 1 && uniform[1] == 0.75 && uniform[4] == 0));
  CHECK((uniform.reversed()[1] == 0.25 && uniform.reversed().end() == 1));
  CHECK((given.points() == 3 && given[1] == 0.5 && given[2] == 2));
  CHECK((given.reversed()[0] == 2 && given.reversed()[1] == 0.5 && given.reversed().end() == 0));
}

TEST_CASE("an empty table needs no steps", "[integrators]") {
  const Kokkos::DefaultExecutionSpace exec;
  const Table<double, Kokkos::DefaultExecutionSpace> x("x", 0, 1);
  const Result result = integrate_all(exec, pointwise<double>(Ramp{}, 1), x, Euler{1});
  CHECK((result.finished() && result.samples == 0 && result.max_steps == 0));
}

TEST_CASE("a step plan visits every point of its grid", "[integrators]") {
  const double times[] = {0, 0.25, 1, 3};
  const StepPlan plan{{0, 3, 3, times}, 2, 0};
  REQUIRE(plan.count() == 6);
  const double expected[] = {0, 0.125, 0.25, 0.625, 1, 2, 3};
  const int points[] = {0, -1, 1, -1, 2, -1, 3};
  for (int n = 0; n <= 6; ++n) {
    CHECK(plan.time(n) == expected[n]);
    CHECK(plan.grid_point(n) == points[n]);
  }
  const StepPlan short_end{{0, 1, 1, nullptr}, 249, 0.04};
  REQUIRE(short_end.count() == 250);
  CHECK(short_end.time(249) == 0.96);
  CHECK(short_end.time(250) == 1);
  CHECK(std::fabs(short_end.time(1) - 0.96 / 249) < epsilon<double>);
  CHECK(short_end.grid_point(249) == -1);
  CHECK(short_end.grid_point(250) == 1);
}
