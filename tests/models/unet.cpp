// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The U-Net and its posterior: parameter counts of the published models, torchcfm's answers
// (tests/golden/make_unet.py), the models' conformance test on small ones with every condition, and when
// dropout is drawn.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
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

#include <vrfm/models/unet/networks.hpp>
#include <vrfm/training/checkpoint.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

std::size_t velocity_parameters(Conditioning conditioning, int latent, Fusion fusion) {
  ParameterList list;
  const UnetVelocity unet(
      list, "", {.path = {.conditioning = conditioning}, .latent = latent, .fusion = fusion});
  return list.count();
}

/// A U-Net of two levels with attention on the lower one, small enough for finite differences.
UnetOptions small_unet(Conditioning conditioning, int latent, Fusion fusion) {
  return {.path = {.grid = {4, 4},
                   .channels = 1,
                   .base = 2,
                   .multipliers = {1, conditioning == Conditioning::additive ? 2 : 1},
                   .blocks = 1,
                   .attention_extents = {2},
                   .head_channels = 1,
                   .dropout = 0,
                   .conditioning = conditioning},
          .latent = latent,
          .fusion = fusion,
          .latent_width = 3};
}

/// Calls step(context, arena), first to learn how much memory it needs.
template <class Exec, class Step>
void run_step(const Exec& exec, const Step& step) {
  auto measure = Arena<float>::measure();
  step(BatchContext<Exec>::dry_run(exec), measure);
  const Array<float, Exec> memory("memory", measure.peak());
  Arena<float> arena(memory.data(), memory.extent(0));
  step(BatchContext<Exec>(exec), arena);
}

}  // namespace

TEST_CASE("the U-Nets have the published numbers of parameters", "[models][unet]") {
  CHECK(velocity_parameters(Conditioning::additive, 0, Fusion::adaptive_norm) == 35'746'307);
  CHECK(velocity_parameters(Conditioning::adaptive_norm, 0, Fusion::adaptive_norm) == 38'307'203);
  CHECK(velocity_parameters(Conditioning::adaptive_norm, 768, Fusion::adaptive_norm) == 38'963'587);
  CHECK(velocity_parameters(Conditioning::adaptive_norm, 768, Fusion::bottleneck_sum) ==
        38'832'259);
}

TEST_CASE("U-Nets conform", "[models][unet]") {
  const auto check = [](const UnetOptions& options, bool draws = false) {
    ParameterList list;
    const UnetVelocity unet(list, "", options);
    conform_velocity<Kokkos::DefaultExecutionSpace>(unet, list.count(),
                                                    {.roughness = 1024, .draws = draws});
  };
  SECTION("time added") { check(small_unet(Conditioning::additive, 0, Fusion::adaptive_norm)); }
  SECTION("z with time") {
    check(small_unet(Conditioning::adaptive_norm, 3, Fusion::adaptive_norm));
  }
  SECTION("z in the bottleneck") {
    check(small_unet(Conditioning::adaptive_norm, 3, Fusion::bottleneck_sum));
  }
  SECTION("dropout") {
    auto options = small_unet(Conditioning::adaptive_norm, 0, Fusion::adaptive_norm);
    options.path.dropout = 0.25;
    check(options, true);
    check(options, false);
  }
  SECTION("a label") {
    auto options = small_unet(Conditioning::additive, 0, Fusion::adaptive_norm);
    options.classes = 2;
    check(options);
  }
  SECTION("z and everything else") {
    auto options = small_unet(Conditioning::adaptive_norm, 2, Fusion::adaptive_norm);
    options.classes = 2;
    options.condition_columns = 3;
    options.field_channels = 1;
    options.second_time = true;
    check(options);
  }
  SECTION("z in the bottleneck, two channels, a vector and a field of two") {
    auto options = small_unet(Conditioning::additive, 2, Fusion::bottleneck_sum);
    options.path.channels = options.field_channels = 2;
    options.condition_columns = 2;
    check(options);
  }
  SECTION("a second time alone") {
    auto options = small_unet(Conditioning::adaptive_norm, 0, Fusion::adaptive_norm);
    options.second_time = true;
    check(options);
  }
  SECTION("signals") {
    auto options = small_unet(Conditioning::adaptive_norm, 2, Fusion::bottleneck_sum);
    options.path.grid = 6;
    options.path.attention_extents = {3};
    options.field_channels = 1;
    check(options);
  }
  SECTION("volumes") {
    auto options = small_unet(Conditioning::adaptive_norm, 0, Fusion::adaptive_norm);
    options.path.grid = {4, 2, 2};
    check(options);
  }
}

