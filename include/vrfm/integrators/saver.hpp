// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Savers see the points of the time grid that trajectories pass through. A saver is a value that
// kernels carry. For each sample, in the order of the grid, the time loop calls
//   saver(index, row, t, x, dimension)
// where index is the point of the grid, row the sample's position in the call, and x has
// `dimension` elements. A user's own saver may sort x into a histogram, measure lengths, ...
#pragma once

#include <vrfm/core/check.hpp>
#include <vrfm/core/compat.hpp>

namespace vrfm {

template <class S, class T>
concept Saver = std::is_trivially_copyable_v<S> &&
                requires(const S& saver, const T* x) { saver(0, 0, T(0), x, 0); };

/// Saves nothing.
struct NoSaver {
  template <class T>
  KOKKOS_INLINE_FUNCTION void operator()(int, int, T, const T*, int) const {}
};

/// Writes x to table(index, row, :).
template <class T>
struct TrajectoryTable {
  T* data;
  std::size_t index_stride;
  std::size_t row_stride;

  KOKKOS_INLINE_FUNCTION void operator()(int index, int row, T, const T* x, int dimension) const {
    T* to = data + static_cast<std::size_t>(index) * index_stride +
            static_cast<std::size_t>(row) * row_stride;
    for (int j = 0; j < dimension; ++j) to[j] = x[j];
  }
};

/// A saver into `view` (points of the grid x samples x dimension, adjacent columns), which must
/// outlive it. Throws std::invalid_argument naming an extent that does not fit.
template <class View>
auto save_to(const View& view, int points, std::size_t samples, int dimension) {
  static_assert(View::rank == 3,
                "vrfm: save_to needs a view of rank 3, [points of the grid][samples][dimension]");
  const auto label = text("view '", view.label(), "'");
  expect_same(label, view.extent(0), "the time grid", static_cast<std::size_t>(points), "points");
  expect_same(label, view.extent(1), "the call", samples, "samples");
  expect_same(label, view.extent(2), "the velocity field", static_cast<std::size_t>(dimension),
              "columns");
  expect(dimension == 1 || view.stride(2) == 1, label, " must have adjacent columns, but they are ",
         view.stride(2), " elements apart");
  return TrajectoryTable<typename View::value_type>{view.data(),
                                                    static_cast<std::size_t>(view.stride(0)),
                                                    static_cast<std::size_t>(view.stride(1))};
}

}  // namespace vrfm
