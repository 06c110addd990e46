// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Solvers of flow maps: the exact map of a Gaussian in any number of steps, a network's answer in one and two, z and
// guidance, new noise between steps, bits that do not depend on the split, and what is refused.
#include <cmath>

#include <tests/integrators/fields.hpp>
#include <tests/sampling/flows.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/gaussian_map.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/data/mixture.hpp>
#include <vrfm/sampling/flow_map.hpp>
#include <vrfm/sampling/sample.hpp>

namespace vrfm::test::flow_map {

using Exec = Kokkos::DefaultExecutionSpace;

/// Element: the exact mean velocity; s empty: the velocity.
template <class T>
struct Exact {
  GaussianScale scale;
  ConstMatrix<T> t, s, x;
  Matrix<T> u;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    u(i, j) = scale.mean_velocity(x(i, j), t(i, 0), s.empty() ? t(i, 0) : s(i, 0));
  }
};

template <class T>
struct ExactField {
  using value_type = T;
  GaussianScale scale = {};
  KOKKOS_INLINE_FUNCTION int dimension() const { return 2; }
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, Matrix<const T> t, Matrix<const T> x, Matrix<T> v,
                                  Arena<T>&) const {
    ctx.map(x.rows, x.cols, Exact<T>{scale, t, {}, x, v});
  }
  template <class Ctx>
  KOKKOS_FUNCTION void mean_velocity(const Ctx& ctx, Matrix<const T> t, Matrix<const T> s,
                                     Matrix<const T> x, Matrix<T> u, Arena<T>&) const {
    ctx.map(x.rows, x.cols, Exact<T>{scale, t, s, x, u});
  }
};
static_assert(MeanVelocity<ExactField<float>> && FixedSolver<FlowMap>);

/// A flow map with z and, if asked for, a condition, whose posterior sees x1 alone.
template <class T>
Flow<T, Exec> some_map(bool conditional = false, bool second_time = true) {
  FlowOptions options{.latent = 2, .encoder_input = EncoderInput::x1, .second_time = second_time};
  if (conditional) options.classes = 3;
  const auto flow = small_flow<T, Exec>(options);
  // Its encoding of s - t is zero at first.
  const auto host = Kokkos::create_mirror_view(flow.values());
  Kokkos::deep_copy(host, flow.values());
  Numbers numbers(8);
  for (const auto& slot : flow.parameters().entries()) {
    if (!slot.name.starts_with("velocity.span_encoder")) continue;
    for (std::size_t k = 0; k < slot.count; ++k)
      host(slot.offset + k) = static_cast<T>(numbers.next());
  }
  Kokkos::deep_copy(flow.values(), host);
  return flow;
}

/// Where the rows of `start` are after `solver` has moved them.
template <class T, class Field, class Solver>
std::vector<double> moved(const Field& field, const std::vector<double>& start,
                          const Solver& solver, const TimeGrid& grid = {}) {
  const auto x = table<T, Exec>(start.size() / 2, 2, start);
  const auto result = integrate_all(Exec(), field, x, solver, {.grid = grid, .seed = 4});
  CHECK(result.finished());
  CHECK(result.max_evaluations == grid.intervals() * solver.steps);
  return numbers_of(x);
}

/// x + u(x, 0, 1 | z), by the network's prepare and forward.
template <class T>
std::vector<double> one_step(const Flow<T, Exec>& flow, const std::vector<double>& start,
                             const Table<T, Exec>& z) {
  const std::size_t n = start.size() / 2;
  const int rows = static_cast<int>(n);
  const auto& network = flow.networks().velocity;
  const auto t = table<T, Exec>(n, 1, std::vector<double>(n, 0)),
             s = table<T, Exec>(n, 1, std::vector<double>(n, 1)), x = table<T, Exec>(n, 2, start);
  const Table<T, Exec> u("u", n, 2);
  const Array<T, Exec> memory("memory", 100000);
  Arena<T> arena(memory.data(), memory.extent(0));
  const BatchContext<Exec> ctx{Exec()};
  const T* const p = flow.values().data();
  const Matrix<T> prepared = arena.take(rows, network.prepared_cols());
  Condition<T> condition{};
  condition.z = matrix(z);
  using Network = MlpVelocity<Gelu>;
  network.prepare(ctx, p, condition, prepared,
                  static_cast<typename Network::PreparedSaved<T>*>(nullptr), arena);
  network.forward(ctx, p, Query<T>{matrix(t), matrix(x), matrix(s)}, prepared, nullptr, matrix(u),
                  static_cast<typename Network::Saved<T>*>(nullptr), arena);
  auto end = numbers_of(u);
  for (std::size_t k = 0; k < end.size(); ++k) end[k] += start[k];
  return end;
}

