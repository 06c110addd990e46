// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// map, each_row, column_sum and read on every context, and the element functions that callers
// share. Sums are compared bit for bit: their order is fixed.
#include <limits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/linalg/flat.hpp>
#include <vrfm/linalg/tile_context.hpp>

namespace vrfm::test {

/// y(i, j) += 1 + i + 100 j: a value that names its element and grows if the element comes twice.
template <class T>
struct Mark {
  Matrix<T> y;
  KOKKOS_FUNCTION void operator()(int i, int j) const { y(i, j) += T(1 + i + 100 * j); }
  KOKKOS_FUNCTION void operator()(int i) const { (*this)(i, 0); }
  KOKKOS_FUNCTION void operator()(std::int64_t i) const { (*this)(static_cast<int>(i), 0); }
};

/// Calls one verb so that Batch and Tile contexts take the same test.
template <class T>
struct MapStep {
  int rows, cols;
  Mark<T> mark;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    ctx.map(rows, cols, mark);
  }
};

template <class T>
struct EachRowStep {
  int rows;
  Mark<T> mark;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    ctx.each_row(rows, mark);
  }
};

template <class T, class S>
struct ColumnSumStep {
  Matrix<T> x;
  S* out;
  Update update;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    ctx.column_sum(x, out, update);
  }
};

/// The product of the elements of x and their column number, summed by columns.
template <class T>
struct Weighted {
  Matrix<const T> x;
  KOKKOS_FUNCTION T operator()(int i, int j) const { return T(j) * x(i, j); }
};

template <class T>
struct WeightedSumStep {
  Matrix<const T> x;
  T* out;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    ctx.column_sum(x.rows, x.cols, Weighted<T>{x}, out, Update::overwrite);
  }
};

/// Row k of y += k + 1, by way of working memory; larger k take less of it.
template <class T>
struct AddByTile {
  Matrix<T> y;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>& arena) const {
    const Matrix<T> row = arena.take(1, y.cols);
    ctx.map(1, y.cols, Fill<T>{row, T(k + 1)});
    if (k == 0) arena.take(3, y.cols);
    ctx.map(1, y.cols, AddScaled<T>{T(1), row, y.row_range(k, 1)});
  }
};

template <class T>
struct EachTileStep {
  Matrix<T> y;
  T* block;
  std::size_t capacity;
  template <class Ctx>
  KOKKOS_FUNCTION void run(const Ctx& ctx, Arena<T>& arena) const {
    const auto mark = arena.used();
    ctx.each_tile(y.rows, AddByTile<T>{y}, arena);
    if (arena.used() != mark) Kokkos::abort("each_tile kept memory");
  }
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    Arena<T> arena(block, capacity);
    run(ctx, arena);
  }
};

/// y(0, 0) = 5, then y(0, 1) = what read() says of it plus 1.
template <class T>
struct ReadStep {
  Matrix<T> y;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    ctx.map(1, 1, Fill<T>{y, T(5)});
    const T value = ctx.read(y.data);
    ctx.map(1, 1, Fill<T>{y.col_range(1, 1), value + T(1)});
  }
};

/// The element functions one after another on the same y.
template <class T>
struct ElementwiseStep {
  Matrix<const T> x;
  Matrix<T> y;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    ctx.map(y.rows, y.cols, Copy<T>{x, y});
    ctx.map(y.rows, y.cols, Multiply<T>{x, y});
    ctx.map(y.rows, y.cols, AddScaled<T>{T(-3), x, y});
  }
};

/// Each worker marks its own row.
template <class T>
struct MarkRow {
  Matrix<T> y;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int worker) const {
    ctx.map(1, y.cols, AddScaled<T>{T(worker), y.row_range(worker, 1), y.row_range(worker, 1)});
  }
};

namespace {

/// Runs `step` on both contexts of Exec; `start` prepares, `check` looks at the result.
template <class Exec, class Step, class Start, class Check>
void on_both_contexts(const Step& step, const Start& start, const Check& check) {
  const Exec exec;
  start();
  step(BatchContext<Exec>(exec), 0);
  {
    INFO("BatchContext");
    check();
  }
  start();
  launch_tiles(exec, "vrfm::test::step", 1, step);
  {
    INFO("TileContext");
    check();
  }
}

}  // namespace
}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("every context meets the concept", "[linalg][context]", Spaces) {
  STATIC_REQUIRE(Context<BatchContext<TestType>>);
  STATIC_REQUIRE(Context<TileContext<TestType>>);
  STATIC_REQUIRE(Context<MeasureContext>);
}

