// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The Inception network: pytorch-fid's names, features and logits (tests/golden/make_inception.py) of images of
// different sizes; bytes and numbers, one channel and three, batches, what is refused; its pools alone.
#include <cmath>
#include <cstdint>
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
#include <vrfm/models/inception/inception.hpp>
#include <vrfm/training/weights.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
using Network = Inception<float, Exec>;
using Scores = InceptionOptions::Scores;

/// `bits` of make_inception.py.
struct Bits {
  std::uint64_t start;
  explicit Bits(const std::string& name)
      : start(std::uint64_t{crc32(0, reinterpret_cast<const Bytef*>(name.data()),
                                  static_cast<uInt>(name.size()))}
              << 32) {}
  std::uint64_t operator()(std::size_t k) const {
    std::uint64_t z = (k + start) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 32)) * 0xD6E8FEB86659FD93u;
    return z >> 40;
  }
};

/// The weights of make_inception.py.
void fill(const Network& network) {
  const auto host = Kokkos::create_mirror_view(network.values());
  for (const auto& slot : network.parameters().entries()) {
    const Bits bits(slot.name);
    const auto number = [&](std::size_t k) { return static_cast<double>(bits(k)) / 8388608 - 1; };
    if (slot.shape.size() == 1) {
      const bool around_one =
          slot.name.ends_with("running_var") || slot.name.ends_with("bn.weight");
      for (std::size_t k = 0; k < slot.count; ++k) {
        host(slot.offset + k) = static_cast<float>(0.25 * number(k) + around_one);
      }
      continue;
    }
    const std::size_t fan = slot.count / slot.shape[0];
    const double scale = std::sqrt(9 / static_cast<double>(fan));
    for (std::size_t first = 0; first < slot.count; first += fan) {
      double mean = 0;
      for (std::size_t k = first; k < first + fan; ++k) mean += number(k);
      mean /= static_cast<double>(fan);
      for (std::size_t k = first; k < first + fan; ++k) {
        host(slot.offset + k) = static_cast<float>((number(k) - mean) * scale);
      }
    }
  }
  copy_elements(Exec(), network.values(), host);
}

/// The bytes of its image.
std::vector<double> golden_image(const std::string& name, int height, int width) {
  const Bits bits(name);
  std::vector<double> bytes(static_cast<std::size_t>(3 * height * width));
  for (std::size_t k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<double>(bits(k) >> 16);
  return bytes;
}

/// The largest difference, in parts of the largest number.
double relative_error(const std::vector<double>& actual, const std::string& name,
                      std::size_t columns) {
  const auto golden = golden_file("inception.safetensors");
  const auto values = golden.values<float>(name, std::vector<std::size_t>{1, columns});
  REQUIRE(actual.size() == values.size());
  double most = 0, size = 0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    most = std::max(most, std::fabs(actual[k] - double{values[k]}));
    size = std::max(size, std::fabs(double{values[k]}));
  }
  return most / size;
}

/// Parameters as load_weights takes them.
struct OneLayer {
  using value_type = float;
  ParameterList list;
  ConvNorm layer{list, "layer", {.height = 2, .width = 2}, 1, 2, 1e-3};
  Array<float, Exec> numbers{"numbers", list.count()};

  Exec exec() const { return Exec(); }
  const ParameterList& parameters() const { return list; }
  const Array<float, Exec>& values() const { return numbers; }
};

}  // namespace