TEST_CASE("weights of U-Nets have an extent for each axis", "[models][unet]") {
  const auto shape_of = [](const PixelGrid& grid, const std::string& name) {
    auto options = small_unet(Conditioning::additive, 0, Fusion::adaptive_norm);
    options.path.grid = grid;
    ParameterList list;
    const UnetVelocity unet(list, "", options);
    for (const auto& slot : list.entries()) {
      if (slot.name == name) return slot.shape;
    }
    return std::vector<std::size_t>();
  };
  using Shape = std::vector<std::size_t>;
  const std::string conv = "input_blocks.0.0.weight",
                    skip = "input_blocks.3.0.skip_connection.weight";
  CHECK((shape_of(4, conv) == Shape{2, 1, 3} && shape_of(4, skip) == Shape{4, 2, 1}));
  CHECK(
      (shape_of({4, 4}, conv) == Shape{2, 1, 3, 3} && shape_of({4, 4}, skip) == Shape{4, 2, 1, 1}));
  CHECK((shape_of({4, 4, 4}, conv) == Shape{2, 1, 3, 3, 3} &&
         shape_of({4, 4, 4}, skip) == Shape{4, 2, 1, 1, 1}));
  CHECK(thrown<std::invalid_argument>([&] {
          shape_of({4, 3, 4}, conv);
        }) == "vrfm: a U-Net of 2 levels needs extents that are multiples of 2, got 4 x 3 x 4");
}

TEST_CASE("dropout is drawn where it is asked for, saved or not", "[models][unet]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  auto options = small_unet(Conditioning::adaptive_norm, 0, Fusion::adaptive_norm);
  options.path.dropout = 0.5;
  ParameterList list;
  const UnetVelocity unet(list, "", options);
  Numbers numbers(4);
  Padded<float, Exec> p(1, static_cast<int>(list.count()), numbers.take(list.count())),
      x(3, 16, numbers.take(48)), t(3, 1, numbers.take(3)), v(3, 16);
  const DrawAddress address{.seed = 1}, other{.seed = 2};
  const auto velocity = [&](const DrawAddress* draws, bool save) {
    run_step(Exec(), [&](const auto& ctx, Arena<float>& arena) {
      UnetVelocity::Saved<float> saved{};
      unet.forward(ctx, p.data(), Query<float>{t.matrix(), x.matrix(), {}}, Matrix<float>(), draws,
                   v.matrix(), save ? &saved : nullptr, arena);
    });
    return v.read();
  };
  const auto close = [](const std::vector<double>& a, const std::vector<double>& b) {
    return difference(a, b, 64 * epsilon<float> * largest(b)).empty();
  };
  const auto drawn = velocity(&address, true), plain = velocity(nullptr, true);
  CHECK_FALSE(close(drawn, plain));
  CHECK_FALSE(close(drawn, velocity(&other, true)));
  CHECK(close(velocity(&address, false), drawn));
  CHECK(close(velocity(nullptr, false), plain));
}

