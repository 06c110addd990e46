// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The velocity field of a flow: its network's, z from tables and from both kinds of prior, conditions
// and guidance, flow maps, what is refused.
#include <cmath>

#include <tests/integrators/fields.hpp>
#include <tests/sampling/flows.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/data/mixture.hpp>
#include <vrfm/integrators/stochastic.hpp>
#include <vrfm/sampling/encode.hpp>
#include <vrfm/sampling/likelihood.hpp>

namespace vrfm::test {

using Space = Kokkos::DefaultExecutionSpace;

/// A flow that takes everything.
template <class T>
Flow<T, Space> conditional_flow() {
  return small_flow<T, Space>({.latent = 2, .classes = 3, .condition_columns = 2});
}

/// Labels for five samples, and vectors that are used round and round.
template <class T>
ConditionTables<T, Space> some_condition() {
  return {.labels = labels_of<Space>({0, 2, 1, 3, 2}),
          .vector = table<T, Space>(2, 2, {0.5, -1, 1.5, 0.25})};
}

/// What one Euler step from `start` adds.
template <class T, class Field>
std::vector<double> velocity_at(const Field& field, const std::vector<double>& start) {
  const auto x = table<T, Space>(start.size() / 2, 2, start);
  CHECK(integrate_all(Space(), field, x, Euler{1}, {.seed = 4}).finished());
  auto v = numbers_of(x);
  for (std::size_t i = 0; i < v.size(); ++i) v[i] -= start[i];
  return v;
}

/// x0 of the samples that NormalSource draws under `seed`.
template <class T>
Table<T, Space> drawn_source(std::size_t count, std::uint32_t seed, std::uint64_t first_id) {
  std::vector<double> x0;
  const RandomStream stream(seed, purpose_of(Use::sampling, Purpose::source));
  for (std::uint64_t id = first_id; id < first_id + count; ++id) {
    T pair[2];
    stream.normal(id, 0, 0, 2, pair);
    x0.insert(x0.end(), pair, pair + 2);
  }
  return table<T, Space>(count, 2, x0);
}

/// The network's own v(x, 0 | z), by prepare and forward.
template <class T>
std::vector<double> network_velocity(const Flow<T, Space>& flow, const Table<T, Space>& x,
                                     const Table<T, Space>& z) {
  const int rows = static_cast<int>(x.extent(0));
  const auto& network = flow.networks().velocity;
  const auto t = table<T, Space>(x.extent(0), 1, std::vector<double>(x.extent(0), 0));
  const Table<T, Space> v("v", x.extent(0), 2);
  const Array<T, Space> memory("memory", 100000);
  Arena<T> arena(memory.data(), memory.extent(0));
  const BatchContext<Space> ctx{Space()};
  const T* const p = flow.values().data();
  const Matrix<T> prepared = arena.take(rows, network.prepared_cols());
  Condition<T> condition{};
  if (flow.latent() > 0) condition.z = matrix(z);
  using Network = MlpVelocity<Gelu>;
  network.prepare(ctx, p, condition, prepared,
                  static_cast<typename Network::PreparedSaved<T>*>(nullptr), arena);
  Query<T> query{};
  query.t = matrix(t);
  query.x = matrix(x);
  network.forward(ctx, p, query, prepared, nullptr, matrix(v),
                  static_cast<typename Network::Saved<T>*>(nullptr), arena);
  return numbers_of(v);
}

/// Networks that kernels may not carry.
struct HostVelocity : MlpVelocity<> {
  static constexpr bool host_only = true;
  using MlpVelocity<>::MlpVelocity;
};
struct HostPosterior : MlpPosterior<> {
  static constexpr bool host_only = true;
  using MlpPosterior<>::MlpPosterior;
};
struct HostNetworks {
  using Options = FlowOptions;
  static constexpr bool host_only = true;

  HostVelocity velocity;
  HostPosterior posterior;
  GaussianPrior<HostPosterior> prior;

