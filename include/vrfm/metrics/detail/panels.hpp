// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All squared distances between two sets of rows, a few at a time, for who keeps less of them than all. One set,
// the references, lies packed in panels of as many rows as two vectors of the processor hold, [panel][D][width]:
// so the sums of a panel and four queries stay in registers, and a panel stays in cache while a group of queries
// passes. Distances are sums of squared differences, in the order of the columns: those of equal rows are zero,
// and d(x, y) has the bits of d(y, x), neither of which the faster |x|^2 + |y|^2 - 2 x . y has.
#pragma once

#include <string>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/core/matrix.hpp>

namespace vrfm::detail::metrics {

/// Rows of a panel; queries that pass together; queries of a thread. On devices the threads are the vector.
template <ExecutionSpace Exec, class T>
struct PanelShape {
  static constexpr int width = is_host_space<Exec> ? 128 / static_cast<int>(sizeof(T)) : 1;
  static constexpr int together = is_host_space<Exec> ? 4 : 1;
  static constexpr int group = is_host_space<Exec> ? 32 : 1;
};

template <class T, int width>
struct PackPanel {
  Matrix<const T> x;
  Matrix<T> panels;

  KOKKOS_FUNCTION void operator()(int panel) const {
    T* out = panels.row(panel);
    for (int l = 0; l < width; ++l) {
      // What lies beyond the last row is read but not used.
      const T* row = x.row(math::minimum(panel * width + l, x.rows - 1));
      for (int d = 0; d < x.cols; ++d) out[d * width + l] = row[d];
    }
  }
};

/// Packed rows. Where a panel is one row, they are the rows themselves, which must outlive the panels.
template <class T, ExecutionSpace Exec>
class Panels {
 public:
  static constexpr int width = PanelShape<Exec, T>::width;

  Panels(const Exec& exec, const Matrix<const T>& x) : rows_(x.rows), panels_(x) {
    if constexpr (width > 1) {
      memory_ = Table<T, Exec>(
          Kokkos::view_alloc("vrfm::metrics::panels", exec, Kokkos::WithoutInitializing),
          static_cast<std::size_t>((x.rows - 1) / width + 1),
          static_cast<std::size_t>(x.cols) * static_cast<std::size_t>(width));
      const Matrix<T> packed = matrix(memory_);
      launch_each(exec, "vrfm::metrics::pack", packed.rows, PackPanel<T, width>{x, packed});
      panels_ = packed;
    }
  }

  int rows() const { return rows_; }
  const Matrix<const T>& panels() const { return panels_; }

 private:
  int rows_;
  Matrix<const T> panels_;
  Table<T, Exec> memory_;
};

/// out[i * width + l] = || row l of the panel - point[i] ||^2
template <class T, int width, int together>
KOKKOS_INLINE_FUNCTION void panel_distances(const T* panel, const T* const* point, int dimension,
                                            T* out) {
  T sum[std::size_t(together * width)];
  for (int l = 0; l < together * width; ++l) sum[l] = T(0);
  for (int d = 0; d < dimension; ++d) {
    const T* coordinate = panel + std::int64_t(d) * width;
    VRFM_UNROLL
    for (int i = 0; i < together; ++i) {
      const T centre = point[i][d];
      for (int l = 0; l < width; ++l) {
        const T offset = coordinate[l] - centre;
        sum[i * width + l] += offset * offset;
      }
    }
  }
  for (int l = 0; l < together * width; ++l) out[l] = sum[l];
}

template <class T, class Shape, class Visit>
struct VisitGroup {
  Matrix<const T> queries, panels;
  int references;
  Visit visit;

  KOKKOS_FUNCTION void operator()(int group) const {
    constexpr int width = Shape::width, together = Shape::together;
    const int begin = group * Shape::group;
    const int end = begin + math::minimum(Shape::group, queries.rows - begin);
    for (int p = 0; p < panels.rows; ++p) {
      const int first = p * width, count = math::minimum(width, references - first);
      for (int q = begin; q < end; q += together) {
        const T* point[std::size_t(together)];
        for (int i = 0; i < together; ++i) point[i] = queries.row(math::minimum(q + i, end - 1));
        T squares[std::size_t(together * width)];
        panel_distances<T, width, together>(panels.row(p), point, queries.cols, squares);
        for (int i = 0; i < math::minimum(together, end - q); ++i) {
          visit(q + i, first, count, squares + i * width);
        }
      }
    }
  }
};

/// visit(q, first, count, squares): squares[l] = || query q - reference first + l ||^2 for l < count. Of one query
/// the calls come one after the other, with rising references; of different ones at any time. Does not fence.
template <ExecutionSpace Exec, class T, class Visit>
void each_distance(const Exec& exec, const std::string& label, const Matrix<const T>& queries,
                   const Panels<T, Exec>& references, const Visit& visit) {
  using Shape = PanelShape<Exec, T>;
  launch_each(exec, label, (queries.rows - 1) / Shape::group + 1,
              VisitGroup<T, Shape, Visit>{queries, references.panels(), references.rows(), visit});
}

}  // namespace vrfm::detail::metrics
