// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Standardization: the maps of all columns of a table to numbers of a size near 1 (data/column_scale.hpp), one a column
// or, of images and fields, one a channel: column j is mapped by scale j % channels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/data/column_scale.hpp>

namespace vrfm {

namespace detail {

/// The scales of a row's columns in an execution space's memory.
struct ScaleList {
  const ColumnScale* scales;
  int count;

  /// Standardises a row. The u of discrete column j is element `element` + j at (sample, step).
  template <class T>
  KOKKOS_INLINE_FUNCTION void apply(T* row, int columns, std::uint64_t sample, std::uint32_t step,
                                    const RandomStream& stream, std::uint32_t element) const {
    for (int j = 0, k = 0; j < columns; ++j, k = k + 1 == count ? 0 : k + 1) {
      double x = static_cast<double>(row[j]);
      if (scales[k].options.discrete) {
        const auto at = element + static_cast<std::uint32_t>(j);
        x += dequantisation(static_cast<double>(stream.uniform<float>(sample, step, at)));
      }
      row[j] = static_cast<T>(scales[k].forward(x));
    }
  }
};

/// The u of discrete columns have elements of their own, which no distribution uses: those of x1, vector and field.
inline constexpr std::uint32_t scale_x1 = 1u << 24, scale_vector = 2u << 24, scale_field = 3u << 24;

template <class T>
struct StandardizeRow {
  ScaleList scales;
  DrawAddress address;
  Matrix<T> rows;
  KOKKOS_FUNCTION void operator()(int i) const {
    scales.apply(rows.row(i), rows.cols, address.sample(i), address.step,
                 address.stream(Purpose::target), scale_x1);
  }
};

template <class T>
struct RestoreRow {
  ScaleList scales;
  Matrix<T> rows;
  KOKKOS_FUNCTION void operator()(int i) const {
    for (int j = 0; j < rows.cols; ++j) {
      T& x = rows(i, j);
      x = static_cast<T>(scales.scales[j % scales.count].restored(static_cast<double>(x)));
    }
  }
};

template <class T>
struct SumLogSlopes {
  ScaleList scales;
  Matrix<const T> rows;
  double* sums;
  KOKKOS_FUNCTION void operator()(int i) const {
    double sum = 0;
    for (int j = 0; j < rows.cols; ++j) {
      sum += scales.scales[j % scales.count].log_slope(static_cast<double>(rows(i, j)));
    }
    sums[i] = sum;
  }
};

/// The first column of row i whose number has no place in its scale's domain, and that number; -1: all have.
template <class T>
struct FindOutside {
  ScaleList scales;
  Matrix<const T> rows;
  double* found;  // [rows][2]
  KOKKOS_FUNCTION void operator()(int i) const {
    found[2 * i] = -1;
    for (int j = rows.cols - 1; j >= 0; --j) {
      const double x = static_cast<double>(rows(i, j));
      if (scales.scales[j % scales.count].takes(x)) continue;
      found[2 * i] = j;
      found[2 * i + 1] = x;
    }
  }
};

/// "row 3, column 2: expected a number above -1 (log), found -2".
inline std::string outside_sentence(const ColumnOptions& options, std::size_t row, int column,
                                    double found) {
  std::string expected = options.discrete ? "a whole number" : "a finite number";
  if (options.kind == ScaleKind::log) {
    expected += text(options.discrete ? " of at least " : " above ", 0 - options.shift, " (log)");
  }
  if (options.kind == ScaleKind::logit) {
    expected += options.discrete
                    ? text(" of ", options.low, " to ", options.high - 1, " (logit)")
                    : text(" between ", options.low, " and ", options.high, " (logit)");
  }
  return text("row ", row, ", column ", column, ": expected ", expected, ", found ", found);
}

}  // namespace detail

class Standardization {
 public:
  /// Of no columns: what is standardised by it stays as it is.
  Standardization() = default;
  /// constant: those of `scales` that have no deviation in the data, which is then 1. Throws std::invalid_argument
  /// unless the scales divide the columns.
  Standardization(int columns, std::vector<ColumnScale> scales, std::vector<int> constant = {})
      : columns_(columns), scales_(std::move(scales)), constant_(std::move(constant)) {
    expect(
        columns > 0 && !scales_.empty() && static_cast<std::size_t>(columns) % scales_.size() == 0,
        "a standardization needs as many scales as columns, or as channels that divide them, got ",
        scales_.size(), " of ", columns, " columns");
  }

