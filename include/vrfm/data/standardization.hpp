// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Standardization: the maps of all columns of a table to numbers of a size near 1 (data/column_scale.hpp), one a column
// or, of images and fields, one a channel: column j is mapped by scale j % channels. StandardizationFit makes it of
// rows, which come one after the other: mean and deviation by Welford's sums in double, so that it does not matter in
// which parts the rows are read; median and quartiles of all rows, or if there are many of every k-th.
#pragma once

#include <algorithm>
#include <cmath>
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
inline constexpr std::uint32_t scale_elements[] = {1u << 24, 2u << 24, 3u << 24};

template <class T>
struct StandardizeRow {
  ScaleList scales;
  DrawAddress address;
  Matrix<T> rows;
  KOKKOS_FUNCTION void operator()(int i) const {
    scales.apply(rows.row(i), rows.cols, address.sample(i), address.step,
                 address.stream(Purpose::target), scale_elements[0]);
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
    const Array<ColumnScale, Exec> scales("vrfm::Standardization::scales", scales_.size());
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

struct StandardizationOptions {
  std::vector<ColumnOptions> columns = {{}};  ///< of each column or channel; one: all alike
  int channels = 0;                           ///< 0: each column has a scale of its own
  /// Medians and quartiles are those of all rows up to so many, else of every k-th, k the smallest that is enough.
  std::size_t quantile_rows = 100'000;
};

class StandardizationFit {
 public:
  /// rows: how many will come, at most. Throws std::invalid_argument for options that do not fit the columns, and for
  /// a logit without an interval.
  StandardizationFit(int columns, std::size_t rows, const StandardizationOptions& options)
      : columns_(columns), channels_(options.channels > 0 ? options.channels : columns) {
    expect(columns > 0 && channels_ > 0 && columns % channels_ == 0,
           "a standardization's channels must divide the columns, got ", options.channels, " of ",
           columns);
    const auto count = static_cast<std::size_t>(channels_);
    expect(options.columns.size() == 1 || options.columns.size() == count,
           "a standardization needs options of one or of ", count, " columns, got ",
           options.columns.size());
    expect(options.quantile_rows > 0, "quantile_rows must be positive, got 0");
    stride_ =
        (std::max)(std::size_t{1}, (rows + options.quantile_rows - 1) / options.quantile_rows);
    scales_.resize(count);
    for (std::size_t k = 0; k < count; ++k) {
      ColumnOptions& o = scales_[k].options = options.columns[options.columns.size() == 1 ? 0 : k];
      expect(o.kind != ScaleKind::logit || (o.low < o.high && std::isfinite(o.high - o.low)),
             "a logit needs bounds low < high, got ", o.low, " and ", o.high);
      if (o.kind == ScaleKind::quantiles) some_quantiles_ = true;
    }
    squares_.resize(count);
    if (some_quantiles_) values_.resize(count);
  }

  /// Adds a row of columns. Throws std::runtime_error, naming row, column and number, for one that is out of its
  /// scale's domain, not finite, or in a discrete column not whole.
  template <Real T>
  void add(const T* row) {
    const bool in_subset = some_quantiles_ && rows_ % stride_ == 0;
    const int pixels = columns_ / channels_;
    for (int p = 0; p < pixels; ++p) {
      ++count_;
      const double part = 1 / static_cast<double>(count_);
      for (int c = 0; c < channels_; ++c) {
        ColumnScale& scale = scales_[static_cast<std::size_t>(c)];
        const int j = p * channels_ + c;
        const double x = static_cast<double>(row[j]);
        if (!scale.takes(x)) {
          throw std::runtime_error("vrfm: " + detail::outside_sentence(scale.options, rows_, j, x));
        }
        const double g = scale.plain(scale.options.discrete ? x + 0.5 : x), off = g - scale.centre;
        scale.centre += off * part;
        squares_[static_cast<std::size_t>(c)] += off * (g - scale.centre);
        if (in_subset && scale.options.kind == ScaleKind::quantiles) {
          values_[static_cast<std::size_t>(c)].push_back(g);
        }
      }
    }
    ++rows_;
  }

  /// Discrete columns are fitted at n + 1/2, the mean of n + u. Throws std::runtime_error if no row came.
  Standardization finish() {
    if (rows_ == 0) throw std::runtime_error("vrfm: a standardization is fitted to rows, got none");
    std::vector<int> constant;
    for (std::size_t k = 0; k < scales_.size(); ++k) {
      ColumnScale& scale = scales_[k];
      scale.deviation = std::sqrt(squares_[k] / static_cast<double>(count_));
      if (scale.options.kind == ScaleKind::quantiles) {
        std::vector<double>& values = values_[k];
        scale.centre = quantile(values, 0.5);
        // Of a normal distribution this is the deviation.
        scale.deviation = (quantile(values, 0.75) - quantile(values, 0.25)) / 1.3489795003921634;
      }
      if (!(scale.deviation > 0)) {
        scale.deviation = 1;
        constant.push_back(static_cast<int>(k));
      }
      if (scale.options.kind == ScaleKind::identity) scale.centre = 0, scale.deviation = 1;
    }
    return Standardization(columns_, scales_, std::move(constant));
  }

 private:
  /// Interpolated between the two nearest.
  static double quantile(std::vector<double>& values, double q) {
    const double position = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::ptrdiff_t>(position);
    std::nth_element(values.begin(), values.begin() + below, values.end());
    const double low = values[static_cast<std::size_t>(below)],
                 part = position - std::floor(position);
    if (part == 0) return low;
    return low + part * (*std::min_element(values.begin() + below + 1, values.end()) - low);
  }

  int columns_, channels_;
  std::size_t stride_ = 1, rows_ = 0, count_ = 0;  // count_: numbers of a scale
  bool some_quantiles_ = false;
  std::vector<ColumnScale> scales_;  // centre: the mean so far
  std::vector<double> squares_;
  std::vector<std::vector<double>> values_;
};

}  // namespace vrfm
