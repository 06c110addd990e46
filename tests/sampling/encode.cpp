// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What z means: the posterior of pairs, draws from it and from the prior, reconstructions.
#include <cmath>

#include <tests/integrators/fields.hpp>
#include <tests/sampling/flows.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/sampling/aggregated_posterior.hpp>
#include <vrfm/sampling/encode.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

using Space = Kokkos::DefaultExecutionSpace;
constexpr auto everything =
    EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t | EncoderInput::t;

template <class T>
Table<T, Space> empty() {
  return {};
}

}  // namespace

TEMPLATE_TEST_CASE("encode tells the posterior and draws from it", "[sampling]", float, double) {
  using T = TestType;
  const auto flow = small_flow<T, Space>({.latent = 2, .encoder_input = everything, .classes = 3});
  const auto from = Numbers(1).take(10), to = Numbers(2).take(10);
  const auto x0 = table<T, Space>(5, 2, from), x1 = table<T, Space>(5, 2, to);
  const auto labels = labels_of<Space>({0, 2, 1, 3, 2});
  const auto code =
      encode(flow, x0, x1, {.condition = {.labels = labels}, .t = 0.25, .seed = 8, .first_id = 3});

  std::vector<double> middle;
  for (std::size_t i = 0; i < 10; ++i) middle.push_back(0.75 * from[i] + 0.25 * to[i]);
  const auto x_t = table<T, Space>(5, 2, middle);
  const auto t = table<T, Space>(5, 1, std::vector<double>(5, 0.25));
  const Table<T, Space> moments("moments", 5, 4);
  const Array<T, Space> memory("memory", 100000);
  Arena<T> arena(memory.data(), memory.extent(0));
  LatentInputs<T> inputs{};
  inputs.x0 = matrix(x0);
  inputs.x1 = matrix(x1);
  inputs.x_t = matrix(x_t);
  inputs.t = matrix(t);
  inputs.condition.label = Matrix<const std::int32_t>(labels.data(), 5, 1, 1);
  flow.networks().posterior.moments(
      BatchContext<Space>{Space()}, static_cast<const T*>(flow.values().data()), inputs,
      matrix(moments), static_cast<MlpPosterior<Gelu>::Saved<T>*>(nullptr), arena);
  const auto told = numbers_of(moments), mean = numbers_of(code.mean);
  const auto s = numbers_of(code.log_variance), z = numbers_of(code.z);
  for (std::size_t i = 0; i < 5; ++i) {
    T e[2];
    RandomStream(8, purpose_of(Use::sampling, Purpose::posterior)).normal(3 + i, 0, 0, 2, e);
    for (std::size_t j = 0; j < 2; ++j) {
      const double mu = told[4 * i + j];
      const double limited = std::fmax(-20, std::fmin(20, told[4 * i + 2 + j]));
      const double drawn = mean[2 * i + j] + std::exp(s[2 * i + j] / 2) * static_cast<double>(e[j]);
      const double tolerance = 200 * epsilon<T>;
      CHECK(std::fabs(mean[2 * i + j] - mu) <= tolerance * (1 + std::fabs(mu)));
      CHECK(std::fabs(s[2 * i + j] - limited) <= tolerance * (1 + std::fabs(limited)));
      CHECK(std::fabs(z[2 * i + j] - drawn) <= tolerance * (1 + std::fabs(drawn)));
    }
  }

  SECTION("x_t may be given") {
    const auto same =
        encode(flow, x0, x1,
               {.condition = {.labels = labels}, .t = 0.25, .x_t = x_t, .seed = 8, .first_id = 3});
    CHECK(difference(numbers_of(same.mean), mean, [](std::size_t) { return 1000 * epsilon<T>; }) ==
          "");
  }
  SECTION("batches and tiles, ids and seeds") {
    const auto run = [&](std::uint32_t seed, const Launch& launch) {
      return numbers_of(encode(flow, x0, x1,
                               {.condition = {.labels = labels},
                                .t = 0.25,
                                .seed = seed,
                                .first_id = 3,
                                .launch = launch})
                            .z);
    };
    CHECK(run(8, {Execution::batch}) == z);
    CHECK(run(8, {Execution::batch, 2}) == z);
    CHECK(run(9, {}) != z);
    const auto rows = std::make_pair(2, 5);
    const auto part = encode(flow, Table<T, Space>(Kokkos::subview(x0, rows, Kokkos::ALL)),
                             Table<T, Space>(Kokkos::subview(x1, rows, Kokkos::ALL)),
                             {.condition = {.labels = labels_of<Space>({1, 3, 2})},
                              .t = 0.25,
                              .seed = 8,
                              .first_id = 5});
    CHECK(numbers_of(part.z) == rows_of(z, 2, 2, 3));
  }
}