TEMPLATE_TEST_CASE("the exact map arrives in any number of steps", "[sampling][flow_map]", float,
                   double) {
  using T = TestType;
  const auto start = Numbers(2).take(10);
  for (const bool coupled : {false, true}) {
    const ExactField<T> field{{coupled}};
    std::vector<double> expected = start;
    for (double& x : expected) x *= 2;  // sigma(1) / sigma(0)
    const double error = 200 * epsilon<T> * largest(expected);
    for (const int steps : {1, 2, 7}) {
      CHECK(difference(moved<T>(field, start, FlowMap{steps}), expected, error) == "");
      CHECK(difference(moved<T>(field, start, FlowMap{steps}, {0, 0.25, 1}), expected, error) ==
            "");
    }
    // From t to r and from r to s is from t to s.
    const auto middle = moved<T>(field, start, FlowMap{}, {0.125, 0.5});
    CHECK(difference(moved<T>(field, middle, FlowMap{}, {0.5, 0.75}),
                     moved<T>(field, start, FlowMap{}, {0.125, 0.75}), error) == "");
    // And its velocity leads there.
    CHECK(difference(moved<T>(field, start, Euler{1000}), expected, 5e-3) == "");
    CHECK((difference(moved<T>(field, start, Euler{}), expected, 5e-3) == "") == coupled);
  }
}

TEMPLATE_TEST_CASE("one step of a flow map is x + u(x, 0, 1)", "[sampling][flow_map]", float,
                   double) {
  using T = TestType;
  const auto flow = some_map<T>();
  const auto z = table<T, Exec>(3, 2, Numbers(1).take(6));
  const auto start = Numbers(2).take(6);
  const auto field = velocity_of(flow, {.latents = z});
  const auto found = moved<T>(field, start, FlowMap{});
  CHECK(difference(found, one_step<T>(flow, start, z), 500 * epsilon<T>) == "");
  CHECK(difference(found, moved<T>(field, start, Euler{}), 1e-3) != "");
  // Two steps are one after the other, under one z.
  const auto middle = moved<T>(field, start, FlowMap{}, {0, 0.25});
  CHECK(moved<T>(field, start, FlowMap{}, {0, 0.25, 1}) ==
        moved<T>(field, middle, FlowMap{}, {0.25, 1}));
}

TEST_CASE("a flow map is guided", "[sampling][flow_map]") {
  using T = double;
  const auto flow = some_map<T>(true);
  const auto z = table<T, Exec>(5, 2, Numbers(1).take(10));
  const auto start = Numbers(2).take(10);
  const auto at = [&](double guidance) {
    return moved<T>(velocity_of(flow, {.latents = z,
                                       .condition = {.labels = labels_of<Exec>({0, 2, 1, 0, 2})},
                                       .guidance = guidance}),
                    start, FlowMap{});
  };
  const auto given = at(1), null = at(0);
  CHECK(given != null);
  std::vector<double> expected;
  for (std::size_t k = 0; k < 10; ++k) expected.push_back(null[k] + 2.5 * (given[k] - null[k]));
  CHECK(difference(at(2.5), expected, 500 * epsilon<T>) == "");
}