  HostNetworks(ParameterList& list, const Options& o)
      : velocity(list, "velocity", {.dimension = o.dimension, .latent = o.latent}),
        posterior(list, "posterior", {.dimension = o.dimension, .latent = o.latent}),
        prior(HostPosterior(
            list, "prior",
            {.dimension = o.dimension, .latent = o.latent, .input = EncoderInput::x0})) {}
};

template <class T>
auto close(double factor) {
  return [=](std::size_t) { return factor * epsilon<T>; };
}

}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEMPLATE_TEST_CASE("the velocity of a trajectory is the network's", "[sampling]", float, double) {
  using T = TestType;
  const auto flow = small_flow<T, Space>(2);
  // One Euler step is x0 + v(x0, 0, z), with z where the prior's stream has it.
  const auto found =
      numbers_of(sample(flow, NormalSource{2}, Euler{1}, {.count = 3, .seed = 9, .first_id = 40}));
  std::vector<double> z;
  const RandomStream stream(9, purpose_of(Use::sampling, Purpose::prior));
  for (std::uint64_t id = 40; id < 43; ++id) {
    T pair[2];
    stream.normal(id, 0, 0, 2, pair);
    z.insert(z.end(), pair, pair + 2);
  }
  const auto x0 = drawn_source<T>(3, 9, 40), latents = table<T, Space>(3, 2, z);
  CHECK(numbers_of(draw_latents(flow, 3, {.seed = 9, .first_id = 40})) == numbers_of(latents));
  const auto start = numbers_of(x0);
  auto expected = network_velocity<T>(flow, x0, latents);
  for (std::size_t i = 0; i < 6; ++i) expected[i] += start[i];
  CHECK(difference(found, expected, close<T>(500)) == "");

  SECTION("given latents are used instead, one for all or round and round") {
    const auto with = [&](const Table<T, Space>& given) {
      const auto x = table<T, Space>(3, 2, start);
      CHECK(integrate_all(Space(), velocity_of(flow, {.latents = given}), x, Euler{1}).finished());
      return numbers_of(x);
    };
    CHECK(with(latents) == found);
    const auto one = table<T, Space>(1, 2, {z[0], z[1]});
    const auto two = table<T, Space>(2, 2, {z[0], z[1], z[2], z[3]});
    CHECK(rows_of(with(one), 2, 0, 1) == rows_of(found, 2, 0, 1));
    CHECK(rows_of(with(one), 2, 1, 1) != rows_of(found, 2, 1, 1));
    CHECK(rows_of(with(two), 2, 0, 2) == rows_of(found, 2, 0, 2));
    CHECK(rows_of(with(two), 2, 2, 1) == rows_of(with(one), 2, 2, 1));
  }
}

TEST_CASE("a flow map is integrated as u(x, t, t)", "[sampling]") {
  using T = double;
  const auto flow = small_flow<T, Space>({.latent = 2, .second_time = true});
  const auto z = table<T, Space>(3, 2, Numbers(1).take(6));
  const auto start = Numbers(2).take(6);
  CHECK(difference(velocity_at<T>(velocity_of(flow, {.latents = z}), start),
                   network_velocity<T>(flow, table<T, Space>(3, 2, start), z),
                   close<T>(500)) == "");
}

TEMPLATE_TEST_CASE("guidance leads away from the field without the condition", "[sampling]", float,
                   double) {
  using T = TestType;
  const auto flow = conditional_flow<T>();
  const auto condition = some_condition<T>();
  const auto z = table<T, Space>(5, 2, Numbers(1).take(10));
  const auto start = Numbers(2).take(10);
  const auto with = [&](double guidance) {
    return velocity_of(flow, {.latents = z, .condition = condition, .guidance = guidance});
  };
  const auto given = velocity_at<T>(with(1), start), null = velocity_at<T>(with(0), start);
  CHECK(given != null);
  for (const double g : {-0.5, 0.5, 3.0}) {
    std::vector<double> expected;
    for (std::size_t i = 0; i < 10; ++i) expected.push_back(null[i] + g * (given[i] - null[i]));
    CHECK(difference(velocity_at<T>(with(g), start), expected, close<T>(500)) == "");
  }
  // Without the condition there need be none.
  CHECK(velocity_at<T>(velocity_of(flow, {.latents = z, .guidance = 0}), start) == null);

  SECTION("conditions are those of each sample, tables are used round and round") {
    for (std::size_t i = 0; i < 5; ++i) {
      const std::int32_t labels[] = {0, 2, 1, 3, 2};
      const double vectors[] = {0.5, -1, 1.5, 0.25};
      const std::size_t row = 2 * (i % 2);
      const auto field = velocity_of(
          flow, {.latents = Kokkos::subview(z, std::make_pair(i, i + 1), Kokkos::ALL),
                 .condition = {.labels = labels_of<Space>({labels[i]}),
                               .vector = table<T, Space>(1, 2, {vectors[row], vectors[row + 1]})}});
      CHECK(velocity_at<T>(field, rows_of(start, 2, i, 1)) == rows_of(given, 2, i, 1));
    }
  }
  SECTION("the null class is no condition") {
    const auto labelled = small_flow<T, Space>({.latent = 2, .classes = 3});
    CHECK(velocity_at<T>(
              velocity_of(labelled, {.latents = z, .condition = {.labels = labels_of<Space>({3})}}),
              start) ==
          velocity_at<T>(velocity_of(labelled, {.latents = z, .guidance = 0}), start));
  }
  SECTION("z is the same in both") {
    // With the prior's z, too: the three fields draw it alike.
    const auto drawn = [&](double guidance) {
      return velocity_at<T>(velocity_of(flow, {.condition = condition, .guidance = guidance}),
                            start);
    };
    const auto one = drawn(1), none = drawn(0), two = drawn(2);
    std::vector<double> expected;
    for (std::size_t i = 0; i < 10; ++i) expected.push_back(2 * one[i] - none[i]);
    CHECK(difference(two, expected, close<T>(500)) == "");
  }
}

