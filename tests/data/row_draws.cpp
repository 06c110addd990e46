// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows in memory as a distribution: each once in an epoch, in an order of its own, with its condition, also of a
// caller's table with gaps; weighted rows as often as their weights say, and of equal weights once each.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <vector>

#include <tests/couplings/draw_pairs.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/row_draws.hpp>

using namespace vrfm;
using test::thrown;

namespace {

constexpr RowLayout layout{
    .dimension = 2, .columns = 1, .field_columns = 1, .classes = 3, .weighted = true};

/// Row n: x1 = (n, n + 0.5), vector 10 n, field -n, label n % 3, weight(n); seven columns of gap.
template <class T, class Exec, class Weight>
Table<T, Exec> table_of(std::size_t rows, const Weight& weight) {
  std::vector<double> numbers;
  for (std::size_t n = 0; n < rows; ++n) {
    const double x = static_cast<double>(n);
    numbers.insert(numbers.end(), {x, x + 0.5, 10 * x, -x, static_cast<double>(n % 3), weight(n)});
    numbers.insert(numbers.end(), 7, -99.0);
  }
  return test::table<T, Exec>(rows, 13, numbers);
}

/// A view of the first columns that does not own them.
template <class Table>
auto view_of(const Table& table) {
  using View = Kokkos::View<typename Table::value_type**, Kokkos::LayoutStride,
                            typename Table::memory_space, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  return View(table.data(), Kokkos::LayoutStride(table.extent(0), 13, 6, 1));
}

/// How often each row is drawn in an epoch.
template <class Draws>
std::vector<int> epoch(const Draws& draws, std::uint32_t number, std::uint32_t seed = 4) {
  std::vector<int> counts(static_cast<std::size_t>(draws.count()));
  const RandomStream stream(seed, Purpose::target);
  for (std::size_t n = 0; n < counts.size(); ++n) {
    ++counts[static_cast<std::size_t>(draws.row(number * counts.size() + n, 0, stream))];
  }
  return counts;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("rows come whole and once in an epoch", "[data][rows]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  constexpr int batch = 6, steps = 7, rows = 21;  // two epochs
  const Exec exec;
  const auto table = table_of<T, Exec>(rows, [](std::size_t) { return 0.1; });
  const auto draws = row_draws(exec, view_of(table), layout, batch);
  static_assert(ConditionalDistribution<decltype(draws), T> && Distribution<decltype(draws), T>);
  const auto coupling = independent(draws, draws);
  static_assert(!prepares_on_host<decltype(coupling)>);
  CHECK(condition_of(coupling) == ConditionShape{.classes = 3, .columns = 1, .field_columns = 1});
  std::vector<double> order, sources;
  for (std::uint32_t step = 0; step < steps; ++step) {
    const DrawAddress address{.seed = 3, .step = step};
    const auto drawn = test::draw_pairs<T>(exec, coupling, batch, address);
    for (std::size_t i = 0; i < batch; ++i) {
      const double n = drawn.x1[2 * i];
      order.push_back(n);
      sources.push_back(drawn.x0[2 * i]);
      CHECK((drawn.x1[2 * i + 1] == n + 0.5 && drawn.vector[i] == 10 * n && drawn.field[i] == -n &&
             drawn.label[i] == static_cast<int>(n) % 3 && drawn.dropped[i] == 0));
      CHECK(drawn.x0[2 * i + 1] == drawn.x0[2 * i] + 0.5);
    }
    // The end of a batch alone, as another rank draws it.
    const auto end = test::draw_pairs<T>(exec, coupling, 2, address.from(4));
    CHECK(end.x1 == std::vector<double>(drawn.x1.begin() + 8, drawn.x1.end()));
  }
  const auto middle = order.begin() + rows;
  CHECK(std::set<double>(order.begin(), middle).size() == rows);
  CHECK(std::set<double>(middle, order.end()).size() == rows);
  CHECK(!std::equal(order.begin(), middle, middle));
  CHECK(order != sources);
}

TEST_CASE("weighted rows come as often as their weights say", "[data][rows]") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const Exec exec;
  constexpr std::size_t rows = 90;
  const auto weight = [](std::size_t n) {
    return n % 5 == 0 ? 0.0 : 1 + static_cast<double>(n % 7) * static_cast<double>(n) / 10;
  };
  double sum = 0;
  for (std::size_t n = 0; n < rows; ++n) sum += weight(n);
  const auto table = table_of<double, Exec>(rows, weight);
  const auto kept = row_draws(exec, view_of(table), layout, 8);
  constexpr int epochs = 4000;
  std::vector<double> mean(rows);
  for (std::uint32_t e = 0; e < epochs; ++e) {
    const auto counts = epoch(kept, e);
    for (std::size_t n = 0; n < rows; ++n) {
      const double expected = weight(n) / sum * rows;
      CHECK((counts[n] >= std::floor(expected) && counts[n] <= std::ceil(expected)));
      mean[n] += static_cast<double>(counts[n]) / epochs;
    }
  }
  for (std::size_t n = 0; n < rows; ++n) {
    // A count is one of two neighbours: its deviation is at most 1/2.
    CHECK(std::fabs(mean[n] - weight(n) / sum * rows) < 5 * 0.5 / std::sqrt(epochs));
  }
  CHECK(epoch(kept, 0) != epoch(kept, 1));
}

TEST_CASE("rows of equal weights come once, rows of whole ratios exactly so often",
          "[data][rows]") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const Exec exec;
  for (const double each : {0.1, 1.0, 3e-7}) {
    const auto table = table_of<float, Exec>(1000, [&](std::size_t) { return each; });
    const auto draws = row_draws(exec, view_of(table), layout, 8);
    for (const std::uint32_t e : {0u, 1u, 7u}) CHECK(epoch(draws, e) == std::vector<int>(1000, 1));
  }
  const auto ratio = [](std::size_t n) { return n % 4 == 0 ? 0.0 : n % 4 == 1 ? 2.0 : 1.0; };
  const auto table = table_of<double, Exec>(400, ratio);
  const auto counts = epoch(row_draws(exec, view_of(table), layout, 8), 3);
  for (std::size_t n = 0; n < 400; ++n) CHECK(counts[n] == ratio(n));
}

