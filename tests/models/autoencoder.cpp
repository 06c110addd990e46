// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The autoencoder of images: the published number of parameters and their names, diffusers' answers
// (tests/golden/make_autoencoder.py), batches, what is refused.
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
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/core/copy.hpp>
#include <vrfm/io/safetensors.hpp>
#include <vrfm/models/autoencoder/autoencoder.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

using Exec = Kokkos::DefaultExecutionSpace;

/// The extents of make_autoencoder.py.
AutoencoderOptions narrow_options() {
  return {.height = 8, .width = 8, .widths = {32, 64}, .blocks = 1};
}

/// The weights of make_autoencoder.py.
std::vector<double> golden_weights(const ParameterList& list) {
  std::vector<double> weights;
  for (const auto& slot : list.entries()) {
    const bool of_norm = contains(slot.name, "norm") && slot.name.ends_with("weight");
    const double fan = static_cast<double>(slot.count / slot.shape[0]);
    const double scale = std::exp2(-std::nearbyint(std::log2(fan) / 2));
    for (const double number : golden_numbers(slot.name, slot.count)) {
      const double flat = of_norm ? 1 + 0.25 * number : 0.5 * number;
      weights.push_back(slot.shape.size() == 1 ? flat : scale * number);
    }
  }
  return weights;
}

}  // namespace

TEST_CASE("the autoencoder has the published parameters", "[models][autoencoder]") {
  ParameterList list;
  const AutoencoderNetworks networks(list, {});
  CHECK(list.count() == 83'653'863);
  CHECK(sorted(names_and_shapes(list)) ==
        golden_lines(golden_file("autoencoder.safetensors"), "published"));
  std::size_t decoder = 0;
  for (const auto& slot : list.entries()) {
    if (slot.name.starts_with("decoder.")) decoder += slot.count;
  }
  CHECK(decoder == 49'490'179);
  CHECK(networks.decoder().pixels() == 256 * 256);
}

TEMPLATE_TEST_CASE("an autoencoder gives diffusers' moments, images and gradients",
                   "[models][autoencoder]", float, double) {
  using T = TestType;
  ParameterList list;
  const AutoencoderNetworks networks(list, narrow_options());
  CHECK(sorted(names_and_shapes(list)) ==
        golden_lines(golden_file("autoencoder.safetensors"), "narrow"));
  constexpr int samples = 2, pixels = 64, coarse = 16;
  const auto numbers = [](const char* name, int rows, int cols) {
    return Padded<T, Exec>(
        rows, cols,
        golden_numbers(name, static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols)));
  };
  const int count = static_cast<int>(list.count());
  Padded<T, Exec> p(1, count, golden_weights(list)),
      x = numbers("x", samples * pixels, 3), z = numbers("z", samples * coarse, 4),
      dmoments = numbers("dmoments", samples * coarse, 8), dy = numbers("dy", samples * pixels, 3),
      moments(samples * coarse, 8), y(samples * pixels, 3), dx(samples * pixels, 3),
      dz(samples * coarse, 4), g(1, count);
  const auto step = [&](const auto& ctx, Arena<T>& arena) {
    ImageChain::Saved<T> down, up;
    const Gradient<T> gradient{g.data(), false};
    networks.encoder().forward(ctx, p.data(), x.matrix(), moments.matrix(), &down, arena);
    networks.encoder().backward(ctx, p.data(), gradient, dmoments.matrix(), dx.matrix(), down,
                                arena);
    networks.decoder().forward(ctx, p.data(), z.matrix(), y.matrix(), &up, arena);
    networks.decoder().backward(ctx, p.data(), gradient, dy.matrix(), dz.matrix(), up, arena);
  };
  auto measure = Arena<T>::measure();
  step(BatchContext<Exec>::dry_run(Exec()), measure);
  const Array<T, Exec> memory("memory", measure.peak());
  Arena<T> arena(memory.data(), memory.extent(0));
  step(BatchContext<Exec>(Exec()), arena);

  // The longest sums have 9 * 64 terms; some forty operations follow each other.
  const double tolerance = 40 * std::sqrt(9.0 * 64) * epsilon<T>;
  const auto golden = golden_file("autoencoder.safetensors");
  const auto near_golden = [&](const char* name, std::size_t cols,
                               const std::vector<double>& actual) {
    INFO(name);
    const auto values = golden.values<double>(name, std::vector<std::size_t>{samples, cols});
    const std::vector<double> expected(values.begin(), values.end());
    CHECK(difference(actual, expected, tolerance * largest(expected)) == "");
  };
  near_golden("moments", 8 * coarse, moments.read());
  near_golden("y", 3 * pixels, y.read());
  near_golden("dx", 3 * pixels, dx.read());
  near_golden("dz", 4 * coarse, dz.read());
  const auto gradient = g.read();
  for (const auto& slot : list.entries()) {
    INFO(slot.name);
    const double* own = gradient.data() + slot.offset;
    const auto probe = golden_numbers(slot.name + "'", slot.count);
    double actual = 0, size = 0;
    for (std::size_t k = 0; k < slot.count; ++k) {
      actual += probe[k] * own[k];
      size += own[k] * own[k];
    }
    const double expected =
        golden.values<double>("gradient." + slot.name, std::vector<std::size_t>{1})[0];
    // Some are zero but for rounding, such as those of biases of keys.
    CHECK(std::fabs(actual - expected) <= tolerance * (std::sqrt(size) + largest(gradient)));
  }
}