TEMPLATE_TEST_CASE("guidance reaches the times and channels that it is for", "[sampling]", float,
                   double) {
  using T = TestType;
  const auto flow = conditional_flow<T>();
  const auto condition = some_condition<T>();
  const auto z = table<T, Space>(5, 2, Numbers(1).take(10));
  const auto start = Numbers(2).take(10);
  const auto with = [&](double guidance, const GuidanceReach& reach) {
    return velocity_of(
        flow, {.latents = z, .condition = condition, .guidance = guidance, .reach = reach});
  };
  const auto at = [&](double guidance, const GuidanceReach& reach = {}) {
    return velocity_at<T>(with(guidance, reach), start);
  };
  for (const double g : {0.0, 2.0}) {
    // The field is asked at t = 0.
    CHECK(at(g, {.from = 0, .to = 0}) == at(g));
    CHECK(at(g, {.from = -1, .to = 0.5}) == at(g));
    CHECK(at(g, {.from = 0.01, .to = 1}) == at(1));
    CHECK(at(g, {.from = -1, .to = -0.01}) == at(1));
    const auto all = at(g), none = at(1);
    std::vector<double> expected;
    for (std::size_t k = 0; k < all.size(); ++k) expected.push_back(k % 2 == 0 ? all[k] : none[k]);
    CHECK(at(g, {.channels = 1, .of = 2}) == expected);
  }
  const auto refused_reach = [&](const GuidanceReach& reach) {
    return thrown<std::invalid_argument>([&] { with(2, reach); });
  };
  CHECK(
      contains(refused_reach({.from = 0.5, .to = 0.25}),
               "guidance reaches from t = 0.5 to 0.25: expected a first time that is not behind"));
  CHECK(contains(refused_reach({.channels = 3, .of = 2}), "guidance reaches 3 of 2 channels"));
  CHECK(contains(refused_reach({.channels = 1, .of = 3}),
                 "channels that divide the 2 columns of the field"));
}

TEST_CASE("guided samples depend on seed, id and condition alone", "[sampling]") {
  const auto flow = conditional_flow<float>();
  const ConditionTables<float, Space> condition{.labels = labels_of<Space>({1}),
                                                .vector = table<float, Space>(1, 2, {0.5, -1})};
  const auto field = velocity_of(flow, {.condition = condition, .guidance = 1.5});
  const auto check = [&](const auto& solver) {
    const auto all =
        numbers_of(sample(Space(), field, NormalSource{2}, solver, {.count = 90, .seed = 5}));
    const auto part =
        sample(Space(), field, NormalSource{2}, solver, {.count = 50, .seed = 5, .first_id = 31});
    CHECK(numbers_of(part) == rows_of(all, 2, 31, 50));
    const auto batches = sample(Space(), field, NormalSource{2}, solver,
                                {.count = 90, .seed = 5, .launch = {Execution::batch, 40}});
    CHECK(numbers_of(batches) == all);
  };
  check(Heun{2});
  // Rows that have ended leave the tile, with both of their preparations.
  check(DormandPrince{.absolute = 1e-3, .relative = 1e-3});
}

