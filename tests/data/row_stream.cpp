// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows larger than memory: each comes once in an epoch, whole, in an order that depends on neither how they are read nor
// how the batch is split; a run may begin at any step; one window is read once and drawn as rows in memory are; weights;
// rows that are left out; what the reading thread throws.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <set>
#include <stdexcept>
#include <vector>

#include <tests/couplings/draw_pairs.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "memory_rows.hpp"

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/row_draws.hpp>
#include <vrfm/data/row_stream.hpp>

using namespace vrfm;
using test::MemoryRows;
using test::numbered_rows;
using test::thrown;

namespace {

double one(std::size_t) { return 1; }

RowRoles roles_of(const RowReader& reader) {
  return {.x1 = {{&reader, {0, 1}}},
          .vector = {{&reader, {2}}},
          .label = {&reader, {3}},
          .weight = {&reader, {4}},
          .classes = 3};
}

/// The rows' numbers of steps [first, end), of which every sample is checked to be whole.
template <class T, class Exec, class D>
std::vector<double> drawn_rows(const D& draws, int batch, std::uint32_t first, std::uint32_t end,
                               std::uint32_t seed = 3) {
  const Exec exec;
  const auto coupling = independent(draws, draws);
  std::vector<double> order;
  for (std::uint32_t step = first; step < end; ++step) {
    const DrawAddress address{.seed = seed, .step = step};
    prepare_draws(exec, draws, address, Purpose::target, batch);
    const auto drawn = test::draw_pairs<T>(exec, coupling, batch, address);
    for (std::size_t i = 0; i < static_cast<std::size_t>(batch); ++i) {
      const double n = drawn.x1[2 * i];
      order.push_back(n);
      CHECK((drawn.x1[2 * i + 1] == n + 0.5 && drawn.vector[i] == 10 * n &&
             drawn.label[i] == static_cast<int>(n) % 3));
    }
  }
  return order;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a stream draws each row once in an epoch", "[data][stream]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  constexpr std::size_t rows = 203;
  const MemoryRows reader = numbered_rows(rows, one);
  const RowSource source(roles_of(reader));
  // Blocks of 8, the last of 3 rows; 4 windows of 51 rows and up to a block more.
  RowWindows<T> windows(source, {.block_rows = 8, .window_rows = 60});
  CHECK((windows.count() == rows && windows.windows() == 4));
  CHECK(reader.rows_read >= rows);
  const auto stream = row_stream(Exec(), windows, 29);  // an epoch is 7 steps
  static_assert(ConditionalDistribution<decltype(stream), T> && Distribution<decltype(stream), T>);
  static_assert(prepares_on_host<decltype(stream)>);
  CHECK(condition_of(stream) == ConditionShape{.classes = 3, .columns = 1});
  const auto order = drawn_rows<T, Exec>(stream, 29, 0, 14);
  const auto middle = order.begin() + rows;
  CHECK(std::set<double>(order.begin(), middle).size() == rows);
  CHECK(std::set<double>(middle, order.end()).size() == rows);
  CHECK(!std::equal(order.begin(), middle, middle));
  // From any step, forth and back; by another seed another order.
  for (const std::uint32_t step : {9u, 2u, 13u, 0u}) {
    const auto part = drawn_rows<T, Exec>(stream, 29, step, step + 1);
    CHECK(std::equal(part.begin(), part.end(), order.begin() + 29 * step));
  }
  CHECK(drawn_rows<T, Exec>(stream, 29, 0, 7, 4) != std::vector<double>(order.begin(), middle));
  // Batches that are larger than a window and an epoch.
  for (const int batch : {7 * 29, 14 * 29}) {
    const auto large = row_stream(Exec(), windows, batch);
    CHECK(drawn_rows<T, Exec>(large, batch, 0, batch == 14 * 29 ? 1 : 2) == order);
  }
  // A part of a batch, as another rank draws it.
  const auto coupling = independent(stream, stream);
  const DrawAddress address{.seed = 3, .step = 5};
  prepare_coupling(Exec(), coupling, address, 29);
  const auto all = test::draw_pairs<T>(Exec(), coupling, 29, address),
             end = test::draw_pairs<T>(Exec(), coupling, 9, address.from(20));
  CHECK(std::equal(end.x1.begin(), end.x1.end(), all.x1.begin() + 2 * 20));
}

TEST_CASE("an independent coupling prepares source and target, each with its own draws",
          "[data][stream]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const MemoryRows reader = numbered_rows(50, one);
  const RowSource source({.x1 = {{&reader, {0}}}});
  RowWindows<float> first(source, {.block_rows = 4, .window_rows = 20}), second(source);
  const auto coupling = independent(row_stream(exec, first, 50), row_stream(exec, second, 50));
  static_assert(prepares_on_host<decltype(coupling)>);
  CHECK(thrown<std::invalid_argument>([&] { coupling.check(49); }) ==
        "vrfm: these rows are drawn in batches of 50, but a step draws 49");
  for (const std::uint32_t step : {0u, 1u}) {
    const DrawAddress address{.seed = 8, .step = step};
    prepare_coupling(exec, coupling, address, 50);
    const auto drawn = test::draw_pairs<float>(exec, coupling, 50, address);
    CHECK(std::set<double>(drawn.x0.begin(), drawn.x0.end()).size() == 50);
    CHECK(std::set<double>(drawn.x1.begin(), drawn.x1.end()).size() == 50);
    CHECK(drawn.x0 != drawn.x1);
  }
  // One order where both have one window, but not the same draws.
  const auto twice = independent(row_stream(exec, second, 50), row_stream(exec, second, 50));
  prepare_coupling(exec, twice, {.seed = 8}, 50);
  const auto drawn = test::draw_pairs<float>(exec, twice, 50, {.seed = 8});
  CHECK(drawn.x0 != drawn.x1);
}

TEST_CASE("one window is read once and drawn as rows in memory are", "[data][stream]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto weight = [](std::size_t n) { return static_cast<double>(n % 11); };
  for (const bool weighted : {false, true}) {
    const MemoryRows reader = weighted ? numbered_rows(300, weight) : numbered_rows(300, one);
    const RowSource source(roles_of(reader));
    RowWindows<double> windows(source, {.block_rows = 16, .window_rows = 300});
    const auto streamed = drawn_rows<double, Exec>(row_stream(exec, windows, 64), 64, 0, 12);
    CHECK(windows.windows() == 1);
    CHECK(reader.rows_read == 300);
    const auto packed = pack<double>(exec, source);
    CHECK(streamed ==
          drawn_rows<double, Exec>(row_draws(exec, packed.rows, packed.layout, 64), 64, 0, 12));
  }
}

TEST_CASE("a stream leaves out rows and follows weights", "[data][stream]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  MemoryRows reader = numbered_rows(400, [](std::size_t n) {
    return n < 40 ? 0.0 : n % 3 == 0 ? 2.5 : 0.5;
  });
  const RowSplit split{.validation = 0.3, .seed = 2};
  std::size_t bad = 60;  // a row of the training
  while (split.held_out(static_cast<double>(bad))) ++bad;
  reader.numbers[5 * bad] = std::numeric_limits<double>::infinity();
  const RowSource source(roles_of(reader),
                         {.nan = NanRows::drop, .part = SplitPart::training, .split = split});
  std::vector<double> visited, weights;
  RowWindows<double> windows(source, {.block_rows = 10, .window_rows = 64}, [&](const double* row) {
    visited.push_back(row[0]);
    weights.push_back(row[4]);
  });
  const int count = static_cast<int>(windows.count());
  REQUIRE((count > 200 && count < 340 && windows.windows() > 3));
  CHECK(visited.size() == windows.count());
  CHECK(std::find(visited.begin(), visited.end(), static_cast<double>(bad)) == visited.end());
  CHECK(windows.dropped() == 1);
  CHECK(windows.first_dropped() == text("row ", bad, ", x1, column 0 of numbered: inf"));
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  const auto stream = row_stream(exec, windows, count);  // a step is an epoch
  constexpr int epochs = 200;
  std::vector<double> mean(400);
  for (std::uint32_t e = 0; e < epochs; ++e) {
    std::vector<double> counts(400);
    for (const double n : drawn_rows<double, Exec>(stream, count, e, e + 1))
      ++counts[static_cast<std::size_t>(n)];
    for (std::size_t i = 0; i < visited.size(); ++i) {
      const auto n = static_cast<std::size_t>(visited[i]);
      const double expected = weights[i] / sum * count;
      // Floor or ceiling also across the ends of windows.
      CHECK((counts[n] >= std::floor(expected) && counts[n] <= std::ceil(expected)));
      mean[n] += counts[n] / epochs;
    }
    CHECK(std::accumulate(counts.begin(), counts.end(), 0.0) == count);
  }
  for (std::size_t i = 0; i < visited.size(); ++i) {
    CHECK(std::fabs(mean[static_cast<std::size_t>(visited[i])] - weights[i] / sum * count) <
          5 * 0.5 / std::sqrt(epochs));
  }
}

