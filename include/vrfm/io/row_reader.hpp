// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RowReader: an array of a file as rows of numbers that are read in ranges, whatever the file's format, so that it may
// be larger than memory. The first extent counts the rows; the others together are the numbers of a row.
// open_rows (io/open_rows.hpp) makes one of a file.
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace vrfm {

/// What an array of a file is.
struct ArrayInfo {
  std::string name;                  ///< its path in the file; empty: the file is one array
  std::string type;                  ///< of its elements, such as "float64" or "string"
  std::vector<std::size_t> shape;    ///< its extents, [rows, ...]
  std::vector<std::string> columns;  ///< names of the columns; empty: they have none
};

class RowReader {
 public:
  virtual ~RowReader() = default;

  const ArrayInfo& info() const { return info_; }
  /// File and array as messages name them.
  const std::string& name() const { return name_; }
  std::size_t rows() const { return info_.shape.front(); }
  /// Numbers of a row.
  std::size_t columns() const { return columns_; }

  /// Rows first, first + 1, ... row-major, as many as fill `out`. Several threads may read at once. Throws
  /// std::runtime_error that names the file if they cannot be read, std::invalid_argument for rows that it has not.
  virtual void read(std::size_t first, std::span<float> out) const = 0;
  virtual void read(std::size_t first, std::span<double> out) const = 0;

 protected:
  /// Throws std::invalid_argument unless there are an extent and a number in each row.
  RowReader(std::string name, ArrayInfo info) : name_(std::move(name)), info_(std::move(info)) {
    if (info_.shape.empty())
      throw std::invalid_argument(name_ + ": expected an array of rows, found a single number");
    for (std::size_t k = 1; k < info_.shape.size(); ++k) columns_ *= info_.shape[k];
    if (columns_ == 0)
      throw std::invalid_argument(name_ + ": expected at least one number in each row, found none");
  }
  /// How many rows `size` numbers are. Throws std::invalid_argument unless they are whole rows, and there from row
  /// `first` on.
  std::size_t checked_rows(std::size_t first, std::size_t size) const {
    if (size % columns_ != 0)
      throw std::invalid_argument(name_ + ": expected a place for whole rows of " +
                                  std::to_string(columns_) + " numbers, found one for " +
                                  std::to_string(size) + " numbers");
    const std::size_t count = size / columns_;
    if (first > rows() || count > rows() - first)
      throw std::invalid_argument(name_ + ": expected rows below " + std::to_string(rows()) +
                                  ", found " + std::to_string(count) + " from row " +
                                  std::to_string(first) + " on");
    return count;
  }

  RowReader(const RowReader&) = default;
  RowReader& operator=(const RowReader&) = default;

 private:
  std::string name_;
  ArrayInfo info_;
  std::size_t columns_ = 1;
};

}  // namespace vrfm
