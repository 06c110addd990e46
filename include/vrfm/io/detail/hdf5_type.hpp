// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// HDF5's types and extents in the words of lists of arrays, and C++'s types in those of HDF5.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <hdf5.h>

#include <vrfm/io/detail/hdf5_handle.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

/// Values of data sets in memory.
template <FileValue T>
hid_t hdf5_native() {
  if constexpr (std::same_as<T, float>)
    return H5T_NATIVE_FLOAT;
  else if constexpr (std::same_as<T, double>)
    return H5T_NATIVE_DOUBLE;
  else if constexpr (sizeof(T) == 1)
    return H5T_NATIVE_UINT8;
  else if constexpr (sizeof(T) == 4)
    return H5T_NATIVE_INT32;
  else
    return std::signed_integral<T> ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64;
}

/// Whether an enumeration is that of h5py's truth values: FALSE and TRUE, 0 and 1.
inline bool is_hdf5_bool(hid_t type) {
  if (H5Tget_nmembers(type) != 2 || H5Tget_size(type) != 1) return false;
  constexpr std::string_view names[] = {"FALSE", "TRUE"};
  for (unsigned i = 0; i < 2; ++i) {
    char* const name = H5Tget_member_name(type, i);
    signed char value = -1;
    const bool same = name != nullptr && H5Tget_member_value(type, i, &value) >= 0 && value >= 0 &&
                      value < 2 && names[value] == name;
    H5free_memory(name);
    if (!same) return false;
  }
  return true;
}

/// "float64", "int8", "bool", ... for what is_hdf5_number; others by HDF5's name of their class.
inline std::string hdf5_type_name(hid_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  const std::string bits = std::to_string(8 * H5Tget_size(type));
  if (kind == H5T_INTEGER) return (H5Tget_sign(type) == H5T_SGN_NONE ? "uint" : "int") + bits;
  if (kind == H5T_FLOAT) {
    std::size_t sign = 0, exponent = 0, exponent_bits = 0, fraction = 0, fraction_bits = 0;
    H5Tget_fields(type, &sign, &exponent, &exponent_bits, &fraction, &fraction_bits);
    return (bits == "16" && exponent_bits == 8 ? "bfloat" : "float") + bits;
  }
  // Julia's truth values are a bit field of a byte.
  if (kind == H5T_BITFIELD) return bits == "8" ? "bool" : "bitfield";
  if (kind == H5T_ENUM) return is_hdf5_bool(type) ? "bool" : "enum";
  constexpr std::string_view names[] = {"integer",  "float",  "time",     "string",
                                        "bitfield", "opaque", "compound", "reference",
                                        "enum",     "vlen",   "array"};
  const auto at = static_cast<std::size_t>(kind);
  return std::string(at < std::size(names) ? names[at] : "unknown");
}

inline bool is_hdf5_number(std::string_view type_name) {
  return type_name == "bool" || type_name.starts_with("int") || type_name.starts_with("uint") ||
         type_name.starts_with("float") || type_name.starts_with("bfloat");
}

/// The extents; a space without elements, such as h5py's Empty, has a single one, of 0.
inline std::vector<std::size_t> hdf5_shape(hid_t space) {
  if (H5Sget_simple_extent_type(space) == H5S_NULL) return {0};
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> extents(rank > 0 ? static_cast<std::size_t>(rank) : 0);
  if (!extents.empty()) H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  return {extents.begin(), extents.end()};
}

}  // namespace vrfm::detail::io