TEST_CASE("windows mix rows that are far from each other", "[data][stream]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  constexpr std::size_t rows = 4000;
  constexpr int batch = 100, steps = 40;
  const MemoryRows reader = numbered_rows(rows, one);
  RowWindows<double> windows(RowSource(roles_of(reader)), {.block_rows = 10, .window_rows = 1000});
  REQUIRE(windows.windows() == 4);
  const auto stream = row_stream(Exec(), windows, batch);
  double squares = 0, neighbours = 0;
  for (std::uint32_t epoch = 0; epoch < 5; ++epoch) {
    const auto order = drawn_rows<double, Exec>(stream, batch, epoch * steps, (epoch + 1) * steps);
    for (std::size_t s = 0; s < steps; ++s) {
      const auto begin = order.begin() + static_cast<std::ptrdiff_t>(batch * s);
      const double mean = std::accumulate(begin, begin + batch, 0.0) / batch;
      squares += (mean - 1999.5) * (mean - 1999.5);
    }
    for (std::size_t i = 1; i < rows; ++i) neighbours += std::fabs(order[i] - order[i - 1]) < 10;
  }
  // The mean of a batch of any rows has the variance (4000^2 - 1) / 12 / 100 = 13,333. That of the window's 100
  // blocks, of which the batch is made, adds 3/4 of it, without replacement; the rest is 9/10. Of 20 windows
  // this is known to a third.
  const double variance = squares / (5.0 * steps);
  INFO(variance);
  CHECK((variance > 13333 && variance < 2.5 * 13333));
  // Rows less than 10 apart: of 1,000 in a window 9 of the same block, and 9 of the two next to it, of
  // which a quarter is in the window: 0.011.
  const double share = neighbours / (5.0 * rows);
  INFO(share);
  CHECK((share > 0.006 && share < 0.018));
}

