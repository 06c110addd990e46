// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sampling: what the numbers depend on, the two ways to launch, savers, a user's kernel.
#include <tests/integrators/fields.hpp>
#include <tests/sampling/flows.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/sampling/sample.hpp>

namespace vrfm::test {

/// Adds up how far each sample went between grid points.
template <class T>
struct PathLength {
  T* length;
  T* before;  // samples x 2
  KOKKOS_FUNCTION void operator()(int index, int row, T, const T* x, int dimension) const {
    T squares = T(0);
    for (int j = 0; j < dimension; ++j) {
      T& old = before[row * dimension + j];
      squares += (x[j] - old) * (x[j] - old);
      old = x[j];
    }
    length[row] = index == 0 ? T(0) : length[row] + math::sqrt(squares);
  }
};

/// A user's kernel: one tile that moves rows of his own along a field.
template <class T, class Field>
struct UserKernel {
  Field field;
  Matrix<T> x;
  TrajectoryStatus* status;
  T* memory;
  std::size_t count;

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    Arena<T> arena(memory, count);
    const SampleBlock block{7, 0, 0, x.rows, 0};
    const auto bound = bind_velocity(ctx, field, block, x, arena);
    integrate(ctx, bound, Euler{3}, GridView{}, block, x, NoSaver{}, status, arena);
  }
};

}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("samples depend on seed and id alone", "[sampling]", Spaces) {
  using Exec = TestType;
  using T = float;
  const auto flow = small_flow<T, Exec>(2);
  const NormalSource source{2};
  const auto check = [&](const auto& solver) {
    const auto all = numbers_of(sample(flow, source, solver, {.count = 150, .seed = 5}));
    CHECK(rows_of(all, 2, 0, 1) != rows_of(all, 2, 64, 1));
    // Split over calls anyhow: the same bits.
    for (const auto& [first, count] : {std::pair{0u, 1u}, {1u, 70u}, {63u, 3u}, {71u, 79u}}) {
      const auto part =
          sample(flow, source, solver, {.count = count, .seed = 5, .first_id = first});
      CHECK(numbers_of(part) == rows_of(all, 2, first, count));
    }
    // One launch after the other over the whole batch: the same bits.
    CHECK(numbers_of(sample(flow, source, solver,
                            {.count = 150, .seed = 5, .launch = {Execution::batch}})) == all);
    // And some at a time.
    const SampleOptions parts{.count = 150, .seed = 5, .launch = {Execution::batch, 64}};
    CHECK(numbers_of(sample(flow, source, solver, parts)) == all);
    CHECK(numbers_of(sample(flow, source, solver, {.count = 150, .seed = 6})) != all);
  };
  check(Euler{3});
  check(Heun{2});
  check(DormandPrince{.absolute = 1e-3, .relative = 1e-3});
}

TEMPLATE_LIST_TEST_CASE("the number of workers does not matter", "[sampling]", Spaces) {
  using Exec = TestType;
  const auto flow = small_flow<float, Exec>(2);
  const auto field = velocity_of(flow);
  const auto run = [&](int workers) {
    const Table<float, Exec> x("x", 400, 2);
    const NormalSource source{2};
    using Begin = detail::BeginAtSource<NormalSource, float>;
    const detail::TransportSamples<std::remove_const_t<decltype(field)>, Begin, Euler, NoSaver,
                                   float>
        program{field, {source}, Euler{2}, {}, {}, matrix(x)};
    const SampleBlock all = detail::all_samples(400, 1, 0, Use::sampling);
    CHECK(detail::run_trajectories<float>(Exec(), "test", program, all, {Execution::tiles}, workers)
              .finished());
    return numbers_of(x);
  };
  const auto one = run(1);
  CHECK(run(2) == one);
  CHECK(run(3) == one);
  CHECK(run(100) == one);
}

