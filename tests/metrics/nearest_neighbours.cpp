// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Nearest neighbours against a plain sort, with many equal distances and sizes that fill no panel.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/nearest_neighbours.hpp>

using namespace vrfm;
using test::Numbers;

namespace {

/// Integers from -2 to 2: equal rows and equal distances abound, and nothing is rounded.
std::vector<double> grid(std::uint32_t seed, std::size_t count) {
  auto values = Numbers(seed).take(count);
  for (double& value : values) value = static_cast<double>(static_cast<int>(value * 3));
  return values;
}

struct Expected {
  std::vector<double> rows, squares;
};

/// By sorting the distances to all rows of `known` but `self`.
Expected sorted(const std::vector<double>& known, const std::vector<double>& queries,
                std::size_t columns, std::size_t k, bool without_self) {
  Expected result;
  const std::size_t n = known.size() / columns;
  for (std::size_t q = 0; q < queries.size() / columns; ++q) {
    std::vector<double> squares(n);
    for (std::size_t i = 0; i < n * columns; ++i) {
      const double gap = known[i] - queries[q * columns + i % columns];
      squares[i / columns] += gap * gap;
    }
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    if (without_self) order.erase(order.begin() + static_cast<std::ptrdiff_t>(q));
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t i, std::size_t j) { return squares[i] < squares[j]; });
    for (std::size_t i = 0; i < k; ++i) {
      result.rows.push_back(static_cast<double>(order[i]));
      result.squares.push_back(squares[order[i]]);
    }
  }
  return result;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("nearest neighbours are those of a sort", "[metrics][neighbours]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  struct Size {
    std::size_t known, queries, columns;
    int k;
  };
  // Panels have 16 or 32 rows, four queries pass together, 32 are a thread's.
  for (const auto [n, m, columns, k] : {Size{1, 1, 1, 1}, Size{101, 67, 3, 7}, Size{64, 32, 2, 64},
                                        Size{33, 35, 40, 1}, Size{16, 5, 1, 3}}) {
    CAPTURE(n, m, columns, k);
    const auto known = grid(31, n * columns), queries = grid(32, m * columns);
    const auto table = test::table<T, Exec>(n, columns, known);
    const auto found =
        nearest_neighbours(exec, table, test::table<T, Exec>(m, columns, queries), k);
    const auto expected = sorted(known, queries, columns, static_cast<std::size_t>(k), false);
    CHECK(test::numbers_of(found.rows) == expected.rows);
    CHECK(test::numbers_of(found.squared_distances) == expected.squares);
    if (n == 1) continue;
    const int others = std::min(k, static_cast<int>(n) - 1);
    const auto own = nearest_neighbours(exec, table, others);
    const auto own_expected = sorted(known, known, columns, static_cast<std::size_t>(others), true);
    CHECK(test::numbers_of(own.rows) == own_expected.rows);
    CHECK(test::numbers_of(own.squared_distances) == own_expected.squares);
  }
}

TEMPLATE_LIST_TEST_CASE("distances are symmetric to the bit, those of equal rows zero",
                        "[metrics][neighbours]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  // Far from the origin, where |x|^2 + |y|^2 - 2 x . y would have no digit left.
  auto values = Numbers(33).take(37 * 19);
  for (double& value : values) value += 1000;
  const auto x = test::table<T, Exec>(37, 19, values);
  const auto found = nearest_neighbours(exec, x, x, 37);
  const auto rows = test::numbers_of(found.rows),
             squares = test::numbers_of(found.squared_distances);
  std::vector<double> by_row(37 * 37);
  for (std::size_t i = 0; i < rows.size(); ++i)
    by_row[i / 37 * 37 + static_cast<std::size_t>(rows[i])] = squares[i];
  int wrong = 0;
  for (std::size_t i = 0; i < 37; ++i) {
    wrong += by_row[i * 37 + i] != 0;
    for (std::size_t j = 0; j < i; ++j) {
      wrong += !(by_row[i * 37 + j] > 0) || by_row[i * 37 + j] != by_row[j * 37 + i];
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("nearest neighbours check their arguments", "[metrics][neighbours]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto line = test::table<float, Exec>(2, 1, {1, 2}),
             one = test::table<float, Exec>(1, 1, {1});
  const auto plane = test::table<float, Exec>(1, 2, {1, 2});
  const auto bad = test::table<float, Exec>(2, 1, {1, std::numeric_limits<double>::quiet_NaN()});
  CHECK(error([&] { nearest_neighbours(exec, line, plane, 1); }) ==
        "vrfm: known has 1 columns but queries has 2 columns");
  CHECK(error([&] { nearest_neighbours(exec, line, bad, 1); }) ==
        "vrfm: nearest_neighbours: queries: row 1 holds a number that is not finite");
  CHECK(error([&] { nearest_neighbours(exec, bad, 1); }) ==
        "vrfm: nearest_neighbours: samples: row 1 holds a number that is not finite");
  CHECK(error([&] { nearest_neighbours(exec, line, Table<float, Exec>("empty", 0, 1), 1); }) ==
        "vrfm: nearest_neighbours: queries: expected at least one sample, but got 0 rows of 1 "
        "columns");
  CHECK(error([&] { nearest_neighbours(exec, line, line, 3); }) ==
        "vrfm: nearest_neighbours: expected one to 2 neighbours among as many rows, but got 3");
  CHECK(error([&] { nearest_neighbours(exec, line, line, 0); }) ==
        "vrfm: nearest_neighbours: expected one to 2 neighbours among as many rows, but got 0");
  CHECK(error([&] { nearest_neighbours(exec, line, 2); }) ==
        "vrfm: nearest_neighbours: expected one to 1 neighbours among the other rows, but got 2");
  CHECK(error([&] { nearest_neighbours(exec, one, 1); }) ==
        "vrfm: nearest_neighbours: expected one to 0 neighbours among the other rows, but got 1");
}
