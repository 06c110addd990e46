// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Adaptive steps: accuracy, dense output, control by the sample or the batch, and every way to end.
#include <limits>

#include <tests/integrators/fields.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/sampling/sample.hpp>

namespace vrfm::test {

struct Uniform {
  template <class T>
  KOKKOS_FUNCTION void operator()(T, const T*, T* v) const {
    v[0] = T(1);
  }
};

struct AtRest {
  template <class T>
  KOKKOS_FUNCTION void operator()(T, const T*, T* v) const {
    v[0] = v[1] = T(0);
  }
};

/// x' = x^2: x = 1 / (1 / x(0) - t), infinite at t = 1 / x(0).
struct Pole {
  template <class T>
  KOKKOS_FUNCTION void operator()(T, const T* x, T* v) const {
    v[0] = x[0] * x[0];
  }
};

/// x' = rate x with the rate in the second column: a stiffness for each sample.
struct Rates {
  template <class T>
  KOKKOS_FUNCTION void operator()(T t, const T* x, T* v) const {
    v[0] = -x[1] * (x[0] - math::cos(t));
    v[1] = T(0);
  }
};

/// A jump in x that no step resolves.
struct Jump {
  template <class T>
  KOKKOS_FUNCTION void operator()(T t, const T*, T* v) const {
    v[0] = t < T(0.7) ? T(0) : T(1e14);
  }
};

/// NaN for t > 1/2.
struct HalfDefined {
  template <class T>
  KOKKOS_FUNCTION void operator()(T t, const T*, T* v) const {
    v[0] = math::sqrt(T(0.5) - t);
  }
};

/// Largest error of all saved points but the first.
template <class Exec>
double dense_error(double step, const TimeGrid& grid) {
  // A tolerance that accepts everything and a factor next to 1 make steps of equal length.
  const DormandPrince solver{.absolute = 1e10, .first_step = step, .max_factor = 1 + 1e-13};
  const auto x = table<double, Exec>(1, 2, {0.2, 0.7});
  const auto points = static_cast<std::size_t>(grid.points());
  const Kokkos::View<double***, Kokkos::LayoutRight, typename Exec::memory_space> saved(
      "saved", points, 1, 2);
  const Result result = integrate_all(Exec(), pointwise<double>(Logistic{}, 2), x, solver,
                                      {.grid = grid}, save_to(saved, grid.points(), 1, 2));
  REQUIRE(result.finished());
  const auto host = Kokkos::create_mirror_view(saved);
  Kokkos::deep_copy(host, saved);
  double worst = 0;
  for (int n = 1; n < grid.points(); ++n) {
    const auto exact = Logistic::exact(grid[n], {0.2, 0.7});
    for (std::size_t j = 0; j < 2; ++j)
      worst = std::fmax(worst, std::fabs(host(static_cast<std::size_t>(n), 0, j) - exact[j]));
  }
  return worst;
}

}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("the error follows the tolerance", "[integrators][adaptive]", Spaces) {
  using Exec = TestType;
  const auto field = pointwise<double>(Logistic{}, 2);
  int evaluations = 0;
  for (const double tolerance : {1e-4, 1e-6, 1e-8, 1e-10}) {
    const auto x = table<double, Exec>(1, 2, {0.2, 0.7});
    const Result result = integrate_all(
        Exec(), field, x, DormandPrince{.absolute = tolerance, .relative = tolerance});
    CHECK(result.finished());
    CHECK(difference(numbers_of(x), Logistic::exact(1, {0.2, 0.7}),
                     [&](std::size_t) { return 10 * tolerance; }) == "");
    CHECK(result.max_evaluations > evaluations);
    // Two for the first step's length, then six a try.
    CHECK(result.max_evaluations == 2 + 6 * result.max_steps);
    evaluations = result.max_evaluations;
  }
  CHECK(evaluations < 400);
}

TEMPLATE_LIST_TEST_CASE("float, backward and return", "[integrators][adaptive]", Spaces) {
  using Exec = TestType;
  const auto field = pointwise<float>(Logistic{}, 2);
  const std::vector<double> start = {0.25, 0.75, 0.875, -1.5};
  const auto x = table<float, Exec>(2, 2, start);
  const DormandPrince solver{.absolute = 1e-6, .relative = 1e-6};
  CHECK(integrate_all(Exec(), field, x, solver, {.grid = {1, 0}}).finished());
  CHECK(difference(numbers_of(x), start, [](std::size_t) { return 0.05; }) != "");
  CHECK(integrate_all(Exec(), field, x, solver, {.grid = {0, 1}}).finished());
  CHECK(difference(numbers_of(x), start, [](std::size_t) { return 2e-5; }) == "");
}