TEST_CASE("a guided field has a likelihood", "[sampling][likelihood]") {
  const auto flow = conditional_flow<double>();
  const DormandPrince solver{.absolute = 1e-8, .relative = 1e-8};
  const auto z = draw_latents(flow, 5, {.seed = 3});
  const auto field =
      velocity_of(flow, {.latents = z, .condition = some_condition<double>(), .guidance = 2});
  const auto s =
      sample_with_density(Space(), field, NormalSource{2}, solver, {.count = 5, .seed = 3});
  const auto back = log_density(Space(), field, NormalSource{2}, s.x, solver);
  CHECK((s.result.finished() && back.result.finished()));
  const auto forward = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), s.log_density);
  const auto backward = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), back.log_density);
  for (std::size_t i = 0; i < 5; ++i) CHECK(std::fabs(forward(i) - backward(i)) < 1e-5);
}

TEMPLATE_TEST_CASE("a learned prior sees where a trajectory begins", "[sampling]", float, double) {
  using T = TestType;
  const auto flow =
      small_flow<T, Space>({.latent = 2, .prior = PriorKind::given_source, .classes = 3});
  const ConditionTables<T, Space> condition{.labels = labels_of<Space>({0, 2, 1, 3})};
  const auto field = velocity_of(flow, {.condition = condition});
  const auto x0 = drawn_source<T>(4, 7, 20);
  const auto z =
      draw_latents(flow, 4, {.seed = 7, .first_id = 20, .x0 = x0, .condition = condition});

  // mu + sigma e, with the moments that the prior tells.
  const Table<T, Space> moments("moments", 4, 4);
  const Array<T, Space> memory("memory", 100000);
  Arena<T> arena(memory.data(), memory.extent(0));
  LatentInputs<T> inputs{};
  inputs.x0 = matrix(x0);
  inputs.condition.label = Matrix<const std::int32_t>(condition.labels.data(), 4, 1, 1);
  using Prior = GaussianPrior<MlpPosterior<Gelu>>;
  flow.networks().prior.moments(BatchContext<Space>{Space()},
                                static_cast<const T*>(flow.values().data()), inputs,
                                matrix(moments), static_cast<Prior::Saved<T>*>(nullptr), arena);
  const auto told = numbers_of(moments);
  std::vector<double> expected;
  for (std::size_t i = 0; i < 4; ++i) {
    T e[2];
    RandomStream(7, purpose_of(Use::sampling, Purpose::prior)).normal(20 + i, 0, 0, 2, e);
    for (std::size_t j = 0; j < 2; ++j) {
      const double s = std::fmax(-20, std::fmin(20, told[4 * i + 2 + j]));
      expected.push_back(told[4 * i + j] + std::exp(s / 2) * static_cast<double>(e[j]));
    }
  }
  const auto found = numbers_of(z);
  CHECK(difference(found, expected, [&](std::size_t i) {
          return 100 * epsilon<T> * (1 + std::fabs(expected[i]));
        }) == "");

  // That is the z which sample() draws.
  const auto samples = numbers_of(
      sample(Space(), field, NormalSource{2}, Heun{2}, {.count = 4, .seed = 7, .first_id = 20}));
  const auto x = table<T, Space>(4, 2, numbers_of(x0));
  const auto same = velocity_of(flow, {.latents = z, .condition = condition});
  CHECK(integrate_all(Space(), same, x, Heun{2}).finished());
  CHECK(numbers_of(x) == samples);

  SECTION("so there is no likelihood, unless z is given") {
    const auto refused = [&](const auto& call) { return thrown<std::invalid_argument>(call); };
    CHECK(
        contains(refused([&] { (void)log_density(Space(), field, NormalSource{2}, x, Euler{1}); }),
                 "this field's z depends on x0, which is not known before the end"));
    CHECK(contains(refused([&] {
                     (void)sample_with_density(Space(), field, NormalSource{2}, Euler{1},
                                               {.count = 2});
                   }),
                   "needs a z that is independent of x0"));
    CHECK(log_density(Space(), same, NormalSource{2}, x, Euler{1}).result.finished());
  }
  SECTION("draws need what the prior sees") {
    CHECK(contains(
        thrown<std::invalid_argument>([&] { draw_latents(flow, 4, {.condition = condition}); }),
        "the prior sees x0, which was not given"));
    CHECK(contains(thrown<std::invalid_argument>([&] { draw_latents(flow, 4, {.x0 = x0}); }),
                   "the prior takes a condition, but condition.labels was not given"));
    CHECK(contains(thrown<std::invalid_argument>(
                       [&] { draw_latents(flow, 3, {.x0 = x0, .condition = condition}); }),
                   "x0 has 4 rows but the call has 3 rows"));
  }
}

