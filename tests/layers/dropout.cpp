// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Dropout: its mask against a mask made from the raw words, its frequencies, that it depends on the
// address alone and not on the split of the batch, and its gradient. Statistical limits are five
// standard deviations; the seeds are fixed, so a result never varies.
#include <cmath>
#include <limits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/layers/dropout.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/tile_context.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace vrfm::test {

template <class T>
struct DropoutStep {
  Dropout dropout;
  DrawAddress address;
  Matrix<const T> x;
  Matrix<T> y;
  bool backward = false;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    if (backward) {
      dropout.backward(ctx, address, x, y);
    } else {
      dropout.forward(ctx, address, x, y);
    }
  }
};

}  // namespace vrfm::test

namespace {

constexpr DrawAddress address{.seed = 5, .step = 3, .first_sample = 1000};

/// What forward makes of `x` (rows x channels).
template <class Exec, class T>
std::vector<double> dropped(const Dropout& dropout, int channels, const std::vector<double>& x,
                            const DrawAddress& at = address) {
  const int rows = static_cast<int>(x.size()) / channels;
  Padded<T, Exec> in(rows, channels, x), out(rows, channels);
  DropoutStep<T>{dropout, at, in.matrix(), out.matrix()}(BatchContext<Exec>(Exec()), 0);
  return out.read();
}

std::vector<double> ones(int rows, int channels) {
  return std::vector<double>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(channels),
                             1.0);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a mask is made of the words at its address", "[layers][dropout]", Spaces) {
  // 19 channels: three blocks a pixel, the last columns fill none.
  const int samples = 3, pixels = 5, channels = 19, number = 7;
  const Dropout dropout(0.25, pixels, channels, number);
  std::vector<double> expected;
  const RandomStream stream(address.seed, Purpose::dropout);
  for (int i = 0; i < samples * pixels; ++i) {
    const std::uint64_t sample = address.first_sample + static_cast<std::uint64_t>(i / pixels);
    for (int j = 0; j < channels; ++j) {
      const int block = i % pixels * 3 + j % 3, lane = j / 3;
      const auto words =
          stream.words(sample, address.step, (std::uint32_t(number) << 22) + std::uint32_t(block));
      const std::uint32_t bits = words.word[lane / 2] >> (lane % 2 == 0 ? 0 : 16);
      expected.push_back((bits & 0xFFFF) < 16384 ? 0.0 : 4.0 / 3.0);
    }
  }
  CHECK(dropped<TestType, double>(dropout, channels, ones(samples * pixels, channels)) == expected);
}

TEMPLATE_LIST_TEST_CASE("dropout drops as often as it says", "[layers][dropout]", Spaces) {
  const int samples = 64, pixels = 16, channels = 40;
  for (const double p : {0.1, 0.5, 0.9}) {
    const Dropout dropout(p, pixels, channels, 0);
    CHECK(std::fabs(dropout.probability() - p) <= 1 / 131072.0);
    const auto mask = dropped<TestType, float>(dropout, channels, ones(samples * pixels, channels));
    const double q = dropout.probability();
    // Of each of the eight numbers of a block, and of pairs of neighbours.
    const double rows = samples * pixels;
    for (std::size_t lane = 0; lane < 8; ++lane) {
      double zeros = 0, pairs = 0;
      for (std::size_t i = 0; i < mask.size(); i += channels) {
        for (std::size_t j = 5 * lane; j < 5 * lane + 5; ++j) {
          const bool zero = mask[i + j] == 0, next = mask[i + (j + 1) % channels] == 0;
          zeros += zero ? 1 : 0;
          pairs += zero && next ? 1 : 0;
        }
      }
      INFO("p = " << p << ", number " << lane);
      const double count = 5 * rows;
      CHECK(std::fabs(zeros - count * q) <= 5 * std::sqrt(count * q * (1 - q)));
      // Neighbouring pairs share an element: the variance is at most three times that of as many
      // independent ones.
      CHECK(std::fabs(pairs - count * q * q) <= 5 * std::sqrt(3 * count * q * q * (1 - q * q)));
    }
    double largest = 0;
    for (const double y : mask) largest = std::max(largest, y);
    CHECK(largest == static_cast<double>(static_cast<float>(1 / (1 - q))));
  }
}

TEMPLATE_LIST_TEST_CASE("a mask depends on the address alone", "[layers][dropout]",
                        SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  const int samples = 6, pixels = 4, channels = 24;
  const Dropout dropout(0.3, pixels, channels, 2);
  Numbers numbers(11);
  const auto x = numbers.take(samples * pixels * channels);
  const auto whole = dropped<Exec, T>(dropout, channels, x);

  SECTION("a batch in two parts") {
    const std::ptrdiff_t cut = 2 * pixels * channels;
    auto parts = dropped<Exec, T>(dropout, channels, {x.begin(), x.begin() + cut});
    DrawAddress second = address;
    second.first_sample += 2;
    const auto rest = dropped<Exec, T>(dropout, channels, {x.begin() + cut, x.end()}, second);
    parts.insert(parts.end(), rest.begin(), rest.end());
    CHECK(parts == whole);
  }
  SECTION("inside a kernel, in place, and backward") {
    Padded<T, Exec> y(samples * pixels, channels, x);
    launch_tiles(Exec(), "vrfm::test::dropout", 1,
                 DropoutStep<T>{dropout, address, y.matrix(), y.matrix()});
    CHECK(y.read() == whole);
    y.write(x);
    // The derivative of a linear function is the function.
    DropoutStep<T>{dropout, address, y.matrix(), y.matrix(), true}(BatchContext<Exec>(Exec()), 0);
    CHECK(y.read() == whole);
  }
  SECTION("another seed, step, sample or layer has another mask") {
    CHECK(dropped<Exec, T>(dropout, channels, x, {6, 3, 1000}) != whole);
    CHECK(dropped<Exec, T>(dropout, channels, x, {5, 4, 1000}) != whole);
    CHECK(dropped<Exec, T>(dropout, channels, x, {5, 3, 1001}) != whole);
    CHECK(dropped<Exec, T>(Dropout(0.3, pixels, channels, 3), channels, x) != whole);
  }
  SECTION("probability 0 is the identity") {
    std::vector<double> same;
    for (const double value : x) same.push_back(static_cast<double>(static_cast<T>(value)));
    CHECK(dropped<Exec, T>(Dropout(0, pixels, channels, 2), channels, x) == same);
  }
}

TEST_CASE("dropout says what is wrong with its arguments", "[layers][dropout]") {
  const auto message = [](double p, int pixels, int channels, int number) {
    return thrown<std::invalid_argument>([&] { Dropout(p, pixels, channels, number); });
  };
  CHECK(message(1, 4, 4, 0) == "vrfm: dropout needs a probability in [0, 1), got 1");
  CHECK(contains(message(-0.1, 4, 4, 0), "got -0.1"));
  CHECK(contains(message(std::numeric_limits<double>::quiet_NaN(), 4, 4, 0), "[0, 1)"));
  CHECK(message(0.1, 0, 4, 0) ==
        "vrfm: dropout needs at least one pixel and one channel, got 0 and 4");
  CHECK(message(0.1, 4, 4, 1024) == "vrfm: dropout layers are numbered from 0 to 1023, got 1024");
  CHECK(message(0.1, 1 << 20, 40, 0) ==
        "vrfm: dropout draws at most 33554432 numbers a sample, got 1048576 pixels of 40 channels");
  // Where nothing is dropped, nothing is drawn.
  CHECK(Dropout(0, 1024 * 1024, 128, 0).probability() == 0);
}