TEST_CASE("dropped rows see the null class and a field of zeros", "[models][unet]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  auto options = small_unet(Conditioning::adaptive_norm, 0, Fusion::adaptive_norm);
  options.classes = 4;
  options.condition_columns = 2;
  options.field_channels = 1;
  ParameterList list;
  const UnetVelocity unet(list, "", options);
  CHECK(unet.inputs() == ModelInputs{.classes = 4, .condition_columns = 2, .field_columns = 16});
  CHECK(unet.prepared_cols() == 8 + 16);
  Numbers numbers(4);
  Padded<float, Exec> p(1, static_cast<int>(list.count()), numbers.take(list.count()));
  Padded<float, Exec> vector(2, 2, numbers.take(4)), field(2, 16, numbers.take(32)),
      prepared(2, unet.prepared_cols());
  Kokkos::View<std::int32_t*, Exec> label("label", 2), dropped("dropped", 2);
  Kokkos::deep_copy(dropped, 1);
  const auto given = [&](std::int32_t l, bool drop) {
    Kokkos::deep_copy(label, l);
    run_step(Exec(), [&](const auto& ctx, Arena<float>& arena) {
      Condition<float> c{};
      c.label = {label.data(), 2, 1, 1};
      c.vector = vector.matrix();
      c.field = field.matrix();
      if (drop) c.dropped = {dropped.data(), 2, 1, 1};
      UnetVelocity::PreparedSaved<float>* const unsaved = nullptr;
      unet.prepare(ctx, p.data(), c, prepared.matrix(), unsaved, arena);
    });
    return prepared.read();
  };
  const auto null = given(1, true);
  CHECK(given(3, true) == null);
  for (std::size_t j = 0; j < 8; ++j) CHECK(null[j] == null[24 + j]);
  for (std::size_t j = 8; j < 24; ++j) CHECK(null[j] == 0);
  const auto one = given(1, false);
  CHECK(one != given(2, false));
  const auto expected = field.read();
  for (std::size_t j = 0; j < 16; ++j) CHECK(one[8 + j] == expected[j]);
  // No such class: seen by its result.
  CHECK(std::isnan(given(5, false)[0]));
  CHECK(std::isnan(given(-1, false)[0]));
}

TEST_CASE("U-Nets have room for 64 stages a path", "[models][unet]") {
  const auto error_of = [](int blocks) {
    ParameterList list;
    auto options = small_unet(Conditioning::additive, 0, Fusion::adaptive_norm);
    options.path.blocks = blocks;
    return thrown<std::invalid_argument>([&] { UnetVelocity(list, "", options); });
  };
  CHECK(error_of(31) == "(nothing thrown)");
  CHECK(contains(error_of(32), "at most 64 stages (blocks and convolutions), got more"));
}

TEST_CASE("posteriors of images conform", "[models][unet]") {
  const auto check = [](UnetPosteriorOptions options) {
    const int dimension = options.path.grid.pixels() * options.path.channels;
    ParameterList list;
    const UnetPosterior posterior(list, "posterior", options);
    conform_latent<Kokkos::DefaultExecutionSpace>(posterior, list.count(), dimension,
                                                  {.roughness = 1024});
  };
  UnetPosteriorOptions options{
      .path = small_unet(Conditioning::none, 0, Fusion::adaptive_norm).path,
      .latent = 2,
      .input = EncoderInput::x1};
  options.path.base = 4;  // of two channels the last norm, which sees one pixel, leaves signs
  const auto all = EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t | EncoderInput::t;
  SECTION("x1") { check(options); }
  SECTION("everything") {
    auto other = options;
    other.input = all;
    check(other);
  }
  SECTION("x1 and a label") {
    auto other = options;
    other.classes = 2;
    check(other);
  }
  SECTION("a signal") {
    auto other = options;
    other.path.grid = 8;
    check(other);
  }
  SECTION("a volume") {
    auto other = options;
    other.path.grid = {2, 4, 2};
    check(other);
  }
  SECTION("x1 and a field") {
    auto other = options;
    other.field_channels = 2;
    check(other);
  }
  SECTION("everything and everything else") {
    auto other = options;
    other.path.channels = 2;
    other.input = all;
    other.classes = 2;
    other.condition_columns = 3;
    other.field_channels = 1;
    check(other);
  }
}