TEST_CASE("a likelihood draws a z of its own", "[sampling][likelihood]") {
  // Under the same seed and id: with one draw and the z of sampling the densities would be equal.
  const auto flow = small_flow<double, Space>(2);
  const auto x = table<double, Space>(4, 2, Numbers(1).take(8));
  const auto sampling = velocity_of(flow, {.latents = draw_latents(flow, 4, {.seed = 6})});
  const auto density = [&](const auto& field) {
    const auto found = log_density(Space(), field, NormalSource{2}, x, Heun{4}, {.seed = 6});
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), found.log_density);
    return std::vector<double>(host.data(), host.data() + 4);
  };
  const auto own = density(velocity_of(flow)), shared = density(sampling);
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::fabs(own[i] - shared[i]) > 1e-6);
  // It is where Use::likelihood has it.
  std::vector<double> z;
  for (std::uint64_t id = 0; id < 4; ++id) {
    double pair[2];
    RandomStream(6, purpose_of(Use::likelihood, Purpose::prior)).normal(id, 0, 0, 2, pair);
    z.insert(z.end(), pair, pair + 2);
  }
  CHECK(density(velocity_of(flow, {.latents = table<double, Space>(4, 2, z)})) == own);
}

TEST_CASE("a flow's field with noise", "[sampling][stochastic]") {
  const auto flow = small_flow<float, Space>({.latent = 2, .encoder_input = EncoderInput::x1});
  const StochasticVelocity noisy(velocity_of(flow), ScoreDiffusion<>{});
  const EulerMaruyama solver{.steps = 4, .last_step = 0.1};
  const auto all = numbers_of(sample(Space(), noisy, NormalSource{2}, solver, {.count = 40}));
  const auto part =
      numbers_of(sample(Space(), noisy, NormalSource{2}, solver, {.count = 9, .first_id = 11}));
  CHECK(part == rows_of(all, 2, 11, 9));
}

TEST_CASE("a diffusion by the score needs x0 from N(0, I) under each z", "[sampling][stochastic]") {
  const auto refused = [](EncoderInput input, PriorKind prior) {
    const auto flow =
        small_flow<float, Space>({.latent = 2, .encoder_input = input, .prior = prior});
    return thrown<std::invalid_argument>(
        [&] { StochasticVelocity(velocity_of(flow), ScoreDiffusion<>{}); });
  };
  const std::string words = "its posterior or prior sees x0 or x_t";
  CHECK(contains(refused(EncoderInput::x0 | EncoderInput::x1, PriorKind::standard), words));
  CHECK(contains(refused(EncoderInput::x_t, PriorKind::standard), words));
  CHECK(contains(refused(EncoderInput::x1, PriorKind::given_source), words));
  CHECK(contains(refused(EncoderInput::none, PriorKind::standard), "or it was trained on pairs"));
  // Under a prior that is given the condition alone, x0 is independent of z.
  const auto told = small_flow<float, Space>({.latent = 2,
                                              .encoder_input = EncoderInput::x1,
                                              .prior = PriorKind::given_condition,
                                              .classes = 3});
  const Array<std::int32_t, Space> labels("labels", 1);
  (void)StochasticVelocity(velocity_of(told, {.condition = {.labels = labels}}),
                           ScoreDiffusion<>{});
  // Noise that asks no score takes any z.
  const auto flow = small_flow<float, Space>(2);
  (void)StochasticVelocity(velocity_of(flow), AdditiveNoise<Constant>{});

  const auto plain = small_flow<float, Space>(0);
  const StochasticVelocity noisy(velocity_of(plain), ScoreDiffusion<>{});
  const auto wide = GaussianMixture<float, Space>(Space(), 2, {0, 0}, {2});
  CHECK(contains(thrown<std::invalid_argument>(
                     [&] { (void)sample(Space(), noisy, wide, EulerMaruyama{2}, {.count = 3}); }),
                 "the source is another mixture"));
  (void)sample(Space(), noisy, standard_normal<float>(Space(), 2), EulerMaruyama{2}, {.count = 3});
}