TEMPLATE_LIST_TEST_CASE("map and each_row visit each element once", "[linalg][context]",
                        SpacesTimesReals) {
  using T = typename TestType::Real;
  const int shapes[][2] = {{0, 5}, {5, 0}, {1, 1}, {3, 17}, {100, 3}, {65, 64}};
  for (const auto& shape : shapes) {
    const int rows = shape[0], cols = shape[1];
    Padded<T, typename TestType::Exec> y(rows, cols);
    const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
    const auto clear = [&] { y.write(std::vector<double>(count)); };
    const auto marked = [&](int columns) {
      std::vector<double> expected;
      for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < cols; ++j) expected.push_back(j < columns ? 1 + i + 100 * j : 0);
      }
      return expected;
    };
    INFO(rows << " x " << cols);
    on_both_contexts<typename TestType::Exec>(MapStep<T>{rows, cols, {y.matrix()}}, clear,
                                              [&] { CHECK(y.read() == marked(cols)); });
    if (cols == 0) continue;
    on_both_contexts<typename TestType::Exec>(EachRowStep<T>{rows, {y.matrix()}}, clear,
                                              [&] { CHECK(y.read() == marked(1)); });
  }
}

// On devices several threads share a column, in an order of their own.
TEMPLATE_LIST_TEST_CASE("column_sum adds from the first row to the last", "[linalg][context]",
                        SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  Numbers numbers(21);
  const int shapes[][2] = {{0, 4}, {1, 3}, {17, 1}, {130, 65}};
  for (const auto& shape : shapes) {
    const int rows = shape[0], cols = shape[1];
    const auto n = static_cast<std::size_t>(cols);
    const auto values = numbers.take(static_cast<std::size_t>(rows) * n);
    const auto before = numbers.take(n);
    Padded<T, Exec> x(rows, cols, values);
    Padded<T, Exec> sum(1, cols);
    Padded<double, Exec> wide_sum(1, cols);
    for (const Update update : {Update::overwrite, Update::accumulate}) {
      std::vector<double> expected, wide_expected;
      for (std::size_t j = 0; j < n; ++j) {
        // Volatile: the same roundings as one addition after another.
        volatile T s = update == Update::accumulate ? static_cast<T>(before[j]) : T(0);
        double w = update == Update::accumulate ? before[j] : 0.0;
        for (std::size_t i = 0; i < std::size_t(rows); ++i) {
          s = s + static_cast<T>(values[i * n + j]);
          w += values[i * n + j];
        }
        expected.push_back(static_cast<double>(s));
        wide_expected.push_back(w);
      }
      // Overwriting must not even read what was there: it starts as NaN.
      const auto start = [&](auto& out) {
        return [&] {
          if (update == Update::accumulate) {
            out.write(before);
          } else {
            out.write(std::vector<double>(n, std::numeric_limits<double>::quiet_NaN()));
          }
        };
      };
      const auto sums = [&](const std::vector<double>& actual, const std::vector<double>& exact,
                            double eps) {
        const double tolerance = is_host_space<Exec> ? 0 : eps * rows * (rows + 1);
        CHECK(difference(actual, exact, tolerance) == "");
      };
      INFO(rows << " x " << cols << ", accumulate " << (update == Update::accumulate));
      on_both_contexts<Exec>(ColumnSumStep<T, T>{x.matrix(), sum.data(), update}, start(sum),
                             [&] { sums(sum.read(), expected, epsilon<T>); });
      on_both_contexts<Exec>(ColumnSumStep<T, double>{x.matrix(), wide_sum.data(), update},
                             start(wide_sum),
                             [&] { sums(wide_sum.read(), wide_expected, epsilon<double>); });
    }
  }
}

