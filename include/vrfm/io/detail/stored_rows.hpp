// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// StoredRows: the rows of an array whose elements lie in memory, or in a mapped file, as they were stored, in either
// order of bytes and of indices. They become numbers as they are read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vrfm/io/detail/convert.hpp>
#include <vrfm/io/detail/mapping.hpp>
#include <vrfm/io/row_reader.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

/// The name of a type as lists of arrays give it, which is NumPy's where NumPy has it.
inline std::string type_name(DType dtype) {
  constexpr std::string_view names[] = {"float32", "float64", "uint8",    "int32",    "int64",
                                        "uint64",  "float16", "bfloat16", "bool",     "int8",
                                        "int16",   "uint16",  "uint32",   "complex64"};
  const auto at = static_cast<std::size_t>(dtype);
  return std::string(at < std::size(names) ? names[at] : row(dtype).safetensors);
}

struct StoredArray {
  DType dtype = DType::f32;  ///< is_number
  bool big_endian = false;
  bool fortran_order = false;          ///< the first index is the fastest
  std::span<const std::byte> data;     ///< fills the shape
  std::shared_ptr<const void> keeper;  ///< owns what data points to
  bool mapped = false;  ///< data are of a Mapping: what was read need not stay resident
};

class StoredRows final : public RowReader {
 public:
  /// Throws std::invalid_argument as RowReader does.
  StoredRows(std::string name, ArrayInfo info, StoredArray array)
      : RowReader(std::move(name), std::move(info)), array_(std::move(array)) {}

  void read(std::size_t first, std::span<float> out) const override { read_rows(first, out); }
  void read(std::size_t first, std::span<double> out) const override { read_rows(first, out); }

 private:
  template <class T>
  void read_rows(std::size_t first, std::span<T> out) const {
    const std::size_t count = checked_rows(first, out.size());
    if (!array_.fortran_order) {
      take(first * columns(), out);
      return release(first * columns(), out.size());
    }
    // A column of some rows at a time: its elements are side by side, and those rows of `out` stay in cache.
    const std::vector<std::size_t> places = column_places();
    std::vector<T> column(std::clamp(block / columns(), std::size_t{16}, block));
    for (std::size_t done = 0; done < count; done += column.size()) {
      const auto piece = std::span(column).first((std::min)(column.size(), count - done));
      for (std::size_t j = 0; j < columns(); ++j) {
        take(places[j] * rows() + first + done, piece);
        for (std::size_t i = 0; i < piece.size(); ++i) out[(done + i) * columns() + j] = piece[i];
      }
    }
    for (const std::size_t place : places) release(place * rows() + first, count);
  }

  void release(std::size_t from, std::size_t count) const {
    const std::size_t size = vrfm::detail::io::row(array_.dtype).bits / 8;
    if (array_.mapped) release_pages(array_.data, from * size, count * size);
  }

  /// Where each number of a row, these row-major, stands where their first index is the fastest.
  std::vector<std::size_t> column_places() const {
    const std::vector<std::size_t>& shape = info().shape;
    std::vector<std::size_t> places(columns());
    for (std::size_t j = 0; j < places.size(); ++j) {
      std::size_t left = j, stride = columns();
      for (std::size_t k = shape.size(); k-- > 1; left /= shape[k]) {
        stride /= shape[k];
        places[j] += left % shape[k] * stride;
      }
    }
    return places;
  }

  /// Elements `from`, from + 1, ... of those stored.
  template <class T>
  void take(std::size_t from, std::span<T> out) const {
    const std::size_t size = vrfm::detail::io::row(array_.dtype).bits / 8;
    const auto bytes = array_.data.subspan(from * size, out.size() * size);
    if (!array_.big_endian) return convert_number(array_.dtype, bytes, out.data());
    std::vector<std::byte> piece((std::min)(bytes.size(), block * size));
    for (std::size_t done = 0; done < out.size(); done += block) {
      const auto part = std::span(piece).first((std::min)(block, out.size() - done) * size);
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(done * size), part.size(),
                  part.begin());
      swap_bytes(part, size);
      convert_number(array_.dtype, part, out.data() + done);
    }
  }

  static constexpr std::size_t block = 8192;  // numbers that are converted at a time
  StoredArray array_;
};

}  // namespace vrfm::detail::io