TEST_CASE("networks that kernels cannot carry run in batches", "[sampling]") {
  const Flow<float, Space, HostNetworks> host(Space(), {.dimension = 2, .latent = 2}, 1);
  const Flow<float, Space> light(
      Space(), {.dimension = 2, .latent = 2, .prior = PriorKind::given_source}, 1);
  const auto check = [](const auto& flow, const auto& other) {
    const auto field = velocity_of(flow);
    const SampleOptions options{.count = 30, .seed = 2, .launch = {.batch = 7}};
    const auto x = sample(Space(), field, NormalSource{2}, Heun{2}, options);
    CHECK(numbers_of(x) ==
          numbers_of(sample(Space(), velocity_of(other), NormalSource{2}, Heun{2}, options)));
    const StochasticVelocity noisy(field, AdditiveNoise<Constant>{{0.5}});
    CHECK(numbers_of(sample(Space(), noisy, NormalSource{2}, StochasticHeun{2}, options)) !=
          numbers_of(x));
    CHECK(numbers_of(reconstruct(flow, x, x, Euler{2}, {.t = 0.5})) ==
          numbers_of(reconstruct(other, x, x, Euler{2}, {.t = 0.5})));
    CHECK(numbers_of(draw_latents(flow, 30, {.x0 = x})) ==
          numbers_of(draw_latents(other, 30, {.x0 = x})));
  };
  check(host, light);
  CHECK(contains(thrown<std::invalid_argument>([&] {
                   sample(host, NormalSource{2}, Euler{1}, {.launch = {Execution::tiles}});
                 }),
                 "too large for tiles: expected Execution::batch"));
}

TEST_CASE("fields of a flow refuse what does not fit", "[sampling]") {
  using T = float;
  const auto flow = conditional_flow<T>();
  const auto plain = small_flow<T, Space>(2);
  const auto condition = some_condition<T>();
  const auto refused = [](const Flow<T, Space>& f, const VelocityOptions<T, Space>& options) {
    return thrown<std::invalid_argument>([&] { (void)velocity_of(f, options); });
  };
  CHECK(contains(refused(plain, {.latents = table<T, Space>(1, 3, {0, 0, 0})}),
                 "latents has 3 columns but the flow's z has 2 columns"));
  CHECK(contains(refused(plain, {.latents = Table<T, Space>("z", 0, 2)}),
                 "the table of latents has no rows"));
  CHECK(contains(refused(small_flow<T, Space>(0), {.latents = table<T, Space>(1, 2, {0, 0})}),
                 "latents has 2 columns but the flow's z has 0 columns"));
  CHECK(contains(refused(plain, {.guidance = 2}),
                 "guidance is 2, but this flow takes no condition: expected 1"));
  CHECK(contains(refused(flow, {.condition = condition, .guidance = INFINITY}),
                 "guidance must be finite, got inf"));
  CHECK(contains(refused(plain, {.condition = {.labels = condition.labels}}),
                 "condition.labels was given, but the flow takes none"));
  CHECK(contains(refused(plain, {.condition = {.field = condition.vector}}),
                 "condition.field was given, but the flow takes none"));
  CHECK(contains(refused(flow, {.condition = {.labels = condition.labels}}),
                 "the flow takes a condition, but condition.vector was not given"));
  CHECK(contains(refused(flow, {.condition = {.labels = condition.labels,
                                              .vector = table<T, Space>(1, 3, {0, 0, 0})}}),
                 "condition.vector has 3 columns but the flow has 2 columns"));
  CHECK(contains(refused(flow, {.condition = {.labels = labels_of<Space>({0, 4}),
                                              .vector = condition.vector}}),
                 "condition.labels has 4 in row 1: expected 0 to 3, of which 3 is the null class"));
  CHECK(contains(
      thrown<std::invalid_argument>([&] { sample(flow, NormalSource{2}, Euler{1}, {.count = 1}); }),
      "the flow takes a condition, but condition.labels was not given"));
}
