// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// StandardizationFit: a Standardization of rows, which come one after the other. Mean and deviation by Welford's sums
// in double (Welford 1962), so that it does not matter in which parts the rows are read; median and quartiles of all
// rows, or if there are many of every k-th.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/data/standardization.hpp>

namespace vrfm {

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