TEST_CASE("a reconstruction is the flow under the posterior's z", "[sampling]") {
  using T = double;
  const auto flow = small_flow<T, Space>(
      {.latent = 2, .encoder_input = EncoderInput::x0 | EncoderInput::x1, .classes = 2});
  const auto x0 = table<T, Space>(7, 2, Numbers(1).take(14));
  const auto x1 = table<T, Space>(7, 2, Numbers(2).take(14));
  const ConditionTables<T, Space> condition{.labels = labels_of<Space>({1, 0})};
  const auto code = encode(flow, x0, x1, {.condition = condition, .seed = 4});
  const auto x = table<T, Space>(7, 2, numbers_of(x0));
  const auto field =
      velocity_of(flow, {.latents = code.z, .condition = condition, .guidance = 1.5});
  CHECK(integrate_all(Space(), field, x, Heun{3}).finished());
  const auto before = numbers_of(x0);
  const auto found =
      reconstruct(flow, x0, x1, Heun{3}, {.condition = condition, .guidance = 1.5, .seed = 4});
  CHECK(numbers_of(found) == numbers_of(x));
  CHECK(numbers_of(x0) == before);
  CHECK(
      numbers_of(reconstruct(
          flow, x0, x1, Heun{3},
          {.condition = condition, .guidance = 1.5, .seed = 4, .launch = {Execution::batch, 3}})) ==
      numbers_of(x));
}

TEST_CASE("draws from the prior are those of sampling", "[sampling]") {
  const auto flow = small_flow<float, Space>(3);
  const auto all = numbers_of(draw_latents(flow, 60, {.seed = 2}));
  CHECK(numbers_of(draw_latents(flow, 7, {.seed = 2, .first_id = 31})) == rows_of(all, 3, 31, 7));
  CHECK(numbers_of(draw_latents(flow, 60, {.seed = 2, .launch = {Execution::batch, 13}})) == all);
  CHECK(numbers_of(draw_latents(flow, 60, {.seed = 3})) != all);
  const auto samples = sample(flow, NormalSource{2}, Heun{2}, {.count = 60, .seed = 2});
  const auto given = velocity_of(flow, {.latents = draw_latents(flow, 60, {.seed = 2})});
  CHECK(numbers_of(sample(Space(), given, NormalSource{2}, Heun{2}, {.count = 60, .seed = 2})) ==
        numbers_of(samples));
}

