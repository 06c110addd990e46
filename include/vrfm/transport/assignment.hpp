// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The assignment problem: the permutation p of n columns that makes sum_i cost(i, p(i)) least. Exact, on one thread
// of the host, by shortest augmenting paths after three passes that assign most rows at once: column reduction,
// reduction transfer, augmenting row reduction (Jonker and Volgenant, "A shortest augmenting path algorithm for
// dense and sparse linear assignment problems", Computing 38, 1987). O(n^3) at worst. Prices u of rows and v of
// columns prove the result: u_i + v_j <= cost(i, j), with equality where p(i) = j, up to rounding.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <vrfm/core/arena.hpp>
#include <vrfm/core/check.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/transport/detail/scan.hpp>

namespace vrfm {

/// Solves problems of one size in memory that is given, without an allocation.
class AssignmentSolver {
 public:
  /// For n rows and columns, in a slice of `arena` that it keeps. With Arena::measure() it may not solve.
  AssignmentSolver(int n, Arena<double>& arena)
      : n_(n),
        row_price_(arena.take(1, n).data),
        column_price_(arena.take(1, n).data),
        open_price_(arena.take(1, n).data),
        length_(arena.take(1, n).data),
        reached_at_(arena.take(1, n).data),
        column_(arena.take_as<int>(1, n).data),
        row_(arena.take_as<int>(1, n).data),
        free_(arena.take_as<int>(1, n).data),
        from_(arena.take_as<int>(1, n).data),
        tree_(arena.take_as<int>(1, n).data) {}

  /// Doubles of memory that a solver for n rows takes.
  static std::size_t memory(int n) {
    auto arena = Arena<double>::measure();
    AssignmentSolver(n, arena);
    return arena.peak();
  }

  /// Returns the least sum. The same costs give the same permutation, also of several that are least. If a cost is
  /// not finite, the sum is NaN, the permutation the identity and prices are undefined. `cost` is n x n.
  double solve(ConstMatrix<double> cost) {
    cost_ = cost;
    if (!reduce_columns()) {
      for (int i = 0; i < n_; ++i) column_[i] = i;
      return std::numeric_limits<double>::quiet_NaN();
    }
    int free = transfer_reduction();
    for (int sweep = 0; sweep < 2 && free > 0; ++sweep) free = reduce_rows(free);
    for (int k = 0; k < free; ++k) augment(free_[k]);
    double sum = 0;
    for (int i = 0; i < n_; ++i) {
      const double assigned = cost_(i, column_[i]);
      row_price_[i] = assigned - column_price_[column_[i]];
      sum += assigned;
    }
    return sum;
  }

  /// Of the last problem: p(i) of each row, and the prices [n].
  const int* columns() const { return column_; }
  const double* row_prices() const { return row_price_; }
  const double* column_prices() const { return column_price_; }

 private:
  static constexpr int none = -1;

  /// The price of a column is its least cost; the row that has it takes the last such column. Returns whether all
  /// costs are finite.
  bool reduce_columns() {
    double* const least = column_price_;
    int* const where = from_;
    for (int j = 0; j < n_; ++j) {
      least[j] = detail::pairing::infinity;
      where[j] = 0;
      length_[j] = 0;
    }
    for (int i = 0; i < n_; ++i) {
      const double* const cost = cost_.row(i);
      double* const zero = length_;  // not 0 once a cost of the column was not finite
      const double price = detail::pairing::smallest(cost, n_);
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < n_; ++j) {
        const double value = cost[j] - price;
        zero[j] += value - value;
        where[j] = value < least[j] ? i : where[j];
        least[j] = value < least[j] ? value : least[j];
      }
      column_[i] = none;
    }
    bool finite = true;
    for (int j = n_ - 1; j >= 0; --j) {
      finite = finite && length_[j] == 0;
      const int i = where[j];
      row_[j] = column_[i] == none ? i : none;
      if (column_[i] == none) column_[i] = j;
    }
    return finite;
  }

  /// Lowers the price of each assigned column by as much as its row stays with it. Lists the free rows and returns
  /// their number.
  int transfer_reduction() {
    int free = 0;
    for (int i = 0; i < n_; ++i) {
      if (column_[i] == none) {
        free_[free++] = i;
        continue;
      }
      const auto two = detail::pairing::two_smallest(cost_.row(i), column_price_, n_, length_);
      const int j = column_[i];
      const double other = two.at == j ? two.second : two.least;
      if (n_ > 1) column_price_[j] -= math::maximum(0.0, other - length_[j]);
    }
    return free;
  }