TEST_CASE("tables that do not fit are refused", "[data][rows]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  using Invalid = std::invalid_argument;
  const Exec exec;
  const auto table = table_of<float, Exec>(4, [](std::size_t n) { return n == 3 ? -1.0 : 1.0; });
  const auto refused = [&](const RowLayout& of, int batch) {
    return thrown<Invalid>([&] { (void)row_draws(exec, view_of(table), of, batch); });
  };
  CHECK(refused(layout, 0) == "vrfm: rows are drawn in batches of at least 1, got 0");
  CHECK(refused({.dimension = 5}, 2) ==
        "vrfm: a packed row of this layout has 5 columns, but the rows have 6");
  CHECK(refused({.columns = 6}, 2) == "vrfm: rows need columns of x1, got 0");
  CHECK(refused(layout, 2) == "vrfm: row 3: expected a finite weight >= 0, found -1");
  CHECK(refused({.dimension = 4, .classes = 2, .weighted = true}, 2) ==
        "vrfm: row 2: expected a label of 0 to 1, found 2");
  const auto zeros = table_of<float, Exec>(4, [](std::size_t) { return 0.0; });
  CHECK(thrown<Invalid>([&] { (void)row_draws(exec, view_of(zeros), layout, 2); }) ==
        "vrfm: expected a weight above 0 among 4 rows, found none");
  CHECK(thrown<Invalid>([&] { row_draws(exec, zeros, {.dimension = 13}, 2).check(3); }) ==
        "vrfm: these rows are drawn in batches of 2, but a step draws 3");
  CHECK(thrown<Invalid>([&] {
          (void)row_draws(exec, Table<float, Exec>("none", 0, 2), {.dimension = 2}, 2);
        }) == "vrfm: expected rows to draw from, got none");
}