TEST_CASE("a learned prior of images sees x0 and the condition", "[models][unet]") {
  auto velocity = small_unet(Conditioning::adaptive_norm, 2, Fusion::adaptive_norm);
  velocity.classes = 3;
  velocity.field_channels = 1;
  ParameterList list;
  const UnetNetworks networks(
      list, {.velocity = velocity, .posterior_base = 2, .prior = PriorKind::given_source});
  CHECK_FALSE(networks.prior.standard());
  CHECK(networks.prior.input() == EncoderInput::x0);
  CHECK(networks.prior.inputs() == ModelInputs{.latent = 2, .classes = 3, .field_columns = 16});
  CHECK(networks.posterior.inputs() == networks.prior.inputs());
  CHECK(list.entries().back().name == "prior.out.2.bias");
  ParameterList other;
  CHECK(UnetNetworks(other, {.velocity = small_unet(Conditioning::additive, 0, {})})
            .prior.standard());
}

TEST_CASE("a U-Net's new parameters have names of their own", "[models][unet]") {
  auto options = small_unet(Conditioning::adaptive_norm, 2, Fusion::adaptive_norm);
  const auto names = [](const UnetOptions& o) {
    ParameterList list;
    UnetVelocity(list, "", o);
    std::vector<std::string> result;
    for (const auto& slot : list.entries()) result.push_back(slot.name);
    return result;
  };
  const auto before = names(options);
  options.classes = 2;
  options.condition_columns = 3;
  options.second_time = true;
  std::vector<std::string> more;
  for (const auto& name : names(options)) {
    if (std::find(before.begin(), before.end(), name) == before.end()) more.push_back(name);
  }
  CHECK(more == std::vector<std::string>{"span_embed.0.weight", "span_embed.0.bias",
                                         "span_embed.2.weight", "span_embed.2.bias",
                                         "label_emb.weight", "vector_emb.0.weight",
                                         "vector_emb.0.bias", "vector_emb.1.weight",
                                         "vector_emb.1.bias", "vector_emb.null"});
}

TEST_CASE("posteriors of any width tell images apart", "[models][unet]") {
  // Their last norm sees one pixel: a group of one channel would leave nothing of it.
  using Exec = Kokkos::DefaultExecutionSpace;
  const int base = GENERATE(4, 8, 16);
  const UnetOptions velocity = small_unet(Conditioning::adaptive_norm, 2, Fusion::adaptive_norm);
  const Flow<float, Exec, UnetNetworks> flow(Exec(), {velocity, base}, 1);
  Padded<float, Exec> x(2, 16, Numbers(5).take(32), 0), moments(2, 4);
  run_step(Exec(), [&](const auto& ctx, Arena<float>& arena) {
    UnetPosterior::Saved<float> saved{};
    LatentInputs<float> inputs{};
    inputs.x1 = x.matrix();
    flow.networks().posterior.moments(ctx, flow.values().data(), inputs, moments.matrix(), &saved,
                                      arena);
  });
  const auto values = moments.read();
  for (std::size_t j = 0; j < 2; ++j) CHECK(std::fabs(values[j] - values[4 + j]) > 1e-3);
}

