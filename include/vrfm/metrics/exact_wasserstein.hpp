// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exact Wasserstein distances of any dimension between two sets of equally many samples,
//   W_k = (min over permutations p of 1/N sum_i |a_i - b_p(i)|^k)^(1/k), k = 1 or 2,
// |.| the Euclidean norm: the optimal plan between such sets is a permutation (Birkhoff), found as an assignment. For
// small sets: N^2 doubles of memory, up to N^3 steps of one thread. Estimated from N samples in D dimensions, W of two
// equal distributions falls no faster than N^(-1/D): compare it with that of two sets of one distribution.
#pragma once

#include <cmath>

#include <vrfm/core/copy.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/metrics/detail/samples.hpp>
#include <vrfm/transport/assignment.hpp>
#include <vrfm/transport/squared_distances.hpp>

namespace vrfm {

namespace detail::metrics {

struct RootRow {
  Matrix<double> cost;

  KOKKOS_FUNCTION void operator()(int i) const {
    for (int j = 0; j < cost.cols; ++j) cost(i, j) = math::sqrt(cost(i, j));
  }
};

/// The least mean of the distances, or of their squares.
template <ExecutionSpace Exec, class A, class B>
double least_mean_distance(const Exec& exec, const std::string& name, const A& a, const B& b,
                           bool squares) {
  using T = Value<A>;
  static_assert(std::is_same_v<T, Value<B>>,
                "vrfm: a metric needs samples of one type, float or double");
  const auto x = samples(exec, name + ": a", a);
  const auto y = samples(exec, name + ": b", b);
  expect_same_columns("a", x, "b", y);
  expect(x.rows == y.rows, name, ": expected as many samples in a as in b, but got ", x.rows,
         " and ", y.rows);
  const Partition one(x.rows, 1);
  const auto n = static_cast<std::size_t>(x.rows);
  const Array<T, Exec> memory(
      Kokkos::view_alloc("vrfm::metrics::panels", exec, Kokkos::WithoutInitializing),
      distance_memory<Exec>(one, x.cols));
  const Table<double, Exec> cost(
      Kokkos::view_alloc("vrfm::metrics::distances", exec, Kokkos::WithoutInitializing), n, n);
  squared_distances<Exec, T>(exec, one, x, y, memory.data(), matrix(cost));
  if (!squares) launch_each(exec, "vrfm::metrics::root", x.rows, RootRow{matrix(cost)});
  const auto host = to_host(exec, cost);
  return solve_assignment(matrix(host)).sum / x.rows;
}

}  // namespace detail::metrics

/// W1 between the samples `a` and `b`, each [N][D], in their unit. Throws std::invalid_argument for empty or not
/// finite samples or different shapes.
template <ExecutionSpace Exec, class A, class B>
double exact_wasserstein1(const Exec& exec, const A& a, const B& b) {
  return detail::metrics::least_mean_distance(exec, "exact_wasserstein1", a, b, false);
}

/// W2, likewise.
template <ExecutionSpace Exec, class A, class B>
double exact_wasserstein2(const Exec& exec, const A& a, const B& b) {
  return std::sqrt(detail::metrics::least_mean_distance(exec, "exact_wasserstein2", a, b, true));
}

}  // namespace vrfm
