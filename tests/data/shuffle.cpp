// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shuffled positions: a permutation for every size, another one in every epoch and for every seed,
// and each order as likely as another.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include <tests/support/catch.hpp>

#include <vrfm/data/shuffle.hpp>

using namespace vrfm;

namespace {

std::vector<std::uint32_t> order(std::uint32_t count, std::uint64_t epoch, std::uint32_t seed) {
  const RandomStream stream(seed, Purpose::target);
  std::vector<std::uint32_t> values(count);
  for (std::uint32_t k = 0; k < count; ++k) values[k] = shuffled(k, count, epoch, stream);
  return values;
}

bool is_permutation(const std::vector<std::uint32_t>& values) {
  std::vector<bool> seen(values.size());
  for (const std::uint32_t value : values) {
    if (value >= values.size() || seen[value]) return false;
    seen[value] = true;
  }
  return true;
}

/// The sum of (observed - expected)^2 / expected less its expectation, in its standard deviations.
double excess(const std::vector<int>& observed, int draws) {
  const double expected = static_cast<double>(draws) / static_cast<double>(observed.size());
  double sum = 0;
  for (const int n : observed) sum += (n - expected) * (n - expected) / expected;
  const double freedom = static_cast<double>(observed.size() - 1);
  return (sum - freedom) / std::sqrt(2 * freedom);
}

}  // namespace

TEST_CASE("each element stands once in each epoch", "[data][shuffle]") {
  for (std::uint32_t count = 1; count <= 1000; ++count) {
    CAPTURE(count);
    CHECK(is_permutation(order(count, count % 7, 3)));
  }
  for (const std::uint32_t count : {4096u, 4097u, 50'000u, 60'000u, 65'536u, 65'537u}) {
    CAPTURE(count);
    CHECK(is_permutation(order(count, 0, 3)));
    CHECK(is_permutation(order(count, std::uint64_t{1} << 40, 3)));
  }
}

TEST_CASE("positions of a set that no table could hold", "[data][shuffle]") {
  const RandomStream stream(5, Purpose::target);
  for (const std::uint32_t count : {0x7fff'ffffu, 0x4000'0001u, 0x4000'0000u, 0xffff'ffffu}) {
    std::vector<std::uint32_t> values;
    for (std::uint32_t k = 0; k < 2000; ++k) values.push_back(shuffled(k, count, 9, stream));
    CHECK(*std::max_element(values.begin(), values.end()) < count);
    CHECK(*std::max_element(values.begin(), values.end()) > count / 100 * 98);
    std::sort(values.begin(), values.end());
    CHECK(std::adjacent_find(values.begin(), values.end()) == values.end());
  }
}

TEST_CASE("orders of epochs and seeds differ as random ones do", "[data][shuffle]") {
  constexpr std::uint32_t count = 60'000;
  const auto first = order(count, 0, 1);
  CHECK(order(count, 0, 1) == first);
  // Random permutations agree in about one place, seldom in ten.
  const auto agreements = [&](const std::vector<std::uint32_t>& other) {
    int places = 0;
    for (std::uint32_t k = 0; k < count; ++k) places += first[k] == other[k];
    return places;
  };
  CHECK(agreements(order(count, 1, 1)) <= 10);
  CHECK(agreements(order(count, std::uint64_t{1} << 32, 1)) <= 10);
  CHECK(agreements(order(count, 0, 2)) <= 10);
  std::vector<std::uint32_t> untouched(count);
  for (std::uint32_t k = 0; k < count; ++k) untouched[k] = k;
  CHECK(agreements(untouched) <= 10);
  // Neighbours' distance is as large as that of random numbers: a third of the range.
  double distance = 0;
  for (std::uint32_t k = 0; k + 1 < count; ++k)
    distance += std::fabs(static_cast<double>(first[k]) - first[k + 1]);
  CHECK(std::fabs(distance / count / count - 1.0 / 3) <= 5 / std::sqrt(18.0 * count));
}

TEST_CASE("all orders are equally likely", "[data][shuffle]") {
  // Of five elements there are 120 orders.
  constexpr int draws = 120'000;
  std::map<std::vector<std::uint32_t>, int> orders;
  for (int epoch = 0; epoch < draws; ++epoch)
    ++orders[order(5, static_cast<std::uint64_t>(epoch), 11)];
  CHECK(orders.size() == 120);
  std::vector<int> observed;
  for (const auto& [values, times] : orders) observed.push_back(times);
  CHECK(excess(observed, draws) <= 5);

  // Of twelve each comes everywhere, and after each other one.
  constexpr std::uint32_t count = 12;
  constexpr int epochs = 40'000;
  std::vector<int> places(count * count), followers(count * count);
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const auto values = order(count, static_cast<std::uint64_t>(epoch), 13);
    for (std::uint32_t k = 0; k < count; ++k) ++places[k * count + values[k]];
    for (std::uint32_t k = 0; k + 1 < count; ++k) ++followers[values[k] * count + values[k + 1]];
  }
  CHECK(excess(places, epochs * static_cast<int>(count)) <= 5);
  std::vector<int> pairs;
  for (std::uint32_t a = 0; a < count; ++a)
    for (std::uint32_t b = 0; b < count; ++b)
      if (a != b) pairs.push_back(followers[a * count + b]);
  CHECK(excess(pairs, epochs * static_cast<int>(count - 1)) <= 5);
}