TEMPLATE_TEST_CASE("new noise between the steps of a flow map", "[sampling][flow_map]", float,
                   double) {
  using T = TestType;
  const auto flow = some_map<T>();
  const auto z = table<T, Exec>(3, 2, Numbers(1).take(6));
  const auto start = Numbers(2).take(6);
  const auto field = velocity_of(flow, {.latents = z});
  const RenoisedFlowMap<NormalSource> solver{NormalSource{2}};
  const auto first = moved<T>(field, start, solver);
  CHECK(first == moved<T>(field, start, FlowMap{}));
  // x_s of the first prediction and of the source's draws of step 1, and from there to the end.
  std::vector<double> middle;
  const RandomStream stream(4, purpose_of(Use::sampling, Purpose::source));
  for (std::uint64_t id = 0; id < 3; ++id) {
    T pair[2];
    NormalSource{2}.draw(id, 1, stream, pair);
    for (std::size_t j = 0; j < 2; ++j)
      middle.push_back(0.75 * static_cast<double>(pair[j]) + 0.25 * first[2 * id + j]);
  }
  CHECK(difference(moved<T>(field, start, solver, {0, 0.25}), middle, 50 * epsilon<T>) == "");
  CHECK(difference(moved<T>(field, start, solver, {0, 0.25, 1}),
                   moved<T>(field, middle, FlowMap{}, {0.25, 1}), 500 * epsilon<T>) == "");
}

TEST_CASE("new noise keeps the distribution of an exact map", "[sampling][flow_map]") {
  constexpr std::size_t count = 20'000;
  const RenoisedFlowMap<NormalSource> solver{NormalSource{2}, 3};
  const auto x = numbers_of(
      sample(Exec(), ExactField<double>{}, NormalSource{2}, solver, {.count = count, .seed = 3}));
  double sum = 0, squares = 0;
  for (const double v : x) {
    sum += v;
    squares += v * v;
  }
  const auto n = static_cast<double>(x.size());
  CHECK(std::fabs(sum / n) <= 5 * 2 / std::sqrt(n));
  CHECK(std::fabs(squares / n - 4) <= 5 * 4 * std::sqrt(2 / n));
}

TEST_CASE("samples of a flow map depend on seed and id alone", "[sampling][flow_map]") {
  const auto field = velocity_of(some_map<float>());
  const auto check = [&](const auto& solver) {
    const TimeGrid grid{0, 0.5, 1};
    const auto all = numbers_of(
        sample(Exec(), field, NormalSource{2}, solver, {.count = 90, .grid = grid, .seed = 5}));
    for (const auto execution : {Execution::tiles, Execution::batch}) {
      const auto some = numbers_of(
          sample(Exec(), field, NormalSource{2}, solver,
                 {.count = 30, .grid = grid, .seed = 5, .first_id = 40, .launch = {execution, 7}}));
      CHECK(some == rows_of(all, 2, 40, 30));
    }
  };
  check(FlowMap{});
  check(RenoisedFlowMap<NormalSource>{NormalSource{2}});
}

TEST_CASE("solvers of flow maps refuse what is none", "[sampling][flow_map]") {
  using Invalid = std::invalid_argument;
  const auto refused = [](const auto& field, const auto& solver, const TimeGrid& grid = {}) {
    return thrown<Invalid>(
        [&] { (void)sample(Exec(), field, NormalSource{2}, solver, {.count = 2, .grid = grid}); });
  };
  const auto map = some_map<float>();
  CHECK(refused(velocity_of(some_map<float>(false, false)), FlowMap{}) ==
        "vrfm: this flow is no map: expected networks with a second time for FlowMap, or a solver "
        "such as Euler");
  CHECK(refused(velocity_of(map), FlowMap{}, {1, 0}) ==
        "vrfm: a flow map goes forward from a time to a later one in [0, 1], but the grid goes "
        "from 1 to 0");
  CHECK(contains(refused(velocity_of(map), FlowMap{}, {0, 1.5}), "goes from 0 to 1.5"));
  CHECK(contains(refused(velocity_of(map), FlowMap{0}), "a solver needs at least 1 step, got 0"));
  CHECK(refused(velocity_of(map), RenoisedFlowMap<NormalSource>{NormalSource{3}}) ==
        "vrfm: the source of new noise has 3 columns but the velocity field has 2 columns");
  const auto sees_x0 = small_flow<float, Exec>({.latent = 2, .second_time = true});
  CHECK(contains(refused(velocity_of(sees_x0), RenoisedFlowMap<NormalSource>{NormalSource{2}}),
                 "RenoisedFlowMap draws x0 anew under one z, but this field's z tells of x0"));
  CHECK(refused(velocity_of(map), RenoisedFlowMap<NormalSource>{NormalSource{2}}) ==
        "(nothing thrown)");
}

}  // namespace vrfm::test::flow_map
