// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Random numbers: Philox4x32-10 against the published vectors and the Random123 library, the
// distributions by moments and by the Kolmogorov-Smirnov distance, and that a draw depends on its
// address only. Statistical limits are five standard deviations of the statistic; the seeds are
// fixed, so a result never varies.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#if __has_include(<Random123/philox.h>)
#include <Random123/philox.h>
#endif

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/core/random.hpp>

using vrfm::PhiloxBlock;
using vrfm::Purpose;
using vrfm::RandomStream;

namespace vrfm::test {

/// The draws of `count` samples at one address each, through a kernel.
template <class T>
struct DrawEach {
  RandomStream stream;
  T* uniforms;
  T* normals;
  std::uint32_t* words;

  KOKKOS_FUNCTION void operator()(int i) const {
    const auto sample = static_cast<std::uint64_t>(i);
    uniforms[i] = stream.uniform<T>(sample, 3, 5);
    stream.normal(sample, 3, 6, 2, normals + 2 * i);
    const auto block = stream.words(sample, 3, 1);
    for (int k = 0; k < 4; ++k) words[4 * i + k] = block.word[k];
  }
};

namespace {

std::array<std::uint32_t, 4> philox(PhiloxBlock counter, std::uint32_t key0, std::uint32_t key1) {
  const auto block = philox4x32_10(counter, key0, key1);
  return {block.word[0], block.word[1], block.word[2], block.word[3]};
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

/// sqrt(n) times the largest distance between the samples' distribution and `cdf`.
template <class Cdf>
double kolmogorov_smirnov(std::vector<double> values, const Cdf& cdf) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double distance = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double f = cdf(values[i]);
    const auto k = static_cast<double>(i);
    distance = std::max({distance, f - k / n, (k + 1) / n - f});
  }
  return std::sqrt(n) * distance;
}

/// P(K > 2.5) of the limiting distribution is 2 exp(-2 2.5^2) = 7e-6.
constexpr double ks_limit = 2.5;

/// sqrt(n) times the mean product of two sequences scaled to unit variance: N(0, 1) if independent.
double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum / std::sqrt(static_cast<double>(a.size()));
}

}  // namespace
}  // namespace vrfm::test

using namespace vrfm::test;