TEMPLATE_LIST_TEST_CASE("dense output keeps the order", "[integrators][adaptive]", Spaces) {
  using Exec = TestType;
  const auto between = [](int steps) {
    std::vector<double> times = {0};
    for (int n = 0; n < steps; ++n) times.push_back((n + 0.3) / steps);
    times.push_back(1);
    return TimeGrid(times);
  };
  // The interpolant's own error is of order 5, as what the steps have added up to.
  const double order =
      order_of(dense_error<Exec>(1.0 / 32, between(32)), dense_error<Exec>(1.0 / 64, between(64)));
  CHECK(std::fabs(order - 5) < 0.2);
  // At the steps themselves, the steps' own numbers.
  CHECK(dense_error<Exec>(1.0 / 32, TimeGrid::uniform(0, 1, 32)) <
        dense_error<Exec>(1.0 / 32, between(32)));
  // Many points in one step, and backward.
  CHECK(dense_error<Exec>(1.0, TimeGrid::uniform(0, 1, 100)) < 0.2);
  CHECK(dense_error<Exec>(1.0 / 32, TimeGrid::uniform(0, -1, 9)) < 1e-5);
}

TEMPLATE_LIST_TEST_CASE("a sample's steps are its own", "[integrators][adaptive]", Spaces) {
  using Exec = TestType;
  const auto field = pointwise<double>(Rates{}, 2);
  std::vector<double> start;
  for (int i = 0; i < 70; ++i) {
    start.push_back(0.1 * i);
    start.push_back(i % 7 == 3 ? 80 : 1 + 0.05 * i);
  }
  const auto together = table<double, Exec>(70, 2, start);
  const Result all = integrate_all(Exec(), field, together, DormandPrince{});
  CHECK(all.finished());
  const auto found = numbers_of(together);
  int fewest = all.max_steps;
  for (const std::size_t i : {std::size_t(0), std::size_t(3), std::size_t(31), std::size_t(69)}) {
    const auto alone = table<double, Exec>(1, 2, {start[2 * i], start[2 * i + 1]});
    const Result one = integrate_all(Exec(), field, alone, DormandPrince{});
    fewest = std::min(fewest, one.max_steps);
    CHECK(numbers_of(alone)[0] == found[2 * i]);
  }
  CHECK(2 * fewest < all.max_steps);

  SECTION("unless the batch is asked for: then all take the same steps") {
    const auto x = table<double, Exec>(70, 2, start);
    const DormandPrince solver{.norm = ErrorNorm::batch};
    const Result batch = integrate_all(Exec(), field, x, solver, {.launch = {Execution::batch}});
    CHECK(batch.finished());
    CHECK(batch.mean_steps == batch.max_steps);
    CHECK(batch.max_steps > fewest);
    CHECK(contains(
        thrown<std::invalid_argument>([&] { (void)integrate_all(Exec(), field, x, solver); }),
        "an error norm over the batch needs Execution::batch"));
  }
}

TEMPLATE_LIST_TEST_CASE("the batch norm is the root mean square over all rows",
                        "[integrators][adaptive]", Spaces) {
  using Exec = TestType;
  // The same row twice has the norm of one of them, so the same steps.
  const auto field = pointwise<double>(Rates{}, 2);
  const std::vector<double> row = {0.3, 20};
  const auto one = table<double, Exec>(1, 2, row);
  const auto eight = table<double, Exec>(
      8, 2, {0.3, 20, 0.3, 20, 0.3, 20, 0.3, 20, 0.3, 20, 0.3, 20, 0.3, 20, 0.3, 20});
  const Result alone = integrate_all(Exec(), field, one, DormandPrince{});
  const Result batch = integrate_all(Exec(), field, eight, DormandPrince{.norm = ErrorNorm::batch},
                                     {.launch = {Execution::batch}});
  CHECK(alone.max_steps == batch.max_steps);
  for (int i = 0; i < 8; ++i)
    CHECK(numbers_of(one)[0] == numbers_of(eight)[static_cast<std::size_t>(2 * i)]);
}

