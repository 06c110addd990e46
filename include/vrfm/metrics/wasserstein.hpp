// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Wasserstein-1 distances between two sets of samples. In one dimension the distance is exact,
//   W1 = integral over u in (0, 1) of |F^-1(u) - G^-1(u)|,
// with the quantile functions of the sorted samples. In more dimensions it is the mean of that over
// projections onto random unit directions (Bonneel et al., "Sliced and Radon Wasserstein
// barycenters of measures", 2015).
#pragma once

#include <cmath>
#include <cstdint>

#include <vrfm/core/launch.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/metrics/detail/fixed_sum.hpp>
#include <vrfm/metrics/detail/samples.hpp>
#include <vrfm/metrics/detail/sort_rows.hpp>

namespace vrfm {

namespace detail::metrics {

/// Row r = random unit direction `first + r` (the unit vector 1 in one dimension).
template <class T>
struct RandomDirection {
  Matrix<T> directions;
  RandomStream stream;
  int first;

  KOKKOS_FUNCTION void operator()(int row) const {
    T* direction = directions.row(row);
    stream.normal<T>(static_cast<std::uint64_t>(first + row), 0, 0, directions.cols, direction);
    T squares = 0;
    for (int d = 0; d < directions.cols; ++d) squares += direction[d] * direction[d];
    const T scale = T(1) / math::sqrt(squares);
    for (int d = 0; d < directions.cols; ++d) direction[d] *= scale;
  }
};

/// projected(r, i) = direction r . x_i; infinity beyond the last sample.
template <class T>
struct Project {
  Matrix<const T> x, directions;
  Matrix<T> projected;

  KOKKOS_FUNCTION void operator()(std::int64_t index) const {
    const int r = static_cast<int>(index / projected.cols);
    const int i = static_cast<int>(index % projected.cols);
    constexpr T infinity = static_cast<T>(INFINITY);
    T sum = i < x.rows ? T(0) : infinity;
    for (int d = 0; i < x.rows && d < x.cols; ++d) sum += x(i, d) * directions(r, d);
    projected(r, i) = sum;
  }
};

/// What sorted sample i of `a` contributes to W1, for the index = direction * n + i. Sample i holds
/// the quantiles [i / n, (i + 1) / n), sample j of `b` those of [j / m, (j + 1) / m); in units of 1
/// / (n m) the overlaps are integers.
template <class T>
struct QuantileGap {
  Matrix<const T> a, b;
  std::int64_t n, m;

  KOKKOS_FUNCTION double operator()(std::int64_t index) const {
    const int row = static_cast<int>(index / n);
    const std::int64_t i = index % n;
    const T value = a(row, static_cast<int>(i));
    double sum = 0;
    for (std::int64_t j = i * m / n; j * n < (i + 1) * m; ++j) {
      const std::int64_t overlap =
          math::minimum((i + 1) * m, (j + 1) * n) - math::maximum(i * m, j * n);
      const double gap =
          static_cast<double>(value) - static_cast<double>(b(row, static_cast<int>(j)));
      sum += static_cast<double>(overlap) * math::fabs(gap);
    }
    return sum / (static_cast<double>(n) * static_cast<double>(m));
  }
};

/// The samples' projections onto each row of `directions`, sorted: [directions][N or more].
template <ExecutionSpace Exec, class T>
Table<T, Exec> sorted_projections(const Exec& exec, const Matrix<const T>& x,
                                  const Matrix<const T>& directions) {
  const Table<T, Exec> projected(
      Kokkos::view_alloc("vrfm::metrics::projections", exec, Kokkos::WithoutInitializing),
      static_cast<std::size_t>(directions.rows),
      static_cast<std::size_t>(row_capacity<Exec>(x.rows)));
  launch_each(exec, "vrfm::metrics::project", static_cast<std::int64_t>(projected.size()),
              Project<T>{x, directions, matrix(projected)});
  sort_rows(exec, matrix(projected));
  return projected;
}

/// Sum over the rows of `directions` of the W1 of the projections.
template <ExecutionSpace Exec, class T>
double projected_wasserstein1(const Exec& exec, const Matrix<const T>& x, const Matrix<const T>& y,
                              const Matrix<const T>& directions) {
  const auto a = sorted_projections(exec, x, directions);
  const auto b = sorted_projections(exec, y, directions);
  return fixed_sum(exec, "vrfm::metrics::wasserstein1", std::int64_t(x.rows) * directions.rows,
                   QuantileGap<T>{matrix(a), matrix(b), x.rows, y.rows});
}

}  // namespace detail::metrics

/// W1 between the samples `a` [N][1] and `b` [M][1], in their unit. Throws std::invalid_argument for
/// empty or not finite samples or more than one column.
template <ExecutionSpace Exec, class A, class B>
double wasserstein1(const Exec& exec, const A& a, const B& b) {
  using T = detail::metrics::Value<A>;
  static_assert(std::is_same_v<T, detail::metrics::Value<B>>,
                "vrfm: a metric needs samples of one type, float or double");
  const auto x = detail::metrics::samples(exec, "wasserstein1: a", a);
  const auto y = detail::metrics::samples(exec, "wasserstein1: b", b);
  expect(x.cols == 1 && y.cols == 1, "wasserstein1: expected one column, but a has ", x.cols,
         " and b has ", y.cols, " (for more, sliced_wasserstein1)");
  const Table<T, Exec> one(Kokkos::view_alloc("vrfm::metrics::one", exec), 1, 1);
  Kokkos::deep_copy(exec, one, T(1));
  return detail::metrics::projected_wasserstein1<Exec, T>(exec, x, y, matrix(one));
}

/// Mean over `directions` random unit directions of the W1 between the projections of `a` [N][D] and
/// `b` [M][D], in their unit. The directions depend on `seed` alone. Throws std::invalid_argument
/// for empty or not finite samples, different dimensions, no directions, or a seed of more than 32 bits.
template <ExecutionSpace Exec, class A, class B>
double sliced_wasserstein1(const Exec& exec, const A& a, const B& b, int directions = 128,
                           std::uint64_t seed = 0) {
  using T = detail::metrics::Value<A>;
  static_assert(std::is_same_v<T, detail::metrics::Value<B>>,
                "vrfm: a metric needs samples of one type, float or double");
  const auto x = detail::metrics::samples(exec, "sliced_wasserstein1: a", a);
  const auto y = detail::metrics::samples(exec, "sliced_wasserstein1: b", b);
  detail::metrics::expect_same_columns("a", x, "b", y);
  expect(directions > 0, "sliced_wasserstein1: expected at least one direction, but got ",
         directions);
  const RandomStream stream(narrow<std::uint32_t>(seed, "sliced_wasserstein1: the seed"),
                            Purpose::projection);
  // A fixed number of directions at a time bounds the memory; the sum's shape does not depend on
  // it.
  constexpr int group = 32;
  double sum = 0;
  for (int first = 0; first < directions; first += group) {
    const int count = math::minimum(group, directions - first);
    const Table<T, Exec> unit(
        Kokkos::view_alloc("vrfm::metrics::directions", exec, Kokkos::WithoutInitializing),
        static_cast<std::size_t>(count), static_cast<std::size_t>(x.cols));
    launch_each(exec, "vrfm::metrics::random_direction", count,
                detail::metrics::RandomDirection<T>{matrix(unit), stream, first});
    sum += detail::metrics::projected_wasserstein1<Exec, T>(exec, x, y, matrix(unit));
  }
  return sum / directions;
}

}  // namespace vrfm
