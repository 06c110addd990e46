// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mean and covariance of feature vectors,
//   mu = sum_i x_i / N,   C = sum_i (x_i - mu) (x_i - mu)^T / (N - 1),
// as NumPy's mean and cov: in double whatever the type of the features, and centred before they are
// multiplied. The order of all sums depends on the table's shape alone.
#pragma once

#include <cstddef>
#include <vector>

#include <vrfm/core/copy.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/metrics/detail/samples.hpp>

namespace vrfm {

/// The normal distribution that is fitted to feature vectors of D elements.
struct FeatureStatistics {
  std::vector<double> mean;        ///< [D]
  std::vector<double> covariance;  ///< [D][D]
};

namespace detail::metrics {

template <class T>
struct AsDouble {
  Matrix<const T> x;

  KOKKOS_FUNCTION double operator()(int i, int j) const { return static_cast<double>(x(i, j)); }
};

/// values[j] /= divisor
struct Divide {
  double* values;
  double divisor;

  KOKKOS_FUNCTION void operator()(int, int j) const { values[j] /= divisor; }
};

/// centred(i, j) = x(i, j) - mean[j]
template <class T>
struct Centre {
  Matrix<const T> x;
  const double* mean;
  Matrix<double> centred;

  KOKKOS_FUNCTION void operator()(int i, int j) const {
    centred(i, j) = static_cast<double>(x(i, j)) - mean[j];
  }
};

/// The elements of a contiguous view. Fences `exec`.
template <ExecutionSpace Exec, class View>
std::vector<double> host_numbers(const Exec& exec, const View& view) {
  const auto host = to_host(exec, view);
  return std::vector<double>(host.data(), host.data() + host.size());
}

}  // namespace detail::metrics

/// The statistics of the rows of `features` [N][D]. O(N D^2); besides the result it takes memory for
/// 1,024 rows. Throws std::invalid_argument for fewer than two rows or a number that is not finite.
template <ExecutionSpace Exec, class View>
FeatureStatistics feature_statistics(const Exec& exec, const View& features) {
  using T = detail::metrics::Value<View>;
  const auto x = detail::metrics::samples(exec, "feature_statistics: features", features);
  expect(x.rows > 1, "feature_statistics: expected at least two rows, but got ", x.rows);

  // Enough rows at a time for the product to be worth its launch.
  constexpr int most = 1024;
  const int blocks = (x.rows - 1) / most + 1;
  const auto block_rows = [&](int block) { return math::minimum(most, x.rows - block * most); };
  const BatchContext<Exec, Compute::float32, CoreEngines> ctx(exec);
  const auto columns = static_cast<std::size_t>(x.cols);
  const Table<double, Exec> sums(Kokkos::view_alloc("vrfm::metrics::sums", exec),
                                 static_cast<std::size_t>(blocks), columns);
  const Array<double, Exec> mean(Kokkos::view_alloc("vrfm::metrics::mean", exec), columns);
  for (int block = 0; block < blocks; ++block) {
    const auto part = x.row_range(block * most, block_rows(block));
    ctx.column_sum(part.rows, part.cols, detail::metrics::AsDouble<T>{part}, &sums(block, 0),
                   Update::overwrite);
  }
  ctx.column_sum(matrix(sums), mean.data(), Update::overwrite);
  ctx.map(1, x.cols, detail::metrics::Divide{mean.data(), static_cast<double>(x.rows)});

  const Table<double, Exec> centred(Kokkos::view_alloc("vrfm::metrics::centred", exec),
                                    static_cast<std::size_t>(block_rows(0)), columns);
  const Table<double, Exec> covariance(Kokkos::view_alloc("vrfm::metrics::covariance", exec),
                                       columns, columns);
  for (int block = 0; block < blocks; ++block) {
    const auto part = x.row_range(block * most, block_rows(block));
    const auto rows = matrix(centred).row_range(0, part.rows);
    ctx.map(part.rows, part.cols, detail::metrics::Centre<T>{part, mean.data(), rows});
    ctx.template gemm<Op::transpose, Op::none>(rows, rows, matrix(covariance), Update::accumulate);
  }
  FeatureStatistics statistics{detail::metrics::host_numbers(exec, mean),
                               detail::metrics::host_numbers(exec, covariance)};
  for (double& value : statistics.covariance) value /= x.rows - 1;
  return statistics;
}

}  // namespace vrfm