TEMPLATE_LIST_TEST_CASE("every way not to finish is reported, for that sample only",
                        "[integrators][adaptive]", SpacesAndReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  const Exec exec;
  const auto check = [&](const auto& field, const auto& x, const DormandPrince& solver,
                         const TimeGrid& grid, Reason reason, std::uint64_t failed) {
    const Result result = integrate_all(exec, field, x, solver, {.grid = grid});
    CHECK(result.reason == reason);
    CHECK(result.failed == failed);
    return result;
  };
  SECTION("the limit of steps") {
    const auto x = table<T, Exec>(3, 2, {0, 1, 0, 5000, 0, 2});
    const Result result = check(pointwise<T>(Rates{}, 2), x, DormandPrince{.max_steps = 40}, {},
                                Reason::step_limit, 1);
    CHECK(result.first_failed == 1);
    CHECK(result.max_steps == 40);
    // The others are where they are without that neighbour.
    const auto alone = table<T, Exec>(1, 2, {0, 1});
    check(pointwise<T>(Rates{}, 2), alone, DormandPrince{.max_steps = 40}, {}, Reason::finished, 0);
    CHECK(numbers_of(alone)[0] == numbers_of(x)[0]);
  }
  SECTION("a pole in the way") {
    const auto x = table<T, Exec>(3, 1, {0.25, 1, 0.5});
    const Result result =
        integrate_all(exec, pointwise<T>(Pole{}, 1), x, DormandPrince{}, {.grid = {0, 1.5}});
    CHECK(!result.finished());
    CHECK(result.reason != Reason::step_limit);
    CHECK((result.failed == 1 && result.first_failed == 1));
    const auto found = numbers_of(x);
    CHECK(std::fabs(found[0] - 1 / (4 - 1.5)) < 1e-4);
    CHECK(std::fabs(found[2] - 1 / (2 - 1.5)) < 1e-3);
    CHECK(found[1] > 1e3);
  }
  SECTION("steps too small") {
    const auto x = table<T, Exec>(1, 1, {1});
    check(pointwise<T>(Jump{}, 1), x, DormandPrince{.relative = 0}, {}, Reason::step_too_small, 1);
    CHECK(numbers_of(x)[0] == 1);
  }
  SECTION("a velocity that is NaN from some time on") {
    const auto x = table<T, Exec>(1, 1, {1});
    check(pointwise<T>(HalfDefined{}, 1), x, DormandPrince{}, {}, Reason::not_finite, 1);
    CHECK(std::isfinite(numbers_of(x)[0]));
    check(pointwise<T>(HalfDefined{}, 1), x, DormandPrince{}, {0, 0.25}, Reason::finished, 0);
  }
  SECTION("a start that is NaN or infinite") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double infinity = std::numeric_limits<double>::infinity();
    const auto x = table<T, Exec>(4, 2, {nan, 1, 0.5, 1, infinity, 1, 0.5, nan});
    check(pointwise<T>(Rates{}, 2), x, DormandPrince{}, {}, Reason::not_finite, 3);
  }
}

TEMPLATE_LIST_TEST_CASE("far from 0, x moves by what the time moves by", "[integrators][adaptive]",
                        SpacesAndReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  // At 4e6 half a unit is the resolution of float.
  for (const double begin : {1e3, 1e4, 1e5, 1e6, 4e6, -1e6}) {
    for (const double first : {0.0, 1e-3}) {
      const auto x = table<T, Exec>(1, 1, {0});
      const DormandPrince solver{.first_step = first};
      CAPTURE(begin, first);
      CHECK(
          integrate_all(Exec(), pointwise<T>(Uniform{}, 1), x, solver, {.grid = {begin, begin + 1}})
              .finished());
      CHECK(std::fabs(numbers_of(x)[0] - 1) < 1e-6);
      CHECK(
          integrate_all(Exec(), pointwise<T>(Uniform{}, 1), x, solver, {.grid = {begin + 1, begin}})
              .finished());
      CHECK(std::fabs(numbers_of(x)[0]) < 1e-6);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a coordinate that stays 0 needs no absolute tolerance",
                        "[integrators][adaptive]", SpacesAndReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  const auto x = table<T, Exec>(2, 2, {0, 0, 0, 3});
  const auto result = integrate_all(Exec(), pointwise<T>(AtRest{}, 2), x,
                                    DormandPrince{.absolute = 0, .relative = 1e-5});
  CHECK(result.finished());
  CHECK(numbers_of(x) == std::vector<double>{0, 0, 0, 3});
}

TEST_CASE("impossible settings of step control are refused", "[integrators][adaptive]") {
  const Kokkos::DefaultExecutionSpace exec;
  const auto field = pointwise<double>(Pole{}, 1);
  const auto x = table<double, Kokkos::DefaultExecutionSpace>(1, 1, {0});
  const auto refused = [&](const DormandPrince& solver) {
    return thrown<std::invalid_argument>([&] { (void)integrate_all(exec, field, x, solver); });
  };
  CHECK(contains(refused({.absolute = 0, .relative = 0}), "not both 0"));
  CHECK(contains(refused({.absolute = -1}), "tolerances >= 0"));
  CHECK(contains(refused({.max_steps = 0}), "max_steps >= 1, got 0"));
  CHECK(contains(refused({.first_step = -1}), "first_step >= 0, got -1"));
  CHECK(contains(refused({.safety = 0}), "0 < safety <= 1, got 0"));
  CHECK(contains(refused({.beta = 0.3}), "0 <= beta <= 0.1, got 0.3"));
  CHECK(contains(refused({.min_factor = 1}), "min_factor < 1 < max_factor, got 1 and 10"));
}
