// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// NumPy's format for one array
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): 6 bytes of magic, 2 of
// version, the header's size in 2 bytes (version 1) or 4 (versions 2 and 3), the header, the
// values. Only row-major arrays of the little-endian types of DType are read and written.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vrfm/io/detail/npy_header.hpp>
#include <vrfm/io/file.hpp>
#include <vrfm/io/input.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm {

/// One array: `values` is row-major with product(shape) elements.
template <FileValue T>
struct NpyArray {
  std::vector<std::size_t> shape;
  std::vector<T> values;
};

namespace detail::io {

inline constexpr std::string_view npy_magic = "\x93NUMPY";

// Far above the header of any plain array, far below what would hurt to allocate.
inline constexpr std::size_t npy_header_limit = 1'048'576;

/// The header. After it `left` bytes of data are still to be read, which must be as many as it
/// says.
template <class Input>
NpyHeader load_npy_header(Input& input, std::size_t& left) {
  const std::string& name = input.name();
  left = input.size();
  const auto take = [&](std::span<std::byte> out, std::string_view what) {
    if (out.size() > left)
      fail(name, "expected " + std::to_string(out.size()) + " bytes of " + std::string(what) +
                     ", found " + std::to_string(left) + " left in the file");
    input.read(out);
    left -= out.size();
  };

  std::array<char, 8> start;
  take(std::as_writable_bytes(std::span(start)), "magic and version");
  if (std::string_view(start.data(), npy_magic.size()) != npy_magic)
    fail(name, "expected the magic bytes \\x93NUMPY of an NPY file, found others");
  const int major = static_cast<unsigned char>(start[6]),
            minor = static_cast<unsigned char>(start[7]);
  if (major < 1 || major > 3 || minor != 0)
    fail(name, "expected NPY version 1.0, 2.0 or 3.0, found " + std::to_string(major) + "." +
                   std::to_string(minor));

  std::uint32_t header_size = 0;
  take(std::as_writable_bytes(std::span(&header_size, 1)).first(major == 1 ? 2 : 4), "header size");
  if (header_size > npy_header_limit)
    fail(name, "expected a header of at most " + std::to_string(npy_header_limit) +
                   " bytes, found " + std::to_string(header_size));
  if (header_size > left)
    fail(name, "expected " + std::to_string(header_size) + " bytes of header, found " +
                   std::to_string(left) + " left in the file");
  std::string text(header_size, '\0');
  take(std::as_writable_bytes(std::span(text)), "header");
  NpyHeader header = NpyHeaderReader(text, name).read();

  const auto& found = row(header.dtype);
  const auto bytes = byte_count(header.shape, found.size);
  if (!bytes || *bytes != left)
    fail(name, "expected " + (bytes ? std::to_string(*bytes) : "2^64 or more") +
                   " bytes of data for '" + std::string(found.npy) + "' " +
                   format_shape(header.shape) + ", found " + std::to_string(left));
  return header;
}

template <FileValue T, class Input>
std::vector<T> load_npy_values(Input& input, std::size_t bytes) {
  std::vector<T> values(bytes / sizeof(T));
  input.read(std::as_writable_bytes(std::span(values)));
  return values;
}

template <FileValue T, class Input>
NpyArray<T> load_npy(Input& input) {
  std::size_t bytes = 0;
  NpyHeader header = load_npy_header(input, bytes);
  if (header.dtype != dtype_of<T>())
    fail(input.name(), "expected values of type '" + std::string(row(dtype_of<T>()).npy) +
                           "', found '" + std::string(row(header.dtype).npy) + "'");
  return {std::move(header.shape), load_npy_values<T>(input, bytes)};
}

template <class Input>
NpyArray<double> load_npy_reals(Input& input) {
  std::size_t bytes = 0;
  NpyHeader header = load_npy_header(input, bytes);
  if (header.dtype == DType::f64)
    return {std::move(header.shape), load_npy_values<double>(input, bytes)};
  if (header.dtype != DType::f32)
    fail(input.name(), "expected values of type '<f4' or '<f8', found '" +
                           std::string(row(header.dtype).npy) + "'");
  const auto values = load_npy_values<float>(input, bytes);
  return {std::move(header.shape), std::vector<double>(values.begin(), values.end())};
}

}  // namespace detail::io

/// Reads one array. Throws std::runtime_error with the file, what was expected and what was found.
template <FileValue T>
NpyArray<T> read_npy(const std::filesystem::path& path) {
  InputFile input(path);
  return detail::io::load_npy<T>(input);
}

/// Reads one array of float or double, as double.
inline NpyArray<double> read_npy_reals(const std::filesystem::path& path) {
  InputFile input(path);
  return detail::io::load_npy_reals(input);
}

/// read_npy from bytes in memory; `name` stands in errors where the path would.
template <FileValue T>
NpyArray<T> parse_npy(std::span<const std::byte> bytes, std::string name) {
  InputBytes input(bytes, std::move(name));
  return detail::io::load_npy<T>(input);
}

/// Hands the bytes of an NPY file to `write`, piece by piece: version 1.0 if the header fits in
/// 65,535 bytes, else 2.0; data from a multiple of 64 bytes on. Throws std::invalid_argument if
/// `tensor`'s data do not fill its shape.
inline void encode_npy(const Tensor& tensor,
                       const std::function<void(std::span<const std::byte>)>& write) {
  using namespace detail::io;
  check_filled(tensor);
  std::string header =
      "{'descr': '" + std::string(row(tensor.dtype).npy) + "', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i)
    header += (i ? ", " : "") + std::to_string(tensor.shape[i]);
  header += tensor.shape.size() == 1 ? ",), }" : "), }";

  // The data begin at a multiple of 64, after the header's padding and newline.
  const auto padded_size = [unpadded = header.size() + 1](std::size_t size_bytes) {
    const std::size_t begin = npy_magic.size() + 2 + size_bytes;
    return (begin + unpadded + 63) / 64 * 64 - begin;
  };
  const std::size_t size_bytes = padded_size(2) < 65'536 ? 2 : 4;
  const std::size_t header_size = padded_size(size_bytes);
  std::string start(npy_magic);
  start += size_bytes == 2 ? '\1' : '\2';
  start += '\0';
  for (std::size_t byte = 0; byte < size_bytes; ++byte)
    start += static_cast<char>(header_size >> (8 * byte) & 0xff);
  header.resize(header_size - 1, ' ');
  header += '\n';
  if (header.size() > npy_header_limit)
    throw std::invalid_argument("npy: expected a header of at most " +
                                std::to_string(npy_header_limit) + " bytes, found " +
                                std::to_string(header.size()));
  write(std::as_bytes(std::span(start)));
  write(std::as_bytes(std::span(header)));
  write(tensor.data);
}

/// Writes one array of product(shape) row-major values, atomically (see AtomicFile). Throws as
/// encode_npy and AtomicFile do.
template <std::ranges::contiguous_range Range>
  requires FileValue<std::ranges::range_value_t<Range>>
void write_npy(const std::filesystem::path& path, std::vector<std::size_t> shape,
               const Range& values) {
  const Tensor tensor = make_tensor(path.string(), std::move(shape), values);
  write_file_atomically(path, [&](AtomicFile& file) {
    encode_npy(tensor, [&file](std::span<const std::byte> bytes) { file.write(bytes); });
  });
}

}  // namespace vrfm