TEST_CASE("what fails while the next window is read is thrown by prepare", "[data][stream]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  MemoryRows reader = numbered_rows(100, one);
  RowWindows<float> windows(RowSource(roles_of(reader)), {.block_rows = 5, .window_rows = 25});
  const auto stream = row_stream(exec, windows, 10);
  const auto order = drawn_rows<float, Exec>(stream, 10, 0, 10);
  const auto prepare = [&](std::uint32_t step) {
    prepare_draws(exec, stream, {.seed = 3, .step = step}, Purpose::target, 10);
  };
  const auto row = static_cast<std::size_t>(order[55]);
  reader.broken_row = row;
  const auto message = thrown<std::runtime_error>([&] {
    for (std::uint32_t step = 0; step < 10; ++step) prepare(step);
  });
  CHECK(message == "numbered: a bad sector");
  CHECK(thrown<std::runtime_error>([&] { prepare(5); }) == message);
  reader.broken_row = std::numeric_limits<std::size_t>::max();
  CHECK(drawn_rows<float, Exec>(stream, 10, 0, 10) == order);
  // A file that changed meanwhile.
  reader.numbers[5 * row] = std::numeric_limits<double>::quiet_NaN();
  const auto changed = thrown<std::runtime_error>([&] {
    for (std::uint32_t step = 0; step < 10; ++step) prepare(step);
  });
  const std::size_t first = row / 5 * 5;
  CHECK(changed == text("vrfm: numbered: expected 5 of the rows ", first, " to ", first + 4,
                        " as in the first pass, found 4"));
}

TEST_CASE("streams that cannot be are refused", "[data][stream]") {
  const MemoryRows reader = numbered_rows(10, [](std::size_t) { return 0.0; });
  const RowSource source(roles_of(reader));
  using Invalid = std::invalid_argument;
  CHECK(thrown<Invalid>([&] { RowWindows<float>(source, {.block_rows = 0}); }) ==
        "vrfm: blocks of rows have at least 1, got 0");
  CHECK(thrown<Invalid>([&] { RowWindows<float>(source, {.block_rows = 8, .window_rows = 7}); }) ==
        "vrfm: a window of rows holds at least a block of 8, got 7");
  CHECK(thrown<std::runtime_error>([&] { RowWindows<float>{source}; }) ==
        "vrfm: expected a weight above 0 among 10 rows of numbered, found none");
  const MemoryRows others = numbered_rows(10, one);
  RowWindows<float> windows{RowSource(roles_of(others))};
  CHECK(thrown<Invalid>([&] { (void)row_stream(Kokkos::DefaultExecutionSpace(), windows, 0); }) ==
        "vrfm: rows are drawn in batches of at least 1, got 0");
}
