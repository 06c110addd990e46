// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The transformers of images: parameter counts of the published models, SiT's answers (tests/golden/make_sit.py),
// the models' conformance test on small ones with every condition, and recomputation.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/golden_numbers.hpp>
#include <tests/support/model_conformance.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <nlohmann/json.hpp>

#include <vrfm/io/safetensors.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/models/transformer/networks.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

std::size_t sit_parameters(const char* size, int patch) {
  ParameterList list;
  const TransformerVelocity sit(
      list, "", {.trunk = sit_size(size, patch), .classes = 1000, .learn_sigma = true});
  return list.count();
}

/// 2 x 3 tokens of 2 x 2 pixels, small enough for finite differences.
TransformerOptions small_trunk(int depth = 1) {
  return {.height = 4,
          .width = 6,
          .channels = 1,
          .patch = 2,
          .embedding = 8,
          .depth = depth,
          .heads = 2,
          .hidden = 1};
}

template <class T, class P>
struct Stored {
  using Real = T;
  using Parameter = P;
};

void conform_small(const TransformerVelocityOptions& options) {
  ParameterList list;
  const TransformerVelocity network(list, "", options);
  conform_velocity<Kokkos::DefaultExecutionSpace>(
      network, list.count(),
      {.roughness = 65536, .weights = 0.5, .fixed = slot_of(list, "pos_embed")});
}

}  // namespace

TEST_CASE("the transformers have the published numbers of parameters", "[models][transformer]") {
  CHECK(sit_parameters("XL", 2) == 675'129'632);
  const auto counts = nlohmann::json::parse(golden_file("sit.safetensors").metadata().at("counts"));
  CHECK(counts.size() == 12);
  for (const char* size : {"S", "B", "L", "XL"}) {
    for (const int patch : {2, 4, 8}) {
      const std::string name = text(size, '/', patch);
      INFO(name);
      CHECK(sit_parameters(size, patch) == counts.at(name).get<std::size_t>());
    }
  }
  CHECK(thrown<std::invalid_argument>([] { sit_size("XXL", 2); }) ==
        "vrfm: SiT has the sizes S, B, L and XL, not 'XXL'");
}

TEST_CASE("transformers conform", "[models][transformer]") {
  SECTION("time alone, two blocks") { conform_small({.trunk = small_trunk(2)}); }
  SECTION("more outputs than channels") {
    conform_small({.trunk = small_trunk(), .learn_sigma = true});
  }
  SECTION("z and everything else") {
    conform_small({.trunk = small_trunk(),
                   .latent = 2,
                   .classes = 2,
                   .condition_columns = 2,
                   .field_channels = 1,
                   .second_time = true});
  }
  SECTION("recomputation") {
    auto trunk = small_trunk(2);
    trunk.recompute = true;
    conform_small({.trunk = trunk, .latent = 2});
  }
}

TEST_CASE("posteriors of transformers conform", "[models][transformer]") {
  const auto check = [](const TransformerPosteriorOptions& options) {
    ParameterList list;
    const TransformerPosterior posterior(list, "posterior", options);
    conform_latent<Kokkos::DefaultExecutionSpace>(
        posterior, list.count(), 24,
        {.roughness = 65536, .weights = 0.5, .fixed = slot_of(list, "posterior.pos_embed")});
  };
  SECTION("x1 alone") { check({.trunk = small_trunk(), .latent = 3}); }
  SECTION("everything") {
    check({.trunk = small_trunk(),
           .latent = 2,
           .input = EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t | EncoderInput::t,
           .classes = 2,
           .condition_columns = 2,
           .field_channels = 1});
  }
}

