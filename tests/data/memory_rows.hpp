// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A RowReader over numbers in memory, for tests of what reads rows: it counts what was read and fails where it is told.
#pragma once

#include <atomic>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/io/row_reader.hpp>

namespace vrfm::test {

class MemoryRows : public RowReader {
 public:
  MemoryRows(std::string name, std::vector<std::size_t> shape, std::vector<double> values,
             std::vector<std::string> columns = {})
      : RowReader(std::move(name), {{}, "float64", std::move(shape), std::move(columns)}),
        numbers(std::move(values)) {}

  void read(std::size_t first, std::span<float> out) const override { copy(first, out); }
  void read(std::size_t first, std::span<double> out) const override { copy(first, out); }

  std::vector<double> numbers;
  std::atomic<std::size_t> broken_row = (std::numeric_limits<std::size_t>::max)();
  mutable std::atomic<std::size_t> rows_read = 0;

 private:
  template <class T>
  void copy(std::size_t first, std::span<T> out) const {
    const std::size_t count = out.size() / columns();
    if (first <= broken_row && broken_row < first + count)
      throw std::runtime_error(name() + ": a bad sector");
    for (std::size_t k = 0; k < out.size(); ++k)
      out[k] = static_cast<T>(numbers.at(first * columns() + k));
    rows_read += count;
  }
};

/// Row n of `rows` is (n, n + 0.5, ... ) in x1, of the vector 10 n, of the label n % 3, and has the weight weight(n).
template <class Weight>
MemoryRows numbered_rows(std::size_t rows, const Weight& weight) {
  std::vector<double> numbers;
  for (std::size_t n = 0; n < rows; ++n) {
    const double x = static_cast<double>(n);
    numbers.insert(numbers.end(), {x, x + 0.5, 10 * x, static_cast<double>(n % 3), weight(n)});
  }
  return MemoryRows("numbered", {rows, 5}, numbers);
}

}  // namespace vrfm::test