  int columns() const { return columns_; }
  /// One for each column, or for each channel.
  const std::vector<ColumnScale>& scales() const { return scales_; }
  const ColumnScale& scale(int column) const {
    return scales_[static_cast<std::size_t>(column) % scales_.size()];
  }
  /// Scales whose column was constant, or of ScaleKind::quantiles in most rows; their deviation is 1.
  const std::vector<int>& constant() const { return constant_; }

  /// The scales where kernels of `Exec` read them. Fences.
  template <ExecutionSpace Exec>
  Array<ColumnScale, Exec> scales_on(const Exec& exec) const {
    const Array<ColumnScale, Exec> scales(
        Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::Standardization::scales"),
        scales_.size());
    using Host = Kokkos::View<const ColumnScale*, Kokkos::HostSpace>;
    copy_elements(exec, scales, Host(scales_.data(), scales_.size()));
    exec.fence();
    return scales;
  }

  /// Standardises rows [n][columns()] in place, a view of `Exec` with adjacent columns. Discrete columns become n + u,
  /// u drawn for row i at address.at(i). Throws std::invalid_argument for other columns, and naming row, column and
  /// number for one that has no place in the domain of a log or logit, is not finite, or in a discrete column not
  /// whole; the rows are then unchanged. Allocates and fences, as the following do.
  template <ExecutionSpace Exec, class View>
  void standardize(const Exec& exec, const View& rows, const DrawAddress& address = {}) const {
    check(exec, rows);
    launch(exec, "vrfm::Standardization::standardize", rows, [&](auto m, detail::ScaleList list) {
      return detail::StandardizeRow<typename View::value_type>{list, address, m};
    });
  }

  /// The inverse, in place. Discrete columns become whole.
  template <ExecutionSpace Exec, class View>
  void restore(const Exec& exec, const View& rows) const {
    launch(exec, "vrfm::Standardization::restore", rows, [&](auto m, detail::ScaleList list) {
      return detail::RestoreRow<typename View::value_type>{list, m};
    });
  }

  /// log |dy/dx| of each row, summed over its columns, at rows that are not standardised (of discrete columns at
  /// n + u): log p(x) = log p(y) + log_slope.
  template <ExecutionSpace Exec, class View>
  Array<double, Exec> log_slope(const Exec& exec, const View& rows) const {
    const Array<double, Exec> sums("vrfm::Standardization::log_slope", rows.extent(0));
    launch(exec, "vrfm::Standardization::log_slope", rows, [&](auto m, detail::ScaleList list) {
      return detail::SumLogSlopes<typename View::non_const_value_type>{list, m, sums.data()};
    });
    return sums;
  }

  /// Throws as `standardize` does.
  template <ExecutionSpace Exec, class View>
  void check(const Exec& exec, const View& rows) const {
    const Array<double, Exec> found("vrfm::Standardization::check", 2 * rows.extent(0));
    launch(exec, "vrfm::Standardization::check", rows, [&](auto m, detail::ScaleList list) {
      return detail::FindOutside<typename View::non_const_value_type>{list, m, found.data()};
    });
    const auto host = to_host(exec, found);
    for (std::size_t i = 0; i < rows.extent(0); ++i) {
      if (host(2 * i) < 0) continue;
      const int column = static_cast<int>(host(2 * i));
      throw std::invalid_argument(
          "vrfm: " + detail::outside_sentence(scale(column).options, i, column, host(2 * i + 1)));
    }
  }

 private:
  template <ExecutionSpace Exec, class View, class Make>
  void launch(const Exec& exec, const char* label, const View& rows, const Make& make) const {
    const auto m = matrix(rows);
    expect(m.cols == columns_, "the standardization is of ", columns_,
           " columns, but the rows have ", m.cols);
    const auto scales = scales_on(exec);
    launch_each(exec, label, m.rows,
                make(m, detail::ScaleList{scales.data(), static_cast<int>(scales_.size())}));
    exec.fence();
  }

  int columns_ = 0;
  std::vector<ColumnScale> scales_;
  std::vector<int> constant_;
};

}  // namespace vrfm
