// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// |x_i - y_j|^2 of the samples of each block of a batch, in double: the costs of a transport between the x and the y
// of the block. A kernel computes a tile of them in registers, for which panels of some y lie transposed.
#pragma once

#include <vrfm/core/launch.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/parallel/partition.hpp>

namespace vrfm {

namespace detail::pairing {

/// y_j of a panel; rows and columns of a tile. On devices a tile is one element, so that threads read a panel's row
/// together.
template <ExecutionSpace Exec>
inline constexpr int panel_width = is_host_space<Exec> ? 16 : 32;
template <ExecutionSpace Exec>
inline constexpr int tile_rows = is_host_space<Exec> ? 4 : 1;
template <ExecutionSpace Exec>
inline constexpr int tile_cols = is_host_space<Exec> ? 16 : 1;

/// Each block's y as panels [D][width]; behind its last y, that one again.
template <class T, int width>
struct PackPanel {
  Partition blocks;
  int panels;  // of the largest block
  ConstMatrix<T> y;
  T* packed;

  KOKKOS_FUNCTION void operator()(int index) const {
    const int block = index / panels, first = blocks.first_sample(block);
    const int size = blocks.sample_count(block);
    T* const panel = packed + static_cast<std::size_t>(index) * static_cast<std::size_t>(y.cols) *
                                  static_cast<std::size_t>(width);
    for (int l = 0; l < width; ++l) {
      const int j = math::minimum(index % panels * width + l, size - 1);
      for (int d = 0; d < y.cols; ++d) panel[d * width + l] = y(first + j, d);
    }
  }
};

template <class T, int width, int rows, int cols>
struct DistanceTile {
  Partition blocks;
  int row_tiles, col_tiles, panels;  // of the largest block
  ConstMatrix<T> x;
  const T* packed;
  Matrix<double> cost, transposed;

  KOKKOS_FUNCTION void operator()(std::int64_t index) const {
    const int block = static_cast<int>(index / col_tiles / row_tiles);
    const int i = static_cast<int>(index / col_tiles % row_tiles) * rows;
    const int j = static_cast<int>(index % col_tiles) * cols;
    const int first = blocks.first_sample(block), size = blocks.sample_count(block);
    if (i >= size || j >= size) return;
    const auto panel = static_cast<std::size_t>(block) * static_cast<std::size_t>(panels) +
                       static_cast<std::size_t>(j / width);
    const T* y = packed + panel * static_cast<std::size_t>(x.cols) * std::size_t(width) + j % width;
    double sums[std::size_t(rows * cols)];
    for (int k = 0; k < rows * cols; ++k) sums[k] = 0;
    const T* points[std::size_t(rows)];  // behind the block's last x, that one again
    for (int r = 0; r < rows; ++r) points[r] = x.row(first + math::minimum(i + r, size - 1));
    for (int d = 0; d < x.cols; ++d, y += width) {
      double point[std::size_t(rows)];
      for (int r = 0; r < rows; ++r) point[r] = static_cast<double>(points[r][d]);
      VRFM_INDEPENDENT_ITERATIONS
      for (int l = 0; l < cols; ++l) {
        const double value = static_cast<double>(y[l]);
        VRFM_UNROLL
        for (int r = 0; r < rows; ++r) {
          const double offset = value - point[r];
          sums[r * cols + l] += offset * offset;
        }
      }
    }
    for (int r = 0; r < rows && i + r < size; ++r) {
      for (int l = 0; l < cols && j + l < size; ++l) {
        cost(first + i + r, j + l) = sums[r * cols + l];
        if (!transposed.empty()) transposed(first + j + l, i + r) = sums[r * cols + l];
      }
    }
  }
};

template <ExecutionSpace Exec>
int panel_count(const Partition& blocks) {
  return (blocks.largest_leaf() + panel_width<Exec> - 1) / panel_width<Exec>;
}

}  // namespace detail::pairing

/// Elements of working memory that squared_distances takes for samples of `dimension`.
template <ExecutionSpace Exec>
std::size_t distance_memory(const Partition& blocks, int dimension) {
  return static_cast<std::size_t>(blocks.leaves()) *
         static_cast<std::size_t>(detail::pairing::panel_count<Exec>(blocks)) *
         std::size_t(detail::pairing::panel_width<Exec>) * static_cast<std::size_t>(dimension);
}

/// cost(i, j - first) = |x_i - y_j|^2 for i and j of one block, whose first sample is `first`. x, y: [N][D], N =
/// blocks.samples(); `memory`: distance_memory elements; `cost`: [N][samples of the largest block]; `transposed`: the
/// same with x and y exchanged, or empty. Each element is a sum over d in order. Does not fence.
template <ExecutionSpace Exec, class T>
void squared_distances(const Exec& exec, const Partition& blocks, ConstMatrix<T> x,
                       ConstMatrix<T> y, T* memory, Matrix<double> cost,
                       Matrix<double> transposed = {}) {
  using namespace detail::pairing;
  constexpr int width = panel_width<Exec>, rows = tile_rows<Exec>, cols = tile_cols<Exec>;
  const int largest = blocks.largest_leaf(), panels = panel_count<Exec>(blocks);
  launch_each(exec, "vrfm::squared_distances::pack", blocks.leaves() * panels,
              PackPanel<T, width>{blocks, panels, y, memory});
  const int row_tiles = (largest + rows - 1) / rows, col_tiles = (largest + cols - 1) / cols;
  launch_each(exec, "vrfm::squared_distances",
              std::int64_t(blocks.leaves()) * row_tiles * col_tiles,
              DistanceTile<T, width, rows, cols>{blocks, row_tiles, col_tiles, panels, x, memory,
                                                 cost, transposed});
}

}  // namespace vrfm