TEMPLATE_TEST_CASE("latents have the scaled mean and deviation of diffusers' moments",
                   "[models][autoencoder]", float, double) {
  using T = TestType;
  const Autoencoder<T, Exec> autoencoder(Exec(), narrow_options());
  const auto weights = golden_weights(autoencoder.parameters());
  const auto host = Kokkos::create_mirror_view(autoencoder.values());
  for (std::size_t k = 0; k < weights.size(); ++k) host(k) = static_cast<T>(weights[k]);
  copy_elements(Exec(), autoencoder.values(), host);
  constexpr int samples = 2, pixels = 64, coarse = 16;
  const auto images =
      table<T, Exec>(samples, 3 * pixels, golden_numbers("x", samples * 3 * pixels));
  const auto z = autoencoder.moments(images);
  const auto mean = numbers_of(z.mean), deviation = numbers_of(z.deviation);
  const auto golden = golden_file("autoencoder.safetensors");
  const auto moments = golden.template values<double>(
      "moments", std::vector<std::size_t>{samples, static_cast<std::size_t>(8 * coarse)});
  const double tolerance = 40 * std::sqrt(9.0 * 64) * epsilon<T>;
  for (std::size_t k = 0; k < mean.size(); ++k) {
    const std::size_t pixel = k / 4, c = k % 4;
    const double scaled = 0.18215 * moments[8 * pixel + c],
                 expected = 0.18215 * std::exp(moments[8 * pixel + 4 + c] / 2);
    CHECK(std::fabs(mean[k] - scaled) <= tolerance);
    CHECK(std::fabs(deviation[k] - expected) <= tolerance);
  }
}

TEST_CASE("latents and images do not depend on how many there are at a time",
          "[models][autoencoder]") {
  const Autoencoder<float, Exec> autoencoder(Exec(), narrow_options(), 3);
  CHECK(autoencoder.dimension() == 192);
  CHECK(autoencoder.latents() == 64);
  const auto images = table<float, Exec>(5, 192, Numbers(1).take(5 * 192));
  const auto z = autoencoder.encode(images, 5);
  const auto alike = [](const auto& a, const auto& b) { return numbers_of(a) == numbers_of(b); };
  CHECK(alike(autoencoder.encode(images), z));
  CHECK(alike(autoencoder.encode(images, 2), z));
  CHECK(alike(autoencoder.decode(z, 2), autoencoder.decode(z, 5)));

  // The scale is that of the latents: those of twice the scale are twice as large, for the same images.
  AutoencoderOptions doubled = narrow_options();
  doubled.scale *= 2;
  const Autoencoder<float, Exec> other(Exec(), doubled, 3);
  const auto larger = other.encode(images);
  auto expected = numbers_of(z);
  for (double& number : expected) number *= 2;
  CHECK(numbers_of(larger) == expected);
  CHECK(alike(other.decode(larger), autoencoder.decode(z)));
  CHECK(numbers_of(autoencoder.decode(table<float, Exec>(0, 64, {}))).empty());
}

TEST_CASE("impossible autoencoders, images and latents are refused", "[models][autoencoder]") {
  const auto refused = [](const AutoencoderOptions& options) {
    return thrown<std::invalid_argument>([&] {
      ParameterList list;
      const AutoencoderNetworks networks(list, options);
    });
  };
  CHECK(refused({.height = 100}) ==
        "vrfm: an autoencoder of 4 levels needs images whose extents 8 divides, got 100 x 256");
  CHECK(refused({.widths = {128, 100}}) ==
        "vrfm: an autoencoder needs widths that its 32 groups divide, got 100");
  const Autoencoder<float, Exec> autoencoder(Exec(), narrow_options());
  CHECK(contains(thrown<std::invalid_argument>(
                     [&] { autoencoder.decode(table<float, Exec>(1, 32, Numbers(1).take(32))); }),
                 "the latents has 32 columns but the autoencoder has 64 columns"));
}