TEMPLATE_LIST_TEST_CASE("the closed-form flow carries source to target", "[sampling]",
                        SpacesAndReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  const GaussianFlow flow;
  const auto start = Numbers(1).take(60);
  const auto x = table<T, Exec>(20, 3, start);
  const double tolerance = 20 * std::sqrt(epsilon<T>);
  const Result result = integrate_all(
      Exec(), pointwise<T>(flow, 3), x,
      DormandPrince{.absolute = std::sqrt(epsilon<T>) / 4, .relative = std::sqrt(epsilon<T>) / 4});
  CHECK(result.finished());
  std::vector<double> expected;
  for (const double value : start) expected.push_back(flow.exact(value));
  CHECK(difference(numbers_of(x), expected, [&](std::size_t) { return tolerance; }) == "");
}

TEST_CASE("a flow without z", "[sampling]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const auto flow = small_flow<float, Exec>(0);
  const NormalSource source{2};
  const auto all = numbers_of(sample(flow, source, RungeKutta4{2}, {.count = 20}));
  const auto tail = sample(flow, source, RungeKutta4{2}, {.count = 9, .first_id = 11});
  CHECK(numbers_of(tail) == rows_of(all, 2, 11, 9));
}

TEST_CASE("savers see every point of the grid", "[sampling]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const auto flow = small_flow<double, Exec>(2);
  const auto field = velocity_of(flow);
  const TimeGrid grid{0, 0.1, 0.5, 1};
  const std::size_t count = 70;
  const Kokkos::View<double***, Kokkos::LayoutRight, typename Exec::memory_space> saved("saved", 4,
                                                                                        count, 2);
  const auto slice = [&](int n) {
    return numbers_of(Kokkos::subview(saved, n, Kokkos::ALL, Kokkos::ALL));
  };
  const auto check = [&](const auto& solver, double tolerance) {
    const auto x = sample(Exec(), field, NormalSource{2}, solver,
                          {.count = count, .grid = grid, .seed = 2}, save_to(saved, 4, count, 2));
    CHECK(slice(3) == numbers_of(x));
    CHECK(slice(0) != slice(1));
    // What is saved at a point is where a trajectory to that point ends.
    const auto part = sample(Exec(), field, NormalSource{2}, solver,
                             {.count = count, .grid = {0, 0.1, 0.5}, .seed = 2});
    CHECK(difference(slice(2), numbers_of(part), [&](std::size_t) { return tolerance; }) == "");
    double radius = 0;
    for (const double value : slice(0)) radius += value * value / (2 * count);
    CHECK(std::fabs(radius - 1) < 5 * std::sqrt(2.0 / (2 * count)));
  };
  check(Euler{}, 0);
  check(Heun{3}, 0);
  check(DormandPrince{.absolute = 1e-9, .relative = 1e-9}, 1e-6);

  SECTION("a user's own saver") {
    const Array<double, Exec> length("length", count), before("before", 2 * count);
    (void)sample(Exec(), field, NormalSource{2}, Euler{}, {.count = count, .grid = grid, .seed = 2},
                 PathLength<double>{length.data(), before.data()});
    (void)sample(Exec(), field, NormalSource{2}, Euler{}, {.count = count, .grid = grid, .seed = 2},
                 save_to(saved, 4, count, 2));
    const auto host = Kokkos::create_mirror_view(length);
    Kokkos::deep_copy(host, length);
    const std::vector<std::vector<double>> x = {slice(0), slice(1), slice(2), slice(3)};
    for (std::size_t i = 0; i < count; ++i) {
      double sum = 0;
      for (std::size_t n = 0; n < 3; ++n)
        sum += std::hypot(x[n + 1][2 * i] - x[n][2 * i], x[n + 1][2 * i + 1] - x[n][2 * i + 1]);
      CHECK(std::fabs(host(i) - sum) <= 10 * epsilon<double> * sum);
    }
  }
  SECTION("tables that do not fit are refused") {
    const auto refused = [&](int points, std::size_t samples, int columns) {
      return thrown<std::invalid_argument>([&] { save_to(saved, points, samples, columns); });
    };
    CHECK(contains(refused(3, count, 2), "'saved' has 4 points but the time grid has 3 points"));
    CHECK(contains(refused(4, 1, 2), "'saved' has 70 samples but the call has 1 samples"));
    CHECK(contains(refused(4, count, 1), "'saved' has 2 columns but the velocity field has 1"));
  }
}