  /// Each free row takes its best column and lowers its price to that of the second best; the row that had the
  /// column is next. Lists the rows that stay free and returns their number.
  int reduce_rows(int free) {
    int stay = 0;
    // Prices that hardly fall would be bid for ever; more scans than these take longer than the paths they save.
    std::int64_t scans = 2 * std::int64_t(n_);
    for (int k = 0; k < free;) {
      const int i = free_[k++];
      const auto two = detail::pairing::two_smallest(cost_.row(i), column_price_, n_, length_);
      int j = two.at;
      const double price = column_price_[j] - (two.second - two.least);
      const bool lowers = n_ > 1 && price < column_price_[j];
      if (!lowers && row_[j] != none && n_ > 1) j = two.second_at;
      const int before = row_[j];
      if (lowers) column_price_[j] = price;
      column_[i] = j;
      row_[j] = i;
      if (before == none) continue;
      column_[before] = none;
      if (lowers && scans-- > 0) {
        free_[--k] = before;
      } else {
        free_[stay++] = before;
      }
    }
    return stay;
  }

  /// Dijkstra's shortest path over reduced costs from a free row to a free column; exchanges the assignments along
  /// it and lowers the prices of the columns that it left behind.
  void augment(int start) {
    for (int j = 0; j < n_; ++j) {
      open_price_[j] = column_price_[j];
      length_[j] = detail::pairing::infinity;
    }
    int row = start, end = none, visited = 0;
    double excess = 0, least = 0;
    while (end == none) {
      least =
          detail::pairing::relax({cost_.row(row), open_price_, excess, row, length_, from_}, n_);
      const int j = nearest(least);
      if (row_[j] == none) {
        end = j;
      } else {
        tree_[visited] = j;
        reached_at_[visited++] = least;
        open_price_[j] = -detail::pairing::infinity;
        length_[j] = detail::pairing::infinity;
        row = row_[j];
        excess = (cost_(row, j) - column_price_[j]) - least;
      }
    }
    for (int k = 0; k < visited; ++k) column_price_[tree_[k]] += reached_at_[k] - least;
    for (int j = end, i = none; i != start;) {
      i = from_[j];
      row_[j] = i;
      std::swap(j, column_[i]);
    }
  }

  /// The first free column at this length; without one, the first column.
  int nearest(double length) const {
    int first = none;
    for (int begin = 0; begin < n_; begin += detail::pairing::lanes) {
      const int end = math::minimum(n_, begin + detail::pairing::lanes);
      if (detail::pairing::count_equal(length_, begin, end, length) == 0) continue;
      for (int j = begin; j < end; ++j) {
        if (length_[j] != length) continue;
        if (row_[j] == none) return j;
        if (first == none) first = j;
      }
    }
    return first;
  }

  int n_;
  double *row_price_, *column_price_, *open_price_, *length_, *reached_at_;
  int *column_, *row_, *free_, *from_, *tree_;
  ConstMatrix<double> cost_;
};

/// The solution of one problem.
struct Assignment {
  std::vector<int> columns;                       ///< p(i) of each row
  std::vector<double> row_prices, column_prices;  ///< u, v
  double sum = 0;                                 ///< of the costs, the least
};

/// Throws std::invalid_argument unless the costs are square and finite.
inline Assignment solve_assignment(ConstMatrix<double> cost) {
  expect(cost.rows == cost.cols, "solve_assignment: expected as many rows as columns, but got ",
         cost.rows, " rows of ", cost.cols, " columns");
  std::vector<double> memory(AssignmentSolver::memory(cost.rows));
  Arena<double> arena(memory.data(), memory.size());
  AssignmentSolver solver(cost.rows, arena);
  const double sum = solver.solve(cost);
  expect(math::is_finite(sum), "solve_assignment: a cost is not finite");
  const int n = cost.rows;
  return {{solver.columns(), solver.columns() + n},
          {solver.row_prices(), solver.row_prices() + n},
          {solver.column_prices(), solver.column_prices() + n},
          sum};
}

}  // namespace vrfm