TEST_CASE("learned priors of transformers conform", "[models][transformer]") {
  const auto check = [](PriorKind kind, EncoderInput sees) {
    ParameterList list;
    const TransformerNetworks networks(
        list,
        {.velocity = {.trunk = small_trunk(), .latent = 2, .classes = 2, .condition_columns = 2},
         .prior = kind});
    CHECK((!networks.prior.standard() && networks.prior.input() == sees));
    CHECK(networks.prior.inputs() ==
          ModelInputs{.latent = 2, .classes = 2, .condition_columns = 2});
    ParameterList alone;
    const ImagePrior<TransformerPosterior> prior(
        alone, "prior",
        TransformerPosteriorOptions{.trunk = small_trunk(),
                                    .latent = 2,
                                    .input = sees,
                                    .classes = 2,
                                    .condition_columns = 2});
    const bool source = sees == EncoderInput::x0;
    conform_latent<Kokkos::DefaultExecutionSpace>(
        prior, alone.count(), 24,
        {.roughness = 65536,
         .weights = 0.5,
         .fixed = source ? slot_of(alone, "prior.pos_embed") : Columns{}});
  };
  SECTION("given the condition") { check(PriorKind::given_condition, EncoderInput::none); }
  SECTION("given the source and the condition") {
    check(PriorKind::given_source, EncoderInput::x0);
  }
  SECTION("given a condition that there is not") {
    CHECK(thrown<std::invalid_argument>([] {
            ParameterList list;
            TransformerNetworks(list, {.velocity = {.trunk = small_trunk(), .latent = 2},
                                       .prior = PriorKind::given_condition});
          }) == "vrfm: a prior given the condition needs networks that take a label or a vector");
  }
}

TEST_CASE("impossible transformers are refused", "[models][transformer]") {
  const auto refused = [](const TransformerVelocityOptions& options) {
    return thrown<std::invalid_argument>([&] {
      ParameterList list;
      TransformerVelocity(list, "", options);
    });
  };
  const auto with = [](const auto& change) {
    auto trunk = small_trunk();
    change(trunk);
    return TransformerVelocityOptions{.trunk = trunk};
  };
  CHECK(refused(with([](auto& t) { t.patch = 4; })) ==
        "vrfm: a transformer needs patches that divide its images of 4 x 6, got 4");
  CHECK(refused(with([](auto& t) { t.heads = 3; })) ==
        "vrfm: a transformer needs heads that divide its 8 columns, got 3");
  CHECK(refused(with([](auto& t) { t.embedding = 6; })) ==
        "vrfm: a transformer needs an embedding that 4 divides, for its positions, got 6");
  CHECK(refused(with([](auto& t) { t.depth = 65; })) ==
        "vrfm: a transformer needs 1 to 64 blocks, got 65");
  CHECK(refused({.trunk = small_trunk(), .latent = -1}) ==
        "vrfm: a transformer needs latent >= 0, got -1");
}

TEST_CASE("parameters are called as in SiT's state dict", "[models][transformer]") {
  ParameterList list;
  TransformerVelocity(list, "", {.trunk = sit_size("XL", 2), .classes = 1000, .learn_sigma = true});
  CHECK(sorted(names_and_shapes(list)) == golden_lines(golden_file("sit.safetensors"), "xl"));
}

TEST_CASE("V-SiT and its posterior have as many parameters as stated", "[models][transformer]") {
  ParameterList list;
  const TransformerNetworks networks(
      list, {.velocity = {
                 .trunk = sit_size("XL", 2), .latent = 768, .classes = 1000, .learn_sigma = true}});
  std::size_t posterior = 0;
  for (const auto& slot : list.entries()) {
    if (slot.name.starts_with("posterior.")) posterior += slot.count;
  }
  // Its velocity: SiT-XL/2 and z's embedding, 768 -> 1152 -> 1152.
  CHECK(list.count() - posterior == 675'129'632 + 769 * 1152 + 1153 * 1152);
  CHECK(posterior == 341'895'552);
  CHECK(networks.posterior.latent() == 768);
}