TEST_CASE("Philox4x32-10 gives the published vectors", "[core][random]") {
  using Words = std::array<std::uint32_t, 4>;
  // kat_vectors of Random123: counter, key, result.
  CHECK(philox({{0, 0, 0, 0}}, 0, 0) == Words{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
  CHECK(philox({{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u) ==
        Words{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
  CHECK(philox({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u) ==
        Words{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}

#if __has_include(<Random123/philox.h>)
TEST_CASE("Philox4x32-10 agrees with Random123", "[core][random]") {
  // The counters and keys come from the oracle itself, so all bits vary.
  r123::Philox4x32 oracle;
  r123::Philox4x32::ctr_type counter = {{1, 2, 3, 4}};
  r123::Philox4x32::key_type key = {{5, 6}};
  int differences = 0;
  for (int i = 0; i < 100000; ++i) {
    const auto expected = oracle(counter, key);
    const auto actual = philox({{counter[0], counter[1], counter[2], counter[3]}}, key[0], key[1]);
    for (std::size_t k = 0; k < 4; ++k) differences += actual[k] != expected[k] ? 1 : 0;
    key[0] = counter[2];
    key[1] = counter[0];
    counter = expected;
  }
  CHECK(differences == 0);
}
#endif

TEST_CASE("words come from key (seed, purpose) and counter (sample, step, block)",
          "[core][random]") {
  const RandomStream stream(0xa4093822u, static_cast<Purpose>(0x299f31d0u));
  const auto block = stream.words(0x85a308d3243f6a88u, 0x13198a2eu, 0x03707344u);
  CHECK(block.word[0] == 0xd16cfe09u);
  CHECK(block.word[3] == 0x24126ea1u);
}

TEMPLATE_TEST_CASE("uniform numbers use their words' upper bits and stay inside (0, 1)",
                   "[core][random]", float, double) {
  using T = TestType;
  const RandomStream stream(7, Purpose::time);
  constexpr std::uint32_t lanes = sizeof(T) == 4 ? 4 : 2;
  constexpr int bits = sizeof(T) == 4 ? 23 : 52;
  for (std::uint32_t element = 0; element < 64; ++element) {
    const auto block = stream.words(11, 13, element / lanes + (lanes == 4 ? 0u : 0x8000'0000u));
    const std::uint32_t lane = element % lanes;
    std::uint64_t word = 0;
    if constexpr (lanes == 4) {
      word = std::uint64_t(block.word[lane]) << 32;
    } else {
      word = std::uint64_t(block.word[2 * lane]) << 32 | block.word[2 * lane + 1];
    }
    const long double expected =
        (static_cast<long double>(word >> (64 - bits)) + 0.5L) / std::ldexp(1.0L, bits);
    CHECK(static_cast<long double>(stream.uniform<T>(11, 13, element)) == expected);
  }
  // Half a step from either end is representable and inside.
  CHECK(T(0.5) / T(std::ldexp(1.0, bits)) > T(0));
  CHECK((T(std::ldexp(1.0, bits) - 1) + T(0.5)) * T(std::ldexp(1.0, -bits)) < T(1));
}

TEMPLATE_TEST_CASE("uniform numbers are uniform and independent", "[core][random]", float, double) {
  const RandomStream stream(2024, Purpose::user);
  constexpr int n = 200000;
  std::vector<double> values, centred, next_sample, next_step, next_element;
  const double scale = std::sqrt(12.0);
  for (int i = 0; i < n; ++i) {
    const auto sample = static_cast<std::uint64_t>(i);
    const auto draw = [&](std::uint64_t s, std::uint32_t step, std::uint32_t element) {
      return static_cast<double>(stream.uniform<TestType>(s, step, element));
    };
    values.push_back(draw(sample, 0, 0));
    centred.push_back((values.back() - 0.5) * scale);
    next_sample.push_back((draw(sample + 1, 0, 0) - 0.5) * scale);
    next_step.push_back((draw(sample, 1, 0) - 0.5) * scale);
    next_element.push_back((draw(sample, 0, 1) - 0.5) * scale);
  }
  double sum = 0, square = 0, low = 1, high = 0;
  for (int i = 0; i < n; ++i) {
    const auto k = static_cast<std::size_t>(i);
    sum += centred[k];
    square += centred[k] * centred[k] - 1;
    low = std::min(low, values[k]);
    high = std::max(high, values[k]);
  }
  CHECK(low > 0);
  CHECK(high < 1);
  CHECK(std::fabs(sum) < 5 * std::sqrt(n));
  CHECK(std::fabs(square) < 5 * std::sqrt(0.8 * n));  // kurtosis 9/5
  CHECK(kolmogorov_smirnov(values, [](double x) { return x; }) < ks_limit);
  CHECK(std::fabs(correlation(centred, next_sample)) < 5);
  CHECK(std::fabs(correlation(centred, next_step)) < 5);
  CHECK(std::fabs(correlation(centred, next_element)) < 5);
}

TEMPLATE_TEST_CASE("normal numbers have the normal's moments and distribution", "[core][random]",
                   float, double) {
  const RandomStream stream(2025, Purpose::posterior);
  constexpr int n = 200000;
  std::vector<double> values, first, second, product_first, product_second;
  for (int i = 0; i < n / 2; ++i) {
    TestType pair[2];
    stream.normal(static_cast<std::uint64_t>(i), 9, 4, 2, pair);
    first.push_back(static_cast<double>(pair[0]));
    second.push_back(static_cast<double>(pair[1]));
    values.insert(values.end(), {first.back(), second.back()});
    // Squares: a wrong radius makes the pair dependent though uncorrelated.
    product_first.push_back((first.back() * first.back() - 1) / std::sqrt(2.0));
    product_second.push_back((second.back() * second.back() - 1) / std::sqrt(2.0));
  }
  double moment[5] = {};
  for (const double x : values) {
    double power = x;
    for (int k = 1; k <= 4; ++k, power *= x) moment[k] += power / n;
  }
  // Var x^k: 1, 2, 15, 96.
  CHECK(std::fabs(moment[1]) < 5 * std::sqrt(1.0 / n));
  CHECK(std::fabs(moment[2] - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::fabs(moment[3]) < 5 * std::sqrt(15.0 / n));
  CHECK(std::fabs(moment[4] - 3) < 5 * std::sqrt(96.0 / n));
  CHECK(kolmogorov_smirnov(values, normal_cdf) < ks_limit);
  CHECK(std::fabs(correlation(first, second)) < 5);
  CHECK(std::fabs(correlation(product_first, product_second)) < 5);
  // A tail needs small uniforms: the expected number beyond 4 is 12.7.
  const auto beyond =
      std::count_if(values.begin(), values.end(), [](double x) { return std::fabs(x) > 4; });
  CHECK((beyond > 0 && beyond < 40));
}

TEMPLATE_TEST_CASE("a normal number depends on its element only, not on the range drawn",
                   "[core][random]", float, double) {
  using T = TestType;
  const RandomStream stream(1, Purpose::source);
  T all[12];
  stream.normal(5, 6, 0, 12, all);
  for (int first = 0; first < 12; first += 2) {
    for (int count = 1; first + count <= 12; ++count) {
      T part[13];
      for (T& value : part) value = T(-99);
      stream.normal(5, 6, static_cast<std::uint32_t>(first), count, part);
      int wrong = 0;
      for (int k = 0; k < count; ++k) wrong += part[k] != all[first + k] ? 1 : 0;
      CHECK(wrong == 0);
      CHECK(part[count] == T(-99));
    }
  }
}

TEST_CASE("every part of an address changes the draw", "[core][random]") {
  const auto draw = [](std::uint32_t seed, Purpose purpose, std::uint64_t sample,
                       std::uint32_t step, std::uint32_t element) {
    return RandomStream(seed, purpose).uniform<double>(sample, step, element);
  };
  std::vector<double> values = {draw(1, Purpose::source, 2, 3, 4),
                                draw(2, Purpose::source, 2, 3, 4),
                                draw(1, Purpose::target, 2, 3, 4),
                                draw(1, Purpose::source, 3, 3, 4),
                                draw(1, Purpose::source, 2 + (std::uint64_t(1) << 32), 3, 4),
                                draw(1, Purpose::source, 2, 4, 4),
                                draw(1, Purpose::source, 2, 3, 5)};
  std::sort(values.begin(), values.end());
  CHECK(std::adjacent_find(values.begin(), values.end()) == values.end());
}

TEST_CASE("every purpose of every use has numbers of its own", "[core][random]") {
  using vrfm::Use;
  constexpr Purpose library[] = {Purpose::initialise,  Purpose::source,    Purpose::target,
                                 Purpose::time,        Purpose::posterior, Purpose::prior,
                                 Purpose::diffusion,   Purpose::probe,     Purpose::projection,
                                 Purpose::dropout,     Purpose::condition, Purpose::second_time,
                                 Purpose::equal_times, Purpose::subset,    Purpose::coupling};
  const auto user = [](std::uint32_t k) {
    return static_cast<Purpose>(static_cast<std::uint32_t>(Purpose::user) + k);
  };
  std::set<std::uint32_t> keys;
  std::size_t count = 0;
  for (const Use use : {Use::training, Use::held_out, Use::sampling, Use::likelihood}) {
    const auto add = [&](Purpose purpose) {
      keys.insert(static_cast<std::uint32_t>(vrfm::purpose_of(use, purpose)));
      ++count;
    };
    for (const Purpose purpose : library) add(purpose);
    for (const std::uint32_t k : {0u, 1u, 255u, 256u, 257u, 512u, 65535u, 65536u}) add(user(k));
  }
  CHECK(keys.size() == count);
  // A stream of a training is the one that the purpose names.
  CHECK(vrfm::purpose_of(Use::training, Purpose::time) == Purpose::time);
}

TEST_CASE("elements of different types share no word", "[core][random]") {
  // An index is its word's upper bits: shared words would agree in all draws, others in half of them.
  const RandomStream stream(3, Purpose::target);
  constexpr int n = 2000;
  for (std::uint32_t wide = 0; wide < 8; ++wide) {
    for (std::uint32_t narrow = 0; narrow < 16; ++narrow) {
      int same = 0;
      for (std::uint64_t i = 0; i < n; ++i) {
        const bool upper = stream.uniform<double>(i, 1, wide) >= 0.5;
        same += (stream.index(i, 1, narrow, 2) == 1) == upper ? 1 : 0;
      }
      CHECK(std::fabs(same - n / 2.0) < 5 * std::sqrt(n / 4.0));
    }
  }
  // The largest element of a double is not one of the smallest.
  CHECK(stream.uniform<double>(1, 1, 0xffff'ffffu) != stream.uniform<double>(1, 1, 0x7fff'ffffu));
}

TEST_CASE("an address leads to the numbers of its row", "[core][random]") {
  using vrfm::DrawAddress;
  using vrfm::Use;
  const std::int64_t counter = 7;
  for (const Use use : {Use::training, Use::sampling}) {
    const RandomStream stream(5, vrfm::purpose_of(use, Purpose::time));
    for (const auto& step : {vrfm::StepNumber(7), vrfm::StepNumber(&counter)}) {
      const DrawAddress draws{
          .seed = 5, .step = step, .first_sample = (1ull << 32) - 2, .use = use};
      for (const int row : {0, 1, 2, 100}) {
        const double expected =
            stream.uniform<double>((std::uint64_t(1) << 32) - 2 + std::uint64_t(row), 7, 0);
        const auto at = draws.at(row);
        const auto from = draws.from(row);
        CHECK(draws.stream(Purpose::time).uniform<double>(draws.sample(row), draws.step, 0) ==
              expected);
        CHECK(at.stream(Purpose::time).uniform<double>(at.sample, at.step, 0) == expected);
        CHECK(from.stream(Purpose::time).uniform<double>(from.sample(0), from.step, 0) == expected);
      }
    }
  }
}

TEST_CASE("index draws each of its values equally often", "[core][random]") {
  const RandomStream stream(3, Purpose::target);
  constexpr int n = 60000, count = 6;
  std::vector<int> seen(count);
  for (int i = 0; i < n; ++i) {
    const int k = stream.index(static_cast<std::uint64_t>(i), 0, 5, count);
    REQUIRE((k >= 0 && k < count));
    ++seen[static_cast<std::size_t>(k)];
  }
  double chi_square = 0;
  for (const int s : seen) chi_square += (s - n / 6.0) * (s - n / 6.0) / (n / 6.0);
  CHECK(chi_square < 5 + 5 * std::sqrt(10.0));  // mean 5, variance 10
  CHECK(stream.index(1, 2, 3, 1) == 0);
}

TEMPLATE_LIST_TEST_CASE("kernels draw what the host draws", "[core][random]", SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  constexpr int n = 1000;
  const vrfm::Array<T, Exec> uniforms("uniforms", n), normals("normals", 2 * n);
  const vrfm::Array<std::uint32_t, Exec> words("words", 4 * n);
  const DrawEach<T> draw{RandomStream(42, Purpose::prior), uniforms.data(), normals.data(),
                         words.data()};
  const Exec exec;
  Kokkos::parallel_for("draw_each", Kokkos::RangePolicy<Exec, Kokkos::IndexType<int>>(exec, 0, n),
                       draw);
  exec.fence();
  const auto to_host = [](const auto& view) {
    return Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
  };
  const auto host_uniforms = to_host(uniforms), host_normals = to_host(normals);
  const auto host_words = to_host(words);

  std::vector<T> u(n), z(2 * n);
  std::vector<std::uint32_t> w(4 * n);
  const DrawEach<T> host{draw.stream, u.data(), z.data(), w.data()};
  int different = 0;
  std::vector<double> actual, expected;
  for (int i = 0; i < n; ++i) host(i);
  for (std::size_t i = 0; i < n; ++i) different += host_uniforms(i) != u[i] ? 1 : 0;
  for (std::size_t i = 0; i < 4 * n; ++i) different += host_words(i) != w[i] ? 1 : 0;
  CHECK(different == 0);
  // A device's own log, sine and cosine of doubles may round differently by a few units.
  const double tolerance = sizeof(T) == 4 ? 0 : 32 * epsilon<T>;
  for (std::size_t i = 0; i < 2 * n; ++i) {
    actual.push_back(static_cast<double>(host_normals(i)));
    expected.push_back(static_cast<double>(z[i]));
  }
  CHECK(difference(actual, expected, tolerance) == "");
}