TEMPLATE_LIST_TEST_CASE("column_sum adds what a function gives", "[linalg][context]",
                        SpacesTimesReals) {
  using T = typename TestType::Real;
  Padded<T, typename TestType::Exec> x(3, 3, {1, 2, 3, 4, 5, 6, 7, 8, 9}), sum(1, 3);
  on_both_contexts<typename TestType::Exec>(
      WeightedSumStep<T>{x.matrix(), sum.data()}, [] {},
      [&] {
        CHECK(sum.read() == std::vector<double>{0, 15, 36});
      });
}

TEMPLATE_LIST_TEST_CASE("each_tile visits each piece once, in memory of its own",
                        "[linalg][context]", SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  for (const int count : {0, 1, 2, 37}) {
    INFO(count << " pieces");
    Padded<T, Exec> y(count, 5);
    const auto n = static_cast<std::size_t>(5 * count);
    EachTileStep<T> step{y.matrix(), nullptr, 0};
    auto measure = Arena<T>::measure();
    step.run(MeasureContext{tile_concurrency(Exec())}, measure);
    Padded<T, Exec> memory(1, static_cast<int>(measure.peak()));
    step.block = memory.data();
    step.capacity = measure.peak();
    std::vector<double> expected;
    for (int k = 0; k < count; ++k) expected.insert(expected.end(), 5, k + 1);
    on_both_contexts<Exec>(
        step, [&] { y.write(std::vector<double>(n)); },
        [&] {
          CHECK(y.read() == expected);
          memory.read();  // throws if anything beside it changed
        });
  }
}

TEMPLATE_LIST_TEST_CASE("read sees the verbs before it", "[linalg][context]", SpacesTimesReals) {
  using T = typename TestType::Real;
  Padded<T, typename TestType::Exec> y(1, 2);
  on_both_contexts<typename TestType::Exec>(
      ReadStep<T>{y.matrix()},
      [&] {
        y.write({0, 0});
      },
      [&] {
        CHECK(y.read() == std::vector<double>{5, 6});
      });
  CHECK(MeasureContext{}.read(static_cast<const T*>(nullptr)) == T(0));
}

TEMPLATE_LIST_TEST_CASE("element functions", "[linalg][elementwise]", SpacesTimesReals) {
  using T = typename TestType::Real;
  Padded<T, typename TestType::Exec> x(2, 3, {1, 2, 3, 4, 5, 6}, 1), y(2, 3);
  on_both_contexts<typename TestType::Exec>(
      ElementwiseStep<T>{x.matrix(), y.matrix()}, [] {},
      [&] {
        CHECK(y.read() == std::vector<double>{-2, -2, 0, 4, 10, 18});
      });
}

TEMPLATE_LIST_TEST_CASE("launch_tiles calls each worker once", "[linalg][context]",
                        SpacesTimesReals) {
  using T = typename TestType::Real;
  const typename TestType::Exec exec;
  CHECK(tile_concurrency(exec) >= 1);
  Padded<T, typename TestType::Exec> y(37, 2);
  y.write(std::vector<double>(74, 1.0));
  launch_tiles(exec, "vrfm::test::workers", 0, MarkRow<T>{y.matrix()});
  CHECK(y.read() == std::vector<double>(74, 1.0));
  launch_tiles(exec, "vrfm::test::workers", 37, MarkRow<T>{y.matrix()});
  std::vector<double> expected;
  for (int i = 0; i < 37; ++i) expected.insert(expected.end(), 2, 1.0 + i);
  CHECK(y.read() == expected);
}

TEMPLATE_LIST_TEST_CASE("flat_map visits each element once", "[linalg][flat]", Spaces) {
  const int block = static_cast<int>(flat_block);
  for (const int count : {0, 1, block - 1, block, block + 1, 5 * block + 3}) {
    INFO(count);
    CHECK(flat_blocks(count) == (count + block - 1) / block);
    Padded<double, TestType> y(count, 1, 0);
    y.write(std::vector<double>(static_cast<std::size_t>(count)));
    flat_map(TestType(), "vrfm::test::flat", count, Mark<double>{y.matrix()});
    std::vector<double> expected;
    for (int i = 0; i < count; ++i) expected.push_back(1 + i);
    CHECK(y.read() == expected);
  }
}