TEST_CASE("what the posterior sees must be given, and nothing else", "[sampling]") {
  using T = float;
  const auto x0 = table<T, Space>(3, 2, Numbers(1).take(6));
  const auto x1 = table<T, Space>(3, 2, Numbers(2).take(6));
  const auto seeing = [](EncoderInput input) {
    return small_flow<T, Space>({.latent = 2, .encoder_input = input});
  };
  const auto refused = [&](const Flow<T, Space>& flow, const Table<T, Space>& a,
                           const Table<T, Space>& b, const EncodeOptions<T, Space>& options) {
    return thrown<std::invalid_argument>([&] { (void)encode(flow, a, b, options); });
  };
  const auto ends = seeing(EncoderInput::x0 | EncoderInput::x1);
  const auto data = seeing(EncoderInput::x1), path = seeing(EncoderInput::x_t);
  const auto time = seeing(EncoderInput::x1 | EncoderInput::t);
  CHECK(contains(refused(ends, empty<T>(), x1, {}), "the posterior sees x0, which was not given"));
  CHECK(contains(refused(ends, x0, empty<T>(), {}), "the posterior sees x1, which was not given"));
  CHECK(contains(refused(ends, x0, table<T, Space>(2, 2, {0, 0, 0, 0}), {}),
                 "x1 has 2 rows but the call has 3 rows"));
  CHECK(contains(refused(ends, x0, table<T, Space>(3, 1, {0, 0, 0}), {}),
                 "x1 has 1 columns but the flow has 2 columns"));
  CHECK(contains(refused(ends, x0, x1, {.t = 0.5}),
                 "t was given, but the posterior does not see it"));
  CHECK(contains(refused(ends, x0, x1, {.x_t = x0}),
                 "x_t was given, but the posterior does not see it"));
  CHECK(contains(refused(path, x0, x1, {}), "expected x_t, or t to compute it from x0 and x1"));
  CHECK(contains(refused(path, x0, empty<T>(), {.t = 0.5}), "sees x1, which was not given"));
  CHECK(contains(refused(path, x0, x1, {.t = 0.5, .x_t = x0}), "t was given, but"));
  CHECK(contains(refused(time, x0, x1, {}), "the posterior sees t, which was not given"));
  CHECK(contains(refused(ends, x0, x1, {.condition = {.labels = labels_of<Space>({1})}}),
                 "condition.labels was given, but the posterior takes none"));
  CHECK(contains(refused(small_flow<T, Space>(0), x0, x1, {}), "this one has none"));
  CHECK(contains(thrown<std::invalid_argument>([&] { draw_latents(ends, 3, {.x0 = x0}); }),
                 "x0 was given, but the prior does not see it"));
  CHECK(
      contains(thrown<std::invalid_argument>([&] { reconstruct(data, empty<T>(), x1, Euler{1}); }),
               "x0 has 0 rows but the call has 3 rows"));
  // What is not seen need not be there.
  const auto code = encode(data, empty<T>(), x1);
  CHECK(numbers_of(code.z) == numbers_of(encode(data, x0, x1).z));
  CHECK(encode(path, empty<T>(), empty<T>(), {.x_t = x0}).z.extent(0) == 3);
}

TEMPLATE_TEST_CASE("z of the aggregated posterior is drawn from all codes alike", "[sampling]",
                   float, double) {
  using T = TestType;
  const Space exec;
  // Two codes far apart, of deviations 0.5 and 2 in the first column and exact in the second.
  const Encoding<T, Space> codes{
      table<T, Space>(2, 2, {-10, 1, 10, 2}),
      table<T, Space>(2, 2, {2 * std::log(0.5), -50, 2 * std::log(2.0), -50}),
      {}};
  constexpr std::size_t count = 20'000;
  const auto z = numbers_of(draw_latents(exec, codes, count, 4, 7));
  double sums[2] = {}, squares[2] = {};
  std::size_t of[2] = {}, wrong = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t k = z[2 * i] > 0 ? 1 : 0;
    if (std::abs(z[2 * i + 1] - (k == 0 ? 1 : 2)) > 1e-6) ++wrong;
    const double e = (z[2 * i] - (k == 0 ? -10 : 10)) / (k == 0 ? 0.5 : 2);
    sums[k] += e;
    squares[k] += e * e;
    ++of[k];
  }
  CHECK(wrong == 0);
  for (const int k : {0, 1}) {
    const auto n = static_cast<double>(of[k]);
    CHECK(std::abs(n / count - 0.5) < 5 * std::sqrt(0.25 / count));
    CHECK(std::abs(sums[k] / n) < 5 / std::sqrt(n));
    CHECK(std::abs(squares[k] / n - 1) < 5 * std::sqrt(2 / n));
  }
  // A row depends on its id alone.
  const auto tail = numbers_of(draw_latents(exec, codes, count - 5, 4, 12));
  CHECK(std::vector<double>(z.begin() + 10, z.end()) == tail);
  CHECK(numbers_of(draw_latents(exec, codes, 5, 5, 7)) !=
        std::vector<double>(z.begin(), z.begin() + 10));
  CHECK(thrown<std::invalid_argument>([&] { draw_latents(exec, Encoding<T, Space>{}, 1); }) ==
        "vrfm: an aggregated posterior needs at least one code, got none");
}
