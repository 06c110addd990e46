// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The attributes of an object in an HDF5 file: texts of fixed or variable length, numbers, or arrays of either.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hdf5.h>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/detail/hdf5_handle.hpp>
#include <vrfm/io/detail/hdf5_type.hpp>
#include <vrfm/io/detail/memory.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm {

struct Hdf5Attribute {
  std::string name, type;          ///< type as in ArrayInfo
  std::vector<std::size_t> shape;  ///< empty: a single one
  std::vector<std::string> texts;  ///< of a "string"; row-major
  std::vector<double>
      numbers;  ///< of a number or a truth value, each as the nearest double; row-major
};

namespace detail::io {

inline std::vector<std::string> read_texts(hid_t attribute, hid_t type, std::size_t count,
                                           const std::string& name) {
  const std::string what = "expected texts that can be read";
  std::vector<std::string> texts;
  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> found(count);
    if (H5Aread(attribute, type, found.data()) < 0) fail_hdf5(name, what);
    for (char* const text : found) {
      texts.emplace_back(text == nullptr ? "" : text);
      H5free_memory(text);
    }
    return texts;
  }
  const std::size_t size = H5Tget_size(type);
  auto bytes = allocate_values<char>(name, count * size);
  if (H5Aread(attribute, type, bytes.data()) < 0) fail_hdf5(name, what);
  const bool spaces = H5Tget_strpad(type) == H5T_STR_SPACEPAD;  // as Fortran pads
  for (std::size_t i = 0; i < count; ++i) {
    std::string_view text(bytes.data() + i * size, size);
    text =
        spaces ? text.substr(0, text.find_last_not_of(' ') + 1) : text.substr(0, text.find('\0'));
    texts.emplace_back(text);
  }
  return texts;
}

inline Hdf5Attribute read_attribute(hid_t object, const std::string& attribute,
                                    const std::string& object_name) {
  const std::string name = object_name + ": attribute " + in_quotes(attribute),
                    what = "expected an attribute that can be read";
  const auto id = hold(H5Aopen(object, attribute.c_str(), H5P_DEFAULT), H5Aclose, name, what);
  const auto type = hold(H5Aget_type(id.get()), H5Tclose, name, what);
  const auto space = hold(H5Aget_space(id.get()), H5Sclose, name, what);
  Hdf5Attribute result{attribute, hdf5_type_name(type.get()), hdf5_shape(space.get()), {}, {}};
  const auto bytes = byte_count(result.shape, sizeof(double));
  if (!bytes) fail(name, "expected fewer than 2^64 bytes");
  const std::size_t count = *bytes / sizeof(double);
  if (count == 0) return result;
  if (result.type == "string") {
    result.texts = read_texts(id.get(), type.get(), count, name);
  } else if (is_hdf5_number(result.type) && H5Tget_class(type.get()) != H5T_BITFIELD) {
    result.numbers = allocate_values<double>(name, count);
    if (H5Aread(id.get(), H5T_NATIVE_DOUBLE, result.numbers.data()) < 0) fail_hdf5(name, what);
  }
  return result;
}

inline std::vector<Hdf5Attribute> read_attributes(hid_t object, const std::string& name) {
  std::vector<std::string> names;
  const auto visit = [](hid_t, const char* attribute, const H5A_info_t*, void* found) -> herr_t {
    try {
      static_cast<std::vector<std::string>*>(found)->emplace_back(attribute);
    } catch (...) {  // no memory; HDF5's functions are between here and the caller
      return -1;
    }
    return 0;
  };
  hsize_t next = 0;
  if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &next, visit, &names) < 0)
    fail_hdf5(name, "expected attributes that can be listed");
  std::vector<Hdf5Attribute> attributes;
  for (const std::string& attribute : names)
    attributes.push_back(read_attribute(object, attribute, name));
  return attributes;
}

}  // namespace detail::io

}  // namespace vrfm