namespace {

std::vector<float> golden_weight(const std::string& name, const std::vector<std::size_t>& shape) {
  std::size_t count = 1;
  for (const std::size_t extent : shape) count *= extent;
  const double fan = static_cast<double>(count / shape[0]);
  const double scale = std::exp2(-std::nearbyint(std::log2(fan) / 2));
  std::vector<float> values;
  for (const double number : golden_numbers(name, count)) {
    double value = scale * number;
    if (shape.size() == 1) value = name.ends_with("weight") ? 1 + 0.25 * number : 0.5 * number;
    values.push_back(static_cast<float>(value));
  }
  return values;
}

double product(const std::vector<double>& a, const double* b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("weights of torchcfm's U-Net load and give its velocity", "[models][unet]",
                        Spaces) {
  using Exec = TestType;
  const auto golden = SafetensorsFile::read(
      std::filesystem::path(__FILE__).parent_path().parent_path() / "golden" / "unet.safetensors");
  const bool adaptive = GENERATE(false, true);
  const std::string variant = adaptive ? "adaptive." : "additive.";
  INFO(variant);

  // A file as PyTorch would write it.
  std::vector<std::vector<float>> weights;
  std::vector<Tensor> tensors;
  weights.reserve(golden.tensors().size());
  for (const Tensor& tensor : golden.tensors()) {
    const std::string prefix = variant + "shape.";
    if (!tensor.name.starts_with(prefix)) continue;
    std::vector<std::size_t> shape;
    for (const auto extent : tensor.template values<std::int64_t>()) {
      shape.push_back(static_cast<std::size_t>(extent));
    }
    const std::string name = tensor.name.substr(prefix.size());
    weights.push_back(golden_weight(name, shape));
    tensors.push_back(make_tensor(name, shape, std::span<const float>(weights.back())));
  }
  const auto path =
      std::filesystem::temp_directory_path() / ("vrfm_unet_" + variant + "safetensors");
  write_safetensors(path, tensors, {});

  const Flow<float, Exec, UnetNetworks> flow(
      Exec(),
      {.velocity = {.path = {.grid = {8, 8},
                             .base = 32,
                             .multipliers = {1, 2},
                             .blocks = 1,
                             .attention_extents = {4},
                             .head_channels = 16,
                             .groups = 32,
                             .dropout = 0,
                             .conditioning =
                                 adaptive ? Conditioning::adaptive_norm : Conditioning::additive}}},
      1);
  load_weights(path, flow);
  std::filesystem::remove(path);

  const UnetVelocity& unet = flow.networks().velocity;
  constexpr int rows = 2, dimension = 192;
  Padded<float, Exec> x(rows, dimension, golden_numbers("x", rows * dimension)),
      dv(rows, dimension, golden_numbers("dv", rows * dimension)), t(rows, 1, {0.25, 0.875}),
      v(rows, dimension), dx(rows, dimension), g(1, static_cast<int>(flow.parameters().count()));
  run_step(Exec(), [&](const auto& ctx, Arena<float>& arena) {
    UnetVelocity::Saved<float> saved{};
    const float* p = flow.values().data();
    unet.forward(ctx, p, Query<float>{t.matrix(), x.matrix(), {}}, Matrix<float>(), nullptr,
                 v.matrix(), &saved, arena);
    QueryGradient<float> dquery;
    dquery.x = dx.matrix();
    unet.backward(ctx, p, Gradient<float>{g.data(), false}, dv.matrix(), dquery, Matrix<float>(),
                  saved, arena);
  });

  const auto expect_near = [&](const std::string& name, const std::vector<double>& actual) {
    const auto values =
        golden.template values<float>(variant + name, std::vector<std::size_t>{rows, dimension});
    const std::vector<double> expected(values.begin(), values.end());
    CHECK(difference(actual, expected, 1e-5 * largest(expected)) == "");
  };
  expect_near("v", v.read());
  expect_near("dx", dx.read());
  const auto gradient = g.read();
  const std::vector<std::size_t> one{1};
  for (const auto& slot : flow.parameters().entries()) {
    INFO(slot.name);
    const auto expected = golden.template values<float>(variant + "gradient." + slot.name, one)[0];
    const auto probe = golden_numbers(slot.name + "'", slot.count);
    const double actual = product(probe, gradient.data() + slot.offset);
    double size = 0;
    for (std::size_t k = 0; k < slot.count; ++k) size += std::fabs(gradient[slot.offset + k]);
    // Some are zero but for rounding: biases before a norm of one channel.
    CHECK(std::fabs(actual - expected) <= 1e-5 * size + 64 * epsilon<float> * largest(gradient));
  }
}
