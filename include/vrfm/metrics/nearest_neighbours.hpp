// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The k nearest neighbours of each row of a set among the rows of another, or among the other rows of its own, by
// comparing all of them: exact, in any dimension. Of equal distances the lower row number comes first.
#pragma once

#include <type_traits>

#include <vrfm/metrics/detail/panels.hpp>
#include <vrfm/metrics/detail/samples.hpp>

namespace vrfm {

/// [queries][k], nearest first.
template <class T, ExecutionSpace Exec>
struct NearestNeighbours {
  Table<int, Exec> rows;
  Table<T, Exec> squared_distances;
};

namespace detail::metrics {

/// Keeps the least distances of each query in order, for references that come in order.
template <class T>
struct KeepNearest {
  Matrix<int> rows;
  Matrix<T> squared_distances;
  bool without_self;

  KOKKOS_FUNCTION void operator()(int query, int first, int count, const T* squares) const {
    const int k = rows.cols;
    int* row = rows.row(query);
    T* nearest = squared_distances.row(query);
    for (int l = 0; l < count; ++l) {
      const int reference = first + l;
      if (without_self && reference == query) continue;
      const int before = reference - (without_self && reference > query ? 1 : 0);
      if (before >= k && !(squares[l] < nearest[k - 1])) continue;
      int place = math::minimum(before, k - 1);
      for (; place > 0 && squares[l] < nearest[place - 1]; --place) {
        nearest[place] = nearest[place - 1];
        row[place] = row[place - 1];
      }
      nearest[place] = squares[l];
      row[place] = reference;
    }
  }
};

template <ExecutionSpace Exec, class T>
NearestNeighbours<T, Exec> nearest_in_panels(const Exec& exec, const Panels<T, Exec>& known,
                                             const Matrix<const T>& queries, int neighbours,
                                             bool without_self) {
  const auto n = static_cast<std::size_t>(queries.rows), k = static_cast<std::size_t>(neighbours);
  const NearestNeighbours<T, Exec> found{
      Table<int, Exec>(
          Kokkos::view_alloc("vrfm::NearestNeighbours::rows", exec, Kokkos::WithoutInitializing), n,
          k),
      Table<T, Exec>(Kokkos::view_alloc("vrfm::NearestNeighbours::squared_distances", exec,
                                        Kokkos::WithoutInitializing),
                     n, k)};
  each_distance(exec, "vrfm::nearest_neighbours", queries, known,
                KeepNearest<T>{matrix(found.rows), matrix(found.squared_distances), without_self});
  return found;
}

}  // namespace detail::metrics

/// The `neighbours` rows of `known` [N][D] that are nearest to each row of `queries` [M][D]. O(N M D); memory for
/// the result and a copy of `known`. Fences `exec`. Throws std::invalid_argument for empty or not finite samples,
/// different dimensions, or a number of neighbours that is not one to N.
template <ExecutionSpace Exec, class Known, class Queries>
auto nearest_neighbours(const Exec& exec, const Known& known, const Queries& queries,
                        int neighbours) {
  using T = detail::metrics::Value<Known>;
  static_assert(std::is_same_v<T, detail::metrics::Value<Queries>>,
                "vrfm: a metric needs samples of one type, float or double");
  const auto x = detail::metrics::samples(exec, "nearest_neighbours: known", known);
  const auto y = detail::metrics::samples(exec, "nearest_neighbours: queries", queries);
  detail::metrics::expect_same_columns("known", x, "queries", y);
  expect(neighbours > 0 && neighbours <= x.rows, "nearest_neighbours: expected one to ", x.rows,
         " neighbours among as many rows, but got ", neighbours);
  const detail::metrics::Panels<T, Exec> panels(exec, x);
  const auto found =
      detail::metrics::nearest_in_panels<Exec, T>(exec, panels, y, neighbours, false);
  exec.fence();
  return found;
}

/// The same of each row of `samples` [N][D] among the others, so for one to N - 1 neighbours.
template <ExecutionSpace Exec, class View>
auto nearest_neighbours(const Exec& exec, const View& samples, int neighbours) {
  using T = detail::metrics::Value<View>;
  const auto x = detail::metrics::samples(exec, "nearest_neighbours: samples", samples);
  expect(neighbours > 0 && neighbours < x.rows, "nearest_neighbours: expected one to ", x.rows - 1,
         " neighbours among the other rows, but got ", neighbours);
  const detail::metrics::Panels<T, Exec> panels(exec, x);
  const auto found = detail::metrics::nearest_in_panels<Exec, T>(exec, panels, x, neighbours, true);
  exec.fence();
  return found;
}

}  // namespace vrfm
