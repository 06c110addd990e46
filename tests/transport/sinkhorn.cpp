// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Squared distances of blocks, and entropic plans: POT's plan, sums of rows and columns, the tolerance, partners as
// often as the plan says.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/golden_numbers.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/core/copy.hpp>
#include <vrfm/transport/sinkhorn.hpp>
#include <vrfm/transport/squared_distances.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

namespace {

/// The plans of some points, all on the host.
template <class T, class Exec>
struct Plans {
  Partition blocks;
  std::vector<double> x, y;
  Table<T, Exec> x_table, y_table;
  Table<double, Exec> cost, transposed;
  Array<double, Exec> potentials;
  Array<int, Exec> pending;

  Plans(const Partition& cut, int dimension, const std::vector<double>& points)
      : blocks(cut),
        x(points.begin(), points.begin() + std::ptrdiff_t(points.size() / 2)),
        y(points.begin() + std::ptrdiff_t(points.size() / 2), points.end()),
        x_table(test::table<T, Exec>(count(), std::size_t(dimension), x)),
        y_table(test::table<T, Exec>(count(), std::size_t(dimension), y)),
        cost("cost", count(), std::size_t(blocks.largest_leaf())),
        transposed("transposed", count(), std::size_t(blocks.largest_leaf())),
        potentials("potentials", 2 * count()) {
    const Array<T, Exec> memory("memory", distance_memory<Exec>(blocks, dimension));
    squared_distances<Exec, T>(Exec(), blocks, matrix(x_table), matrix(y_table), memory.data(),
                               matrix(cost), matrix(transposed));
  }

  std::size_t count() const { return static_cast<std::size_t>(blocks.samples()); }

  SinkhornPlan plan(const SinkhornIteration& how) {
    pending = Array<int, Exec>("pending", std::size_t(how.iterations) + 1);
    return {blocks, matrix(cost), matrix(transposed), potentials.data(), pending.data()};
  }

  /// P of all blocks, each row by row.
  std::vector<double> solve(const SinkhornIteration& how) {
    sinkhorn(Exec(), how, plan(how));
    Kokkos::fence();
    const auto c = to_host(Exec(), cost);
    const auto p = to_host(Exec(), potentials);
    std::vector<double> result;
    for (int block = 0; block < blocks.leaves(); ++block) {
      const auto first = std::size_t(blocks.first_sample(block)),
                 size = std::size_t(blocks.sample_count(block));
      for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t j = 0; j < size; ++j) {
          result.push_back(std::exp(p(first + i) + p(count() + first + j) -
                                    c(first + i, j) / how.regularisation));
        }
      }
    }
    return result;
  }

  int iterations_done() const {
    const auto host = to_host(Exec(), pending);
    int done = 0;
    for (std::size_t k = 0; k + 1 < host.extent(0); ++k) done += host(k);
    return done;
  }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("squared distances of blocks", "[transport][distances]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  // Blocks of 23 and 24 samples, and one that ends inside a panel and a tile.
  for (const auto& [blocks, dimension] :
       {std::pair{Partition(71, 3), 1}, std::pair{Partition(37, 1), 5},
        std::pair{Partition(3, 3), 2}}) {
    const auto d = std::size_t(dimension);
    const Plans<T, Exec> plans(blocks, dimension,
                               Numbers(4).take(2 * d * std::size_t(blocks.samples())));
    const auto cost = to_host(Exec(), plans.cost), transposed = to_host(Exec(), plans.transposed);
    int wrong = 0;
    for (int block = 0; block < blocks.leaves(); ++block) {
      const auto first = std::size_t(blocks.first_sample(block));
      const auto end = std::size_t(blocks.first_sample(block + 1));
      for (std::size_t i = first; i < end; ++i) {
        for (std::size_t j = first; j < end; ++j) {
          // Offsets are rounded to T in neither, and the squares of 21 bits are exact.
          double expected = 0;
          for (std::size_t k = 0; k < d; ++k) {
            expected += std::pow(static_cast<double>(static_cast<T>(plans.x[d * i + k])) -
                                     static_cast<double>(static_cast<T>(plans.y[d * j + k])),
                                 2);
          }
          wrong += cost(i, j - first) == expected && transposed(j, i - first) == expected ? 0 : 1;
        }
      }
    }
    CHECK(wrong == 0);
  }
}

TEMPLATE_LIST_TEST_CASE("entropic plans are POT's", "[transport][sinkhorn]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const auto file = test::golden_file("transport.safetensors");
  Plans<T, Exec> plans(Partition(24, 1), 3, Numbers(1000).take(2 * 24 * 3));
  struct Case {
    const char* name;
    double regularisation;
    int iterations;
  };
  for (const Case& c : {Case{"sinkhorn.smooth", 0.2, 20}, Case{"sinkhorn.sharp", 0.004, 300}}) {
    INFO(c.name);
    const auto values = file.at(c.name).template values<double>();
    const std::vector<double> expected(values.begin(), values.end());
    const auto plan = plans.solve({c.regularisation, c.iterations, 0});
    CHECK(plans.iterations_done() == c.iterations);
    // Terms are to 2 ulp of a float and their exponents, near -ln n where terms matter, rounded to one. An
    // iteration does not enlarge errors of the potentials (Birkhoff), so at worst they add up.
    const double relative = 8 * epsilon<float> * c.iterations;
    CHECK(test::difference(plan, expected, [&](std::size_t i) { return relative * expected[i]; }) ==
          "");
    std::vector<double> rows(24), columns(24);
    for (std::size_t i = 0; i < 24; ++i) {
      for (std::size_t j = 0; j < 24; ++j) {
        rows[i] += 24 * plan[24 * i + j];
        columns[j] += 24 * plan[24 * i + j];
      }
    }
    CHECK(test::difference(rows, std::vector<double>(24, 1.0), 8 * epsilon<float>) == "");
    if (std::string(c.name) == "sinkhorn.smooth") {
      CHECK(test::difference(columns, std::vector<double>(24, 1.0), 1e-3) == "");
    }
  }
}

