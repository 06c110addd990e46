// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Assignments: SciPy's sums and permutations, every permutation of small problems, prices that prove a large one, and
// costs that are no numbers.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/golden_numbers.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/transport/assignment.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers, test::thrown;

namespace {

/// n x n costs, row by row.
struct Costs {
  int n;
  std::vector<double> values;

  ConstMatrix<double> matrix() const { return {values.data(), n, n, n}; }
};

/// `costs` of make_transport.py.
Costs golden_costs(int k) {
  const int n = 1 + 7 * k % 48;
  const auto size = static_cast<std::size_t>(n);
  Numbers numbers(static_cast<std::uint32_t>(k));
  if (k % 4 < 2) {
    Costs costs{n, numbers.take(size * size)};
    if (k % 4 == 1) {
      for (double& value : costs.values) value = std::floor(4 * value);
    }
    return costs;
  }
  auto points = numbers.take(4 * size);
  if (k % 4 == 3) {
    for (double& value : points) value = std::floor(4 * value) / 4;
  }
  Costs costs{n, {}};
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = size; j < 2 * size; ++j) {
      costs.values.push_back(std::pow(points[2 * i] - points[2 * j], 2) +
                             std::pow(points[2 * i + 1] - points[2 * j + 1], 2));
    }
  }
  return costs;
}

/// The sum over a permutation; NaN if it is none.
double sum_of(const ConstMatrix<double>& cost, const std::vector<int>& columns) {
  std::vector<int> seen(columns.size());
  double sum = 0;
  for (int i = 0; i < cost.rows; ++i) {
    const int j = columns.at(static_cast<std::size_t>(i));
    if (j < 0 || j >= cost.cols || seen[static_cast<std::size_t>(j)]++ != 0) return NAN;
    sum += cost(i, j);
  }
  return sum;
}

/// By how much the prices fail to prove the permutation.
double error_of_prices(const ConstMatrix<double>& cost, const Assignment& a) {
  double worst = 0;
  for (int i = 0; i < cost.rows; ++i) {
    const auto row = static_cast<std::size_t>(i);
    for (int j = 0; j < cost.cols; ++j) {
      const double rest = cost(i, j) - a.row_prices[row] - a.column_prices[std::size_t(j)];
      worst = std::max(worst, j == a.columns[row] ? std::fabs(rest) : -rest);
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("assignments are SciPy's", "[transport][assignment]") {
  const auto file = test::golden_file("transport.safetensors");
  const auto sums = file.at("assignment.sums").values<double>();
  const auto columns = file.at("assignment.columns").values<std::int32_t>();
  REQUIRE(sums.size() == 200);
  std::size_t at = 0;
  for (int k = 0; k < 200; ++k) {
    INFO("problem " << k);
    const auto costs = golden_costs(k);
    const auto solution = solve_assignment(costs.matrix());
    // Each of n terms is at most 8, and each sum of them is rounded.
    const double bound = 8 * epsilon<double> * costs.n * costs.n;
    CHECK(std::fabs(solution.sum - sums[std::size_t(k)]) <= bound);
    CHECK(std::fabs(sum_of(costs.matrix(), solution.columns) - solution.sum) <= bound);
    CHECK(error_of_prices(costs.matrix(), solution) <= bound);
    if (k % 2 == 0) {
      CHECK(std::equal(solution.columns.begin(), solution.columns.end(), columns.data() + at));
      at += solution.columns.size();
    }
    CHECK(solve_assignment(costs.matrix()).columns == solution.columns);
  }
  CHECK(at == columns.size());
}

TEST_CASE("no permutation is better than the assignment", "[transport][assignment]") {
  for (int n = 1; n <= 7; ++n) {
    for (std::uint32_t seed = 1; seed <= 10; ++seed) {
      INFO(n << " rows, seed " << seed);
      const auto size = static_cast<std::size_t>(n);
      Costs costs{n, Numbers(seed).take(size * size)};
      // Integers of a few values: sums are exact, ties many.
      for (double& value : costs.values) value = std::floor((seed % 2 == 0 ? 3 : 1000) * value);
      std::vector<int> columns(size);
      std::iota(columns.begin(), columns.end(), 0);
      double least = std::numeric_limits<double>::infinity();
      do {
        least = std::min(least, sum_of(costs.matrix(), columns));
      } while (std::next_permutation(columns.begin(), columns.end()));
      const auto solution = solve_assignment(costs.matrix());
      CHECK(solution.sum == least);
      CHECK(sum_of(costs.matrix(), solution.columns) == least);
    }
  }
}

TEST_CASE("prices prove a large assignment", "[transport][assignment]") {
  // Points around 0 and around (3, 3): each row's least costs are those of the same few columns.
  constexpr int n = 600;
  const auto points = Numbers(3).take(4 * n);
  Costs costs{n, {}};
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = n; j < 2 * n; ++j) {
      costs.values.push_back(std::pow(points[2 * j] + 3 - points[2 * i], 2) +
                             std::pow(points[2 * j + 1] + 3 - points[2 * i + 1], 2));
    }
  }
  const auto solution = solve_assignment(costs.matrix());
  // Along a path of up to n columns a price is rounded at each of them; costs are at most 50.
  const double bound = 50 * epsilon<double> * n;
  CHECK(error_of_prices(costs.matrix(), solution) <= bound);
  const auto add = [](const std::vector<double>& prices) {
    return std::accumulate(prices.begin(), prices.end(), 0.0);
  };
  CHECK(std::fabs(add(solution.row_prices) + add(solution.column_prices) - solution.sum) <=
        bound * n);
  CHECK(std::fabs(sum_of(costs.matrix(), solution.columns) - solution.sum) <= bound * n);
}

TEST_CASE("equal costs, one column, none", "[transport][assignment]") {
  for (const int n : {0, 1, 2, 33}) {
    const Costs costs{n, std::vector<double>(static_cast<std::size_t>(n) * std::size_t(n), 2.5)};
    const auto solution = solve_assignment(costs.matrix());
    CHECK(solution.sum == 2.5 * n);
    CHECK(sum_of(costs.matrix(), solution.columns) == 2.5 * n);
  }
}

TEST_CASE("a solver takes another problem, larger strides, and what is not finite",
          "[transport][assignment]") {
  constexpr int n = 20;
  std::vector<double> memory(AssignmentSolver::memory(n));
  Arena<double> arena(memory.data(), memory.size());
  AssignmentSolver solver(n, arena);
  CHECK(arena.left() == 0);
  auto values = Numbers(1).take(n * 25);
  const ConstMatrix<double> cost(values.data(), n, n, 25);
  const double sum = solver.solve(cost);
  const std::vector<int> columns(solver.columns(), solver.columns() + n);
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const double good = values[25 * 7 + 3];
    values[25 * 7 + 3] = bad;
    CHECK(std::isnan(solver.solve(cost)));
    for (int i = 0; i < n; ++i) CHECK(solver.columns()[i] == i);
    CHECK(thrown<std::invalid_argument>([&] { solve_assignment(cost); }) ==
          "vrfm: solve_assignment: a cost is not finite");
    values[25 * 7 + 3] = good;
  }
  CHECK(solver.solve(cost) == sum);
  CHECK(std::vector<int>(solver.columns(), solver.columns() + n) == columns);
  CHECK(thrown<std::invalid_argument>(
            [&] { solve_assignment(ConstMatrix<double>(values.data(), 3, 4, 4)); }) ==
        "vrfm: solve_assignment: expected as many rows as columns, but got 3 rows of 4 columns");
}