TEMPLATE_LIST_TEST_CASE("a trajectory inside a user's own kernel", "[sampling]", Spaces) {
  using Exec = TestType;
  const auto flow = small_flow<float, Exec>(2);
  const auto field = velocity_of(flow);
  const auto start = Numbers(4).take(16);
  const auto x = table<float, Exec>(8, 2, start), y = table<float, Exec>(8, 2, start);
  const Kokkos::View<TrajectoryStatus*, typename Exec::memory_space> status("status", 8);
  const Array<float, Exec> memory("memory", 20000);
  launch_tiles(Exec(), "test", 1,
               UserKernel<float, std::remove_const_t<decltype(field)>>{
                   field, matrix(x), status.data(), memory.data(), memory.extent(0)});
  CHECK(integrate_all(Exec(), field, y, Euler{3}, {.seed = 7}).finished());
  CHECK(numbers_of(x) == numbers_of(y));
  CHECK(numbers_of(x) != start);
  const auto host = Kokkos::create_mirror_view(status);
  Kokkos::deep_copy(host, status);
  CHECK((host(7).steps == 3 && host(7).evaluations == 3 && host(7).saved == 2));
  CHECK(host(7).reason == Reason::finished);
}

TEST_CASE("times and counts that their types do not hold are refused", "[sampling]") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const Exec exec;
  const auto field = pointwise<float>(GaussianFlow{}, 3);
  const Table<float, Exec> x("x", 1, 3);
  const auto refused = [&](const auto& solver, const TimeGrid& grid) {
    return thrown<std::invalid_argument>(
        [&] { (void)integrate_all(exec, field, x, solver, {.grid = grid}); });
  };
  const std::string words = "below the resolution of the type of the samples there";
  CHECK(contains(refused(DormandPrince{}, {1e8, 1e8 + 1}), words));
  CHECK(contains(refused(Euler{1}, {1e8 + 1, 1e8}), words));
  CHECK(contains(refused(Euler{20'000'000}, {0, 1}), words));
  CHECK(contains(refused(Euler{1}, {0, 0.5, 0.5 + 1e-9, 1}), words));
  CHECK(contains(refused(Euler{1}, TimeGrid::uniform(0, 1, 20'000'000)), words));
  // A double holds all of them.
  const Table<double, Exec> wide("wide", 1, 3);
  CHECK(integrate_all(exec, pointwise<double>(GaussianFlow{}, 3), wide, Euler{1},
                      {.grid = {0, 0.5, 0.5 + 1e-9, 1}})
            .finished());

  CHECK(contains(thrown<std::invalid_argument>([&] {
                   (void)sample(exec, field, NormalSource{3}, Euler{1}, {.count = 3'000'000'000});
                 }),
                 "3000000000"));
}

TEST_CASE("mismatched arguments of sample are refused", "[sampling]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto field = pointwise<double>(GaussianFlow{}, 3);
  CHECK(contains(thrown<std::invalid_argument>(
                     [&] { sample(exec, field, NormalSource{2}, Euler{1}, {.count = 4}); }),
                 "the source has 2 columns but the velocity field has 3 columns"));
  const Table<double, Exec> x("x", 5, 3);
  CHECK(contains(thrown<std::invalid_argument>([&] {
                   (void)sample_into(exec, field, NormalSource{3}, x, Euler{1}, {.count = 4});
                 }),
                 "the table of samples has 5 rows but the call has 4 rows"));
  const Kokkos::View<double**, Kokkos::LayoutLeft, Kokkos::HostSpace> columns("columns", 5, 3);
  CHECK(contains(thrown<std::invalid_argument>([&] {
                   (void)integrate_all(Kokkos::DefaultHostExecutionSpace(), field, columns,
                                       Euler{1});
                 }),
                 "view 'columns' must be row-major"));
}