TEMPLATE_TEST_CASE("a transformer gives SiT's velocity and gradients", "[models][transformer]",
                   (Stored<float, float>), (Stored<double, double>), (Stored<float, BFloat16>)) {
  using T = typename TestType::Real;
  using P = typename TestType::Parameter;
  using Exec = Kokkos::DefaultExecutionSpace;
  const auto golden = golden_file("sit.safetensors");
  const bool recompute = GENERATE(false, true);
  ParameterList list;
  TransformerOptions trunk{.height = 8, .width = 8, .embedding = 144, .depth = 2, .heads = 2};
  trunk.recompute = recompute;
  const TransformerVelocity sit(list, "", {.trunk = trunk, .classes = 10, .learn_sigma = true});
  CHECK(sorted(names_and_shapes(list)) == golden_lines(golden_file("sit.safetensors"), "narrow"));

  const int count = static_cast<int>(list.count());
  constexpr int rows = 2, dimension = 256;
  const Array<T, Exec> start("start", list.count());
  initialize<Exec, T>(Exec(), list, start, 1);
  Exec().fence();
  const auto started = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), start);
  std::vector<double> weights(list.count());
  for (const auto& slot : list.entries()) {
    const auto numbers = golden_numbers(slot.name, slot.count);
    const double scale = golden_scale(slot.shape);
    for (std::size_t k = 0; k < slot.count; ++k) {
      weights[slot.offset + k] = slot.fixed ? double(started(slot.offset + k)) : scale * numbers[k];
    }
    if (!slot.fixed) continue;
    const auto expected = golden.values<double>("positions", std::vector<std::size_t>{16, 144});
    const std::vector<double> own(
        weights.begin() + static_cast<std::ptrdiff_t>(slot.offset),
        weights.begin() + static_cast<std::ptrdiff_t>(slot.offset + slot.count));
    CHECK(difference(own, {expected.begin(), expected.end()}, 4 * epsilon<T>) == "");
  }
  const Padded<P, Exec> p(1, count, weights);
  Padded<T, Exec> x(rows, dimension, golden_numbers("x", rows * dimension)),
      dv(rows, dimension, golden_numbers("dv", rows * dimension)), t(rows, 1, {0.25, 0.875}),
      v(rows, dimension), dx(rows, dimension), dt(rows, 1), g(1, count);
  const Kokkos::View<std::int32_t*, Exec> label("label", rows);
  const auto host_label = Kokkos::create_mirror_view(label);
  host_label(0) = 3;
  host_label(1) = 10;  // the null class
  Kokkos::deep_copy(label, host_label);
  const auto step = [&](const auto& ctx, Arena<T>& arena) {
    TransformerVelocity::PreparedSaved<T> prepared_saved;
    TransformerVelocity::Saved<T, P> saved;
    const Matrix<T> prepared = arena.take(rows, sit.prepared_cols()),
                    dprepared = arena.take(rows, sit.prepared_cols());
    ctx.map(rows, dprepared.cols, Fill<T>{dprepared, T(0)});
    Condition<T> condition{};
    condition.label = {label.data(), rows, 1, 1};
    const Gradient<T> gradient{g.data(), false};
    const P* const parameters = p.data();
    sit.prepare(ctx, parameters, condition, prepared, &prepared_saved, arena);
    sit.forward(ctx, parameters, Query<T>{t.matrix(), x.matrix(), {}}, prepared, nullptr,
                v.matrix(), &saved, arena);
    sit.backward(ctx, parameters, gradient, dv.matrix(),
                 QueryGradient<T>{dt.matrix(), dx.matrix(), {}}, dprepared, saved, arena);
    sit.prepare_backward(ctx, parameters, gradient, dprepared, ConditionGradient<T>{},
                         prepared_saved, arena);
  };
  auto measure = Arena<T>::measure();
  step(BatchContext<Exec>::dry_run(Exec()), measure);
  const Array<T, Exec> memory("memory", measure.peak());
  Arena<T> arena(memory.data(), memory.extent(0));
  step(BatchContext<Exec>(Exec()), arena);

  // The longest sums have 4 * 144 terms; some thirty operations follow each other. What is stored in bfloat16 has
  // errors of its own, but its sums do not add any.
  const double tolerance = std::is_same_v<P, T> ? 32 * std::sqrt(4.0 * 144) * epsilon<T>
                                                : 8 * operand_error(Compute::bfloat16);
  const auto near_golden = [&](const char* name, std::size_t cols,
                               const std::vector<double>& actual) {
    INFO(name);
    const auto values = golden.values<double>(name, std::vector<std::size_t>{rows, cols});
    const std::vector<double> expected(values.begin(), values.end());
    CHECK(difference(actual, expected, tolerance * largest(expected)) == "");
  };
  near_golden("v", dimension, v.read());
  near_golden("dx", dimension, dx.read());
  near_golden("dt", 1, dt.read());
  const auto gradient = g.read();
  for (const auto& slot : list.entries()) {
    INFO(slot.name);
    const double* own = gradient.data() + slot.offset;
    if (slot.fixed) {
      CHECK(std::all_of(own, own + slot.count, [](double d) { return d == 0; }));
      continue;
    }
    const auto probe = golden_numbers(slot.name + "'", slot.count);
    double actual = 0, size = 0;
    for (std::size_t k = 0; k < slot.count; ++k) {
      actual += probe[k] * own[k];
      size += own[k] * own[k];
    }
    const double expected =
        golden.values<double>("gradient." + slot.name, std::vector<std::size_t>{1})[0];
    CHECK(std::fabs(actual - expected) <= tolerance * std::sqrt(size));
  }
}