TEST_CASE("Inception has pytorch-fid's names, features and logits", "[models][inception]") {
  const Network network{Exec()};
  CHECK(sorted(names_and_shapes(network.parameters())) ==
        golden_lines(golden_file("inception.safetensors"), "shapes"));
  fill(network);
  // Larger than 299 x 299 pixels in both directions, then bytes that are stretched, then numbers that are.
  const auto wide = network(
      table<std::uint8_t, Exec>(1, 3 * 301 * 400, golden_image("wide", 301, 400)), 301, 400);
  CHECK(relative_error(numbers_of(wide.features), "features.wide", 2048) < 5e-5);
  CHECK(wide.scores.extent(1) == 0);

  // The second image is of one channel.
  auto bytes = golden_image("small", 32, 32), grey = bytes, spread = bytes;
  grey.resize(32 * 32);
  for (std::size_t k = 0; k < spread.size(); ++k) spread[k] = grey[k / 3];
  const auto small =
      network(table<std::uint8_t, Exec>(1, 3 * 1024, bytes), 32, 32, {.scores = Scores::logits});
  const auto features = numbers_of(small.features), logits = numbers_of(small.scores);
  CHECK(relative_error(features, "features.small", 2048) < 5e-5);
  CHECK(relative_error(logits, "logits.small", 1008) < 5e-5);
  const auto alone = network(table<std::uint8_t, Exec>(1, 1024, grey), 32, 32);
  bytes.insert(bytes.end(), spread.begin(), spread.end());
  const auto both = network(table<std::uint8_t, Exec>(2, 3 * 1024, bytes), 32, 32,
                            {.scores = Scores::probabilities, .batch = 2});
  const auto all = numbers_of(both.features), probabilities = numbers_of(both.scores);
  CHECK(std::vector<double>(all.begin(), all.begin() + 2048) == features);
  CHECK(std::vector<double>(all.begin() + 2048, all.end()) == numbers_of(alone.features));
  double sum = 0;
  for (std::size_t k = 0; k < 1008; ++k) sum += probabilities[k];
  CHECK(std::fabs(sum - 1) < 1e-5);
  const double odds = std::log(probabilities[0] / probabilities[1]);
  CHECK(std::fabs(odds - (logits[0] - logits[1])) < 1e-4);

  auto numbers = golden_image("high", 150, 50);
  for (double& number : numbers) number /= 255;
  const auto high = network(table<float, Exec>(1, 3 * 150 * 50, numbers), 150, 50,
                            {.scores = Scores::logits_without_bias});
  CHECK(relative_error(numbers_of(high.features), "features.high", 2048) < 5e-5);
  auto biased = numbers_of(high.scores);
  const auto& bias = network.parameters().entries().back();
  REQUIRE(bias.name == "fc.bias");
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), network.values());
  for (std::size_t k = 0; k < 1008; ++k) biased[k] += double{host(bias.offset + k)};
  CHECK(relative_error(biased, "logits.high", 1008) < 5e-5);

  const auto none = network(table<float, Exec>(0, 12, {}), 2, 2, {.scores = Scores::logits});
  CHECK(none.features.extent(1) == 2048);
  CHECK(none.scores.extent(0) == 0);
  CHECK(thrown<std::invalid_argument>(
            [&] { network(table<float, Exec>(1, 8, std::vector<double>(8)), 2, 2); }) ==
        "vrfm: Inception: images of 2 x 2 pixels and 1 or 3 channels have 4 or 12 columns, got 8");
  CHECK(thrown<std::invalid_argument>([&] {
          network(table<float, Exec>(1, 4, std::vector<double>(4)), 2, 2, {.batch = 0});
        }) == "vrfm: Inception: images at a time must be >= 1, got 0");
}

TEMPLATE_TEST_CASE("pools do not count what lies outside", "[models][inception]", float, double) {
  using T = TestType;
  constexpr int samples = 2, height = 5, width = 4, channels = 3;
  const auto x = Numbers(5).take(samples * height * width * channels);
  Padded<T, Exec> images(samples * height * width, channels, x);
  for (const Window& window : {Window{height, width, 3, 1, 1}, Window{height, width, 3, 2, 0},
                               Window{height, width, {5, 4}, 1, 0}}) {
    for (const bool maximum : {false, true}) {
      INFO(window.out_height() << " x " << window.out_width() << ", maximum " << maximum);
      const int pixels = window.out_pixels();
      Padded<T, Exec> y(samples * pixels, channels);
      auto measured = Arena<T>::measure();
      const WindowPool pool(window, maximum);
      pool.forward(BatchContext<Exec>::dry_run(Exec()), images.matrix(), y.matrix(), measured);
      const Array<T, Exec> memory("memory", measured.peak());
      Arena<T> arena(memory.data(), memory.extent(0));
      pool.forward(BatchContext<Exec>(Exec()), images.matrix(), y.matrix(), arena);
      std::vector<double> expected;
      for (int k = 0; k < samples * pixels * channels; ++k) {
        const int c = k % channels, pixel = k / channels % pixels, sample = k / channels / pixels;
        double sum = 0, most = -10, count = 0;
        for (int tap = 0; tap < window.taps(); ++tap) {
          const int line = pixel / window.out_width() * window.stride - window.padding.y +
                           tap / window.kernel.x,
                    column = pixel % window.out_width() * window.stride - window.padding.x +
                             tap % window.kernel.x;
          if (line < 0 || line >= height || column < 0 || column >= width) continue;
          const double value = x[static_cast<std::size_t>(
              ((sample * height + line) * width + column) * channels + c)];
          sum += value;
          most = std::max(most, value);
          ++count;
        }
        expected.push_back(maximum ? most : sum / count);
      }
      CHECK(difference(y.read(), expected, 20 * epsilon<T>) == "");
    }
  }
}

TEST_CASE("the counters of batches in PyTorch's files are passed over", "[models][inception]") {
  const OneLayer one;
  std::vector<float> weight{1, 2}, flat{3, 4};
  const std::vector<std::int64_t> counter{7};
  std::vector<Tensor> tensors{make_tensor("layer.conv.weight", {2, 1, 1, 1}, weight)};
  for (const char* name : {"weight", "bias", "running_mean", "running_var"}) {
    tensors.push_back(make_tensor(std::string("layer.bn.") + name, {2}, flat));
  }
  tensors.push_back(make_tensor("layer.bn.num_batches_tracked", {}, counter));
  write_safetensors("inception_one.safetensors", tensors, {});
  load_weights("inception_one.safetensors", one);
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), one.numbers);
  CHECK(host(1) == 2);
  CHECK(host(9) == 4);
  tensors.back() = make_tensor("layer.bn.batches", {}, counter);
  write_safetensors("inception_one.safetensors", tensors, {});
  CHECK(
      contains(thrown<std::runtime_error>([&] { load_weights("inception_one.safetensors", one); }),
               "tensor 'layer.bn.batches': the model has no such parameter"));
}
