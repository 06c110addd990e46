// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RowDraws: the rows of a table in an execution space's memory as a distribution that kernels draw from, with what
// their layout says of condition and weights (data/row_layout.hpp). The table may be the caller's own, of any row
// stride. Rows are drawn without replacement, in an order that is shuffled anew in each epoch, or as often as their
// weights say (data/detail/epoch_order.hpp). The order depends on (seed, epoch) alone, so the batch may be split in any
// way, and the step is the only position to save.
#pragma once

#include <cstddef>
#include <cstdint>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/core/distribution.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/data/detail/epoch_order.hpp>
#include <vrfm/data/row_layout.hpp>

namespace vrfm {

namespace detail {

/// Labels and weights of a table of packed rows, one behind the other.
template <class T>
struct TakeMarks {
  Matrix<const T> rows;
  RowLayout layout;
  Matrix<T> marks;
  KOKKOS_FUNCTION void operator()(int i) const {
    for (int j = layout.label_at(); j < layout.row_columns(); ++j) {
      marks(i, j - layout.label_at()) = rows(i, j);
    }
  }
};

}  // namespace detail

template <Real T, ExecutionSpace Exec>
class RowDraws {
 public:
  using value_type = T;
  /// [rows][layout.row_columns()]; views of other layouts convert to it.
  using Rows = Kokkos::View<const T**, Kokkos::LayoutStride, typename Exec::memory_space>;

  /// batch: samples of a step, over all its parts. Keeps `rows`, of which an unmanaged view does not keep the memory.
  /// Throws std::invalid_argument unless the rows have the layout's columns side by side, labels that are classes and
  /// finite weights of at least 0 that are not all 0; waits for `exec` if there are any.
  RowDraws(const Exec& exec, const Rows& rows, const RowLayout& layout, int batch)
      : rows_(rows), matrix_(matrix(rows)), layout_(layout) {
    expect(batch > 0, "rows are drawn in batches of at least 1, got ", batch);
    expect(layout.dimension > 0, "rows need columns of x1, got ", layout.dimension);
    expect(matrix_.rows > 0, "expected rows to draw from, got none");
    expect(matrix_.cols == layout.row_columns(), "a packed row of this layout has ",
           layout.row_columns(), " columns, but the rows have ", matrix_.cols);
    order_ = {static_cast<std::uint32_t>(matrix_.rows), static_cast<std::uint32_t>(batch)};
    if (layout.classes > 0 || layout.weighted) read_marks(exec);
  }

  KOKKOS_FUNCTION int dimension() const { return layout_.dimension; }
  KOKKOS_FUNCTION ConditionShape condition() const { return layout_.condition(); }
  KOKKOS_FUNCTION int count() const { return matrix_.rows; }

  /// Throws std::invalid_argument unless a step draws `batch` samples.
  void check(int batch) const {
    expect(batch == static_cast<int>(order_.batch), "these rows are drawn in batches of ",
           order_.batch, ", but a step draws ", batch);
  }

  /// The row that the draw at (sample, step) of `stream` takes.
  KOKKOS_FUNCTION int row(std::uint64_t sample, std::uint32_t step,
                          const RandomStream& stream) const {
    return static_cast<int>(order_(sample, step, stream));
  }

  /// Writes x1 of the row at (sample, step) of `stream`, and its condition.
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            const Slot<T>& slot) const {
    layout_.write(matrix_.row(row(sample, step, stream)), slot);
  }
  /// The same of x1 alone, to x [dimension()].
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            T* x) const {
    const T* const from = matrix_.row(row(sample, step, stream));
    for (int j = 0; j < layout_.dimension; ++j) x[j] = from[j];
  }

 private:
  void read_marks(const Exec& exec) {
    const int label_at = layout_.label_at();
    const Table<T, Exec> marks("vrfm::RowDraws::marks", rows_.extent(0),
                               static_cast<std::size_t>(layout_.row_columns() - label_at));
    launch_each(exec, "vrfm::RowDraws::take_marks", matrix_.rows,
                detail::TakeMarks<T>{matrix_, layout_, matrix(marks)});
    const auto host = to_host(exec, marks);
    detail::WeightRange range;
    const std::size_t at = layout_.classes > 0 ? 1 : 0, count = rows_.extent(0);
    for (std::size_t i = 0; i < count; ++i) {
      const T label = host(i, 0);
      expect(layout_.classes == 0 || (label >= 0 && label < static_cast<T>(layout_.classes) &&
                                      label == static_cast<T>(static_cast<std::int32_t>(label))),
             "row ", i, ": expected a label of 0 to ", layout_.classes - 1, ", found ", label);
      if (!layout_.weighted) continue;
      const T weight = host(i, at);
      expect(weight >= 0 && math::is_finite(weight), "row ", i,
             ": expected a finite weight >= 0, found ", weight);
      range.add(weight);
    }
    if (!layout_.weighted) return;
    expect(range.most > 0, "expected a weight above 0 among ", count, " rows, found none");
    if (range.equal()) return;
    cumulative_ = Array<double, Exec>("vrfm::RowDraws::cumulative", count);
    const auto sums = Kokkos::create_mirror_view(cumulative_);
    detail::cumulate_weights(count, 0, static_cast<double>(count), sums.data(),
                             [&](std::size_t i) { return host(i, at); });
    copy_elements(exec, cumulative_, sums);
    exec.fence();
    order_.cumulative = cumulative_.data();
  }

  Rows rows_;
  Matrix<const T> matrix_;
  RowLayout layout_;
  detail::EpochOrder order_ = {};
  Array<double, Exec> cumulative_;  // empty: all weights are equal
};

/// The rows of a view: row_draws(exec, table, {.dimension = 3}, 256).
template <ExecutionSpace Exec, class View>
auto row_draws(const Exec& exec, const View& rows, const RowLayout& layout, int batch) {
  return RowDraws<typename View::non_const_value_type, Exec>(exec, rows, layout, batch);
}

}  // namespace vrfm