namespace {

/// dv of a small transformer for rates of x and t, with its parameters stored as P.
template <class P>
std::vector<double> rates_of(const TransformerVelocity& model, const std::vector<double>& weights) {
  using Exec = Kokkos::DefaultExecutionSpace;
  using T = float;
  constexpr int rows = 3;
  const int dimension = model.dimension();
  const auto numbers = [&](const char* name) {
    return golden_numbers(name, std::size_t(rows) * std::size_t(dimension));
  };
  const Padded<P, Exec> p(1, static_cast<int>(weights.size()), weights);
  const Padded<T, Exec> x(rows, dimension, numbers("x")), dx(rows, dimension, numbers("dx")),
      t(rows, 1, {0.25, 0.5, 0.875}), dt(rows, 1, {1, 1, 1});
  Padded<T, Exec> v(rows, dimension), dv(rows, dimension);
  const auto step = [&](const auto& ctx, Arena<T>& arena) {
    TransformerVelocity::Saved<T, P> saved;
    const P* const parameters = p.data();
    const DrawAddress* const draws = nullptr;
    model.forward(ctx, parameters, Query<T>{t.matrix(), x.matrix(), {}}, Matrix<T>(), draws,
                  v.matrix(), &saved, arena);
    model.tangent(ctx, parameters, Query<T>{dt.matrix(), dx.matrix(), {}}, dv.matrix(), saved,
                  arena);
  };
  auto measure = Arena<T>::measure();
  step(BatchContext<Exec>::dry_run(Exec()), measure);
  const Array<T, Exec> memory("memory", measure.peak());
  Arena<T> arena(memory.data(), memory.extent(0));
  step(BatchContext<Exec>(Exec()), arena);
  return dv.read();
}

}  // namespace

TEST_CASE("a transformer's rates are the same with parameters in bfloat16",
          "[models][transformer]") {
  ParameterList list;
  const TransformerVelocity model(list, "", {.trunk = small_trunk(2)});
  auto weights = golden_numbers("weights", list.count());
  for (double& w : weights) w = double(BFloat16(float(0.5 * w)));
  const auto expected = rates_of<float>(model, weights),
             actual = rates_of<BFloat16>(model, weights);
  const double tolerance = 8 * operand_error(Compute::bfloat16) * largest(expected);
  CHECK(difference(actual, expected, tolerance) == "");
  CHECK(actual != expected);
}
