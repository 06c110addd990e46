// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernel distance of two sets of features, KID where they are Inception's (Binkowski et al., "Demystifying MMD
// GANs", 2018): the unbiased squared maximum mean discrepancy (mmd.hpp) with the cubic polynomial kernel
//   k(x, y) = (x . y / D + 1)^3,
// on each of many random subsets of n rows of both sets,
//   sum_{i != j} (k(x_i, x_j) + k(y_i, y_j)) / (n (n - 1)) - 2 sum_{i, j} k(x_i, y_j) / n^2.
// Unlike the Frechet distance it is not biased for few samples. Products and sums are in double.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/metrics/detail/samples.hpp>
#include <vrfm/metrics/detail/subset.hpp>
#include <vrfm/metrics/feature_statistics.hpp>

namespace vrfm {

struct KernelDistanceOptions {
  int subsets = 100;       ///< each drawn anew from all rows
  int subset_size = 1000;  ///< different rows of each set
  std::uint64_t seed = 0;
};

/// Mean and standard deviation over the subsets; they overlap, so that the mean's own error is not
/// the deviation over the root of their number.
struct KernelDistance {
  double mean = 0, deviation = 0;
};

namespace detail::metrics {

/// k of the products x_i . y_j; zero for i = j if `without_self`.
struct CubicKernel {
  Matrix<const double> products;
  double scale;
  bool without_self;

  KOKKOS_FUNCTION double operator()(int i, int j) const {
    const double k = products(i, j) * scale + 1;
    return without_self && i == j ? 0.0 : k * k * k;
  }
};

}  // namespace detail::metrics

/// The distance between the rows of `a` [N][D] and `b` [M][D], in the sixth power of the features' unit; may be
/// negative. O(subsets n^2 D); besides the samples it takes memory for 2 n D + n^2 doubles. Throws
/// std::invalid_argument for empty or not finite samples, different dimensions, no subsets, subsets of fewer than
/// two rows or of more than there are, or a seed of more than 32 bits.
template <ExecutionSpace Exec, class A, class B>
KernelDistance kernel_distance(const Exec& exec, const A& a, const B& b,
                               const KernelDistanceOptions& options = {}) {
  using T = detail::metrics::Value<A>;
  static_assert(std::is_same_v<T, detail::metrics::Value<B>>,
                "vrfm: a metric needs samples of one type, float or double");
  const auto x = detail::metrics::samples(exec, "kernel_distance: a", a);
  const auto y = detail::metrics::samples(exec, "kernel_distance: b", b);
  detail::metrics::expect_same_columns("a", x, "b", y);
  expect(options.subsets > 0, "kernel_distance: expected at least one subset, but got ",
         options.subsets);
  const int n = options.subset_size;
  expect(n > 1 && n <= x.rows && n <= y.rows,
         "kernel_distance: expected subsets of two to all rows, but got subsets of ", n, " of the ",
         x.rows, " rows of a and the ", y.rows, " rows of b");
  const RandomStream stream(narrow<std::uint32_t>(options.seed, "kernel_distance: the seed"),
                            Purpose::subset);

  const auto table = [&](int columns) {
    return Table<double, Exec>(
        Kokkos::view_alloc("vrfm::metrics::kernel_distance", exec, Kokkos::WithoutInitializing),
        static_cast<std::size_t>(n), static_cast<std::size_t>(columns));
  };
  const auto x_rows = table(x.cols), y_rows = table(x.cols), products = table(n);
  const Array<double, Exec> sums(Kokkos::view_alloc("vrfm::metrics::sums", exec),
                                 static_cast<std::size_t>(n));
  const BatchContext<Exec, Compute::float32, CoreEngines> ctx(exec);
  const auto sum = [&](const Table<double, Exec>& left, const Table<double, Exec>& right,
                       bool without_self) {
    ctx.template gemm<Op::none, Op::transpose>(matrix(left), matrix(right), matrix(products),
                                               Update::overwrite);
    ctx.column_sum(n, n, detail::metrics::CubicKernel{matrix(products), 1.0 / x.cols, without_self},
                   sums.data(), Update::overwrite);
    double total = 0;
    for (const double column : detail::metrics::host_numbers(exec, sums)) total += column;
    return total;
  };
  std::vector<double> distances;
  for (int k = 0; k < options.subsets; ++k) {
    const auto subset = static_cast<std::uint64_t>(k);
    detail::metrics::take_rows(exec, x, detail::metrics::draw_subset(stream, subset, 0, x.rows, n),
                               matrix(x_rows));
    detail::metrics::take_rows(exec, y, detail::metrics::draw_subset(stream, subset, 1, y.rows, n),
                               matrix(y_rows));
    const double within = sum(x_rows, x_rows, true) + sum(y_rows, y_rows, true);
    const double pairs = n;
    distances.push_back(within / (pairs * (pairs - 1)) -
                        2 * sum(x_rows, y_rows, false) / (pairs * pairs));
  }
  KernelDistance result;
  for (const double distance : distances) result.mean += distance / options.subsets;
  double variance = 0;
  for (const double distance : distances)
    variance += (distance - result.mean) * (distance - result.mean) / options.subsets;
  result.deviation = std::sqrt(variance);
  return result;
}

}  // namespace vrfm
