// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows as a file whose name says its format: .csv, .npy, .npz and, with the component hdf5, .h5 or .hdf5.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/io/csv.hpp>
#include <vrfm/io/npy.hpp>
#include <vrfm/io/npz.hpp>
#if defined(VRFM_HAS_HDF5)
#include <vrfm/io/hdf5_writer.hpp>
#endif

namespace common {

/// A named array of rows.
struct OutputArray {
  std::string name;
  std::vector<std::string> columns;
  std::vector<double> values;             ///< [rows][columns]
  std::vector<std::size_t> extents = {};  ///< of a row that is a field

  std::size_t rows() const { return values.size() / columns.size(); }
  /// Of a row in files that keep them.
  std::vector<std::size_t> row_shape() const {
    return extents.empty() ? std::vector<std::size_t>{columns.size()} : extents;
  }
  std::vector<std::size_t> shape() const {
    std::vector<std::size_t> shape = row_shape();
    shape.insert(shape.begin(), rows());
    return shape;
  }
};

/// The ending, ".h5" of both that HDF5 has.
inline std::string format_of(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".hdf5" ? ".h5" : extension;
}

namespace detail {

/// The number with the fewest digits that is this float, so that a text shows no more than there is.
inline double shortest(float value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  double number = static_cast<double>(value);
  std::from_chars(digits, end, number);
  return number;
}

}  // namespace detail

/// Throws std::invalid_argument for a name whose format is unknown, or not in this program.
inline void check_output(const std::string& path) {
  const std::string format = format_of(path);
  const std::set<std::string> formats{".csv", ".npy", ".npz", ".h5"};
  vrfm::expect(formats.contains(format),
               "--output: expected a file *.csv, *.npy, *.npz or *.h5, found '", path, "'");
#if !defined(VRFM_HAS_HDF5)
  vrfm::expect(format != ".h5", "--output: expected a file *.csv, *.npy or *.npz of this program, ",
               "which was built without HDF5, found '", path, "'");
#endif
}

/// Writes arrays of as many rows each. In .csv and .npy the columns of several stand side by side; .csv has no extents
/// of rows. Numbers are float32. The file appears complete or not at all.
inline void write_output(const std::filesystem::path& path,
                         const std::vector<OutputArray>& arrays) {
  const std::string format = format_of(path);
  if (format == ".csv" || format == ".npy") {
    const std::size_t rows = arrays.front().rows();
    std::vector<std::string> columns;
    for (const auto& array : arrays) {
      columns.insert(columns.end(), array.columns.begin(), array.columns.end());
    }
    std::vector<double> values;
    values.reserve(rows * columns.size());
    for (std::size_t i = 0; i < rows; ++i) {
      for (const auto& array : arrays) {
        const double* const row = array.values.data() + i * array.columns.size();
        for (std::size_t j = 0; j < array.columns.size(); ++j) {
          values.push_back(detail::shortest(static_cast<float>(row[j])));
        }
      }
    }
    if (format == ".csv") return vrfm::write_csv(path, columns, values);
    const std::vector<float> numbers(values.begin(), values.end());
    return vrfm::write_npy(path,
                           arrays.size() == 1 ? arrays.front().shape()
                                              : std::vector<std::size_t>{rows, columns.size()},
                           numbers);
  }
  if (format == ".npz") {
    std::vector<std::vector<float>> numbers;
    for (const auto& array : arrays) numbers.emplace_back(array.values.begin(), array.values.end());
    std::vector<vrfm::Tensor> tensors;
    for (std::size_t k = 0; k < arrays.size(); ++k) {
      tensors.push_back(vrfm::make_tensor(arrays[k].name, arrays[k].shape(), numbers[k]));
    }
    return vrfm::write_npz(path, tensors);
  }
#if defined(VRFM_HAS_HDF5)
  vrfm::Hdf5Writer writer(path);
  for (const auto& array : arrays) {
    const std::vector<float> numbers(array.values.begin(), array.values.end());
    writer.add<float>(array.name, array.row_shape());
    writer.append(array.name, std::span<const float>(numbers));
  }
  writer.commit();
#endif
}

}  // namespace common