TEMPLATE_LIST_TEST_CASE("plans of blocks are those of each alone", "[transport][sinkhorn]",
                        test::Spaces) {
  using Exec = TestType;
  const auto points = Numbers(5).take(2 * 150 * 2);
  const SinkhornIteration how{.regularisation = 0.05, .iterations = 30, .tolerance = 0};
  const auto together = Plans<double, Exec>(Partition(150, 2), 2, points).solve(how);
  std::vector<double> alone;
  for (int block = 0; block < 2; ++block) {
    std::vector<double> part;
    for (int side = 0; side < 2; ++side) {
      const auto from = points.begin() + 300 * side + 150 * block;
      part.insert(part.end(), from, from + 150);
    }
    const auto plan = Plans<double, Exec>(Partition(75, 1), 2, part).solve(how);
    alone.insert(alone.end(), plan.begin(), plan.end());
  }
  CHECK(together == alone);
}

TEMPLATE_LIST_TEST_CASE("the tolerance ends the iteration", "[transport][sinkhorn]", test::Spaces) {
  using Exec = TestType;
  Plans<float, Exec> plans(Partition(130, 1), 2, Numbers(6).take(2 * 130 * 2));
  const auto columns_of = [](const std::vector<double>& plan) {
    std::vector<double> sums(130);
    for (std::size_t k = 0; k < plan.size(); ++k) sums[k % 130] += 130 * plan[k];
    return sums;
  };
  int before = 0;
  for (const double tolerance : {0.1, 1e-2, 1e-3}) {
    const auto plan =
        plans.solve({.regularisation = 0.1, .iterations = 400, .tolerance = tolerance});
    const int done = plans.iterations_done();
    CHECK(done > before);
    CHECK(done < 400);
    before = done;
    // The rows' error of the last iteration, which made them exact, bounds what the columns' became.
    CHECK(test::difference(columns_of(plan), std::vector<double>(130, 1.0), 1.01 * tolerance) ==
          "");
    const auto again = plans.solve({.regularisation = 0.1, .iterations = done, .tolerance = 0});
    CHECK(plan == again);
  }
}

TEMPLATE_LIST_TEST_CASE("far and few points have plans, too", "[transport][sinkhorn]",
                        test::Spaces) {
  using Exec = TestType;
  // Exponents of -10^6: each term of a sum without a shift is 0.
  std::vector<double> points = Numbers(7).take(2 * 10);
  for (std::size_t k = 10; k < 20; ++k) points[k] += 100;
  const auto plan = Plans<double, Exec>(Partition(10, 1), 1, points)
                        .solve({.regularisation = 0.01, .iterations = 50});
  double sum = 0;
  for (const double p : plan) sum += p;
  CHECK(std::fabs(sum - 1) <= 100 * epsilon<float>);
  CHECK(Plans<double, Exec>(Partition(1, 1), 1, {1, 9}).solve({}) == std::vector<double>{1});
}

TEMPLATE_LIST_TEST_CASE("partners are drawn as the plan says", "[transport][sinkhorn]",
                        test::Spaces) {
  using Exec = TestType;
  constexpr int n = 6, steps = 4000;
  Plans<double, Exec> plans(Partition(2 * n, 2), 1, Numbers(8).take(4 * n));
  const SinkhornIteration how{.regularisation = 0.5, .iterations = 60, .tolerance = 0};
  const auto plan = plans.solve(how);
  std::vector<double> frequency(plan.size());
  const Table<std::int32_t, Exec> partner("partner", 2 * n, 1);
  for (std::uint32_t step = 0; step < steps; ++step) {
    draw_partners(Exec(), how, plans.plan(how), {.seed = 3, .step = step}, matrix(partner));
    const auto host = to_host(Exec(), partner);
    for (std::size_t i = 0; i < 2 * n; ++i) {
      const auto j = static_cast<std::size_t>(host(i, 0));
      REQUIRE(j / n == i / n);
      frequency[n * i + j % n] += 1.0 / steps;
    }
  }
  for (std::size_t k = 0; k < plan.size(); ++k) {
    INFO("element " << k);
    const double p = n * plan[k];
    CHECK(std::fabs(frequency[k] - p) <= 5 * std::sqrt(p * (1 - p) / steps));
  }
}

TEST_CASE("Sinkhorn's settings are checked", "[transport][sinkhorn]") {
  const auto error = [](const SinkhornIteration& how) {
    return test::thrown<std::invalid_argument>([&] { how.check(); });
  };
  CHECK(error({}) == "(nothing thrown)");
  CHECK(error({.regularisation = 0}) == "vrfm: Sinkhorn: regularisation must be above 0, got 0");
  CHECK(error({.regularisation = std::numeric_limits<double>::infinity()}) ==
        "vrfm: Sinkhorn: regularisation must be above 0, got inf");
  CHECK(error({.iterations = 0}) == "vrfm: Sinkhorn: expected at least 1 iteration, got 0");
  CHECK(error({.tolerance = -1}) == "vrfm: Sinkhorn: tolerance must be >= 0, got -1");
  CHECK(error({.tolerance = std::nan("")}) == "vrfm: Sinkhorn: tolerance must be >= 0, got nan");
}
