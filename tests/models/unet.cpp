// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The U-Net and its posterior: parameter counts of the published models, torchcfm's answers
// (tests/golden/make_unet.py), and the layers' conformance test on small ones.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <zlib.h>

#include <tests/models/image_networks.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/conformance.hpp>
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
  const Unet unet(list, "",
                  {.path = {.conditioning = conditioning}, .latent = latent, .fusion = fusion});
  return list.count();
}

/// A U-Net of two levels with attention on the lower one, small enough for finite differences.
UnetOptions small_unet(Conditioning conditioning, int latent, Fusion fusion) {
  return {.path = {.height = 4,
                   .width = 4,
                   .channels = 1,
                   .base = 2,
                   .multipliers = {1, conditioning == Conditioning::additive ? 2 : 1},
                   .blocks = 1,
                   .attention_heights = {2},
                   .head_channels = 1,
                   .group_channels = 1,
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
  step(MeasureContext{tile_concurrency(exec)}, measure);
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
  const auto check = [](Conditioning conditioning, int latent, Fusion fusion) {
    ParameterList list;
    const Unet unet(list, "", small_unet(conditioning, latent, fusion));
    conform<Kokkos::DefaultExecutionSpace>(ImageVelocityLayer<Unet>{&unet}, list.count(),
                                           Columns{1, unet.dimension() + latent}, Columns{}, 1024);
  };
  SECTION("time added") { check(Conditioning::additive, 0, Fusion::adaptive_norm); }
  SECTION("z with time") { check(Conditioning::adaptive_norm, 3, Fusion::adaptive_norm); }
  SECTION("z in the bottleneck") { check(Conditioning::adaptive_norm, 3, Fusion::bottleneck_sum); }
}

TEST_CASE("U-Nets have room for 64 stages a path", "[models][unet]") {
  const auto error_of = [](int blocks) {
    ParameterList list;
    auto options = small_unet(Conditioning::additive, 0, Fusion::adaptive_norm);
    options.path.blocks = blocks;
    return thrown<std::invalid_argument>([&] { Unet(list, "", options); });
  };
  CHECK(error_of(31) == "(nothing thrown)");
  CHECK(contains(error_of(32), "at most 64 stages (blocks and convolutions), got more"));
}

TEST_CASE("posteriors of images conform", "[models][unet]") {
  const auto check = [](EncoderInput input) {
    ParameterList list;
    DownPathOptions path = small_unet(Conditioning::none, 0, Fusion::adaptive_norm).path;
    const UnetPosterior posterior(list, "posterior", {.path = path, .latent = 2, .input = input});
    conform<Kokkos::DefaultExecutionSpace>(ImagePosteriorLayer<UnetPosterior>{&posterior, 16},
                                           list.count(), Columns{}, Columns{}, 1024);
  };
  SECTION("x1") { check(EncoderInput::x1); }
  SECTION("everything") {
    check(EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t | EncoderInput::t);
  }
}

TEST_CASE("posteriors of any width tell images apart", "[models][unet]") {
  // Their last norm sees one pixel: a group of one channel would leave nothing of it.
  using Exec = Kokkos::DefaultExecutionSpace;
  const int base = GENERATE(4, 8, 16);
  UnetOptions velocity = small_unet(Conditioning::adaptive_norm, 2, Fusion::adaptive_norm);
  velocity.path.group_channels = DownPathOptions().group_channels;
  const Flow<float, Exec, UnetNetworks> flow(Exec(), {velocity, base}, 1);
  Padded<float, Exec> x(2, 16, Numbers(5).take(32), 0), moments(2, 4);
  run_step(Exec(), [&](const auto& ctx, Arena<float>& arena) {
    UnetPosterior::Saved<float> saved;
    Pairs<float> pairs;
    pairs.x1 = x.matrix();
    flow.networks().posterior.forward(ctx, flow.values().data(), pairs, moments.matrix(), saved,
                                      arena);
  });
  const auto values = moments.read();
  for (int j = 0; j < 2; ++j) CHECK(std::fabs(values[j] - values[4 + j]) > 1e-3);
}

namespace {

/// The numbers of make_unet.py.
std::vector<double> golden_numbers(const std::string& name, std::size_t count) {
  const auto start = static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(name.data()), static_cast<uInt>(name.size())));
  std::vector<double> values(count);
  for (std::size_t k = 0; k < count; ++k) {
    const auto word = static_cast<std::uint32_t>(k * 2654435761u) + start;
    values[k] = static_cast<double>(word >> 8) / 8388608.0 - 1;
  }
  return values;
}

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
      {.velocity = {.path = {.height = 8,
                             .width = 8,
                             .base = 32,
                             .multipliers = {1, 2},
                             .blocks = 1,
                             .attention_heights = {4},
                             .head_channels = 16,
                             .group_channels = 1,
                             .dropout = 0,
                             .conditioning =
                                 adaptive ? Conditioning::adaptive_norm : Conditioning::additive}}},
      1);
  load_weights(path, flow);
  std::filesystem::remove(path);

  const Unet& unet = flow.networks().velocity;
  constexpr int rows = 2, dimension = 192;
  Padded<float, Exec> x(rows, dimension, golden_numbers("x", rows * dimension)),
      dv(rows, dimension, golden_numbers("dv", rows * dimension)), t(rows, 1, {0.25, 0.875}),
      v(rows, dimension), dx(rows, dimension), g(1, static_cast<int>(flow.parameters().count()));
  run_step(Exec(), [&](const auto& ctx, Arena<float>& arena) {
    Unet::Saved<float> saved;
    const float* p = flow.values().data();
    unet.forward(ctx, p, DrawAddress{}, t.matrix(), x.matrix(), Matrix<float>(), v.matrix(), saved,
                 arena);
    unet.backward(ctx, p, Gradient<float>{g.data(), false}, dv.matrix(), dx.matrix(),
                  Matrix<float>(), saved, arena);
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
  for (const auto& slot : flow.parameters().slots()) {
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
