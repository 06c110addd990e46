// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// NumPy's format for one array
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): 6 bytes of magic, 2 of
// version, the header's size in 2 bytes (version 1) or 4 (versions 2 and 3), the header, the
// values. Both orders of bytes and of indices are read; values are little-endian and row-major in
// memory and in files that are written.
#pragma once

#include <algorithm>
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

#include <vrfm/io/detail/convert.hpp>
#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/detail/memory.hpp>
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
/// says, if its type is known.
template <class Input>
NpyHeader load_npy_header(Input& input, std::size_t& left, NpyTypes types = NpyTypes::known) {
  const std::string& name = input.name();
  left = input.size();
  const auto take = [&](std::span<std::byte> out, std::string_view what) {
    if (out.size() > left)
      fail(name, "expected " + std::to_string(out.size()) + " bytes of " + std::string(what) +
                     ", found " + std::to_string(left) + " left in the file" +
                     std::string(truncated));
    input.read(out);
    left -= out.size();
  };

  std::array<char, 8> start;
  take(std::as_writable_bytes(std::span(start)), "magic and version");
  if (std::string_view(start.data(), npy_magic.size()) != npy_magic)
    fail(name, "expected the magic bytes \\x93NUMPY of an NPY file, found " +
                   kind_of(std::as_bytes(std::span(start))));
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
                   std::to_string(left) + " left in the file" + std::string(truncated));
  std::string text(header_size, '\0');
  take(std::as_writable_bytes(std::span(text)), "header");
  NpyHeader header = NpyHeaderReader(text, name, types).read();
  if (!header.other.empty()) return header;

  const auto bytes = byte_count(header.shape, header.dtype);
  if (!bytes || *bytes != left)
    fail(name, "expected " + (bytes ? std::to_string(*bytes) : "2^64 or more") +
                   " bytes of data for '" + npy_descr(header.dtype, header.big_endian) + "' " +
                   format_shape(header.shape) + ", found " + std::to_string(left) +
                   (bytes && left < *bytes ? std::string(truncated) : ""));
  return header;
}

/// `values`, whose first index is the fastest, in row-major order.
template <class T>
std::vector<T> row_major(std::span<const std::size_t> shape, std::vector<T> values,
                         const std::string& name) {
  // Indices of one value do not count, and arrays of one other index or none are in both orders.
  std::vector<std::size_t> extents, strides, index;
  std::size_t stride = 1;
  for (const std::size_t extent : shape) {
    if (extent == 1) continue;
    extents.push_back(extent);
    strides.push_back(stride);
    stride *= extent;
  }
  if (extents.size() < 2 || values.empty()) return values;
  index.resize(extents.size());
  auto result = allocate_values<T>(name, values.size());
  std::size_t from = 0;
  for (T& value : result) {
    value = values[from];
    for (std::size_t k = extents.size(); k-- > 0;) {
      from += strides[k];
      if (++index[k] < extents[k]) break;
      from -= strides[k] * extents[k];
      index[k] = 0;
    }
  }
  return result;
}

/// Fills `out` with the next values behind a header, in the order of the file; convert() takes their type.
template <FileValue T, class Input>
void read_npy_values(Input& input, const NpyHeader& header, std::span<T> out) {
  const std::size_t size = row(header.dtype).bits / 8;
  if (header.dtype == dtype_of<T>()) {
    const auto all = std::as_writable_bytes(out);
    input.read(all);
    if (header.big_endian) swap_bytes(all, size);
    return;
  }
  std::vector<std::byte> buffer(65'536);
  for (std::size_t done = 0; done < out.size();) {
    const std::size_t count = (std::min)(out.size() - done, buffer.size() / size);
    const auto piece = std::span(buffer).first(count * size);
    input.read(piece);
    if (header.big_endian) swap_bytes(piece, size);
    convert(header.dtype, piece, out.data() + done);
    done += count;
  }
}

/// The `bytes` of values behind a header, whose type convert() takes.
template <FileValue T, class Input>
NpyArray<T> load_npy_values(Input& input, NpyHeader header, std::size_t bytes) {
  auto values = allocate_values<T>(input.name(), bytes / (row(header.dtype).bits / 8));
  read_npy_values(input, header, std::span(values));
  if (header.fortran_order) values = row_major(header.shape, std::move(values), input.name());
  return {std::move(header.shape), std::move(values)};
}

/// load_npy_header of an array whose values become T's.
template <FileValue T, class Input>
NpyHeader load_npy_header_of(Input& input, std::size_t& bytes) {
  NpyHeader header = load_npy_header(input, bytes);
  if (!reads_as<T>(header.dtype))
    fail(input.name(), "expected values of type '" + npy_descr(dtype_of<T>()) + "', found '" +
                           npy_descr(header.dtype, header.big_endian) + "'");
  return header;
}

template <FileValue T, class Input>
NpyArray<T> load_npy(Input& input) {
  std::size_t bytes = 0;
  NpyHeader header = load_npy_header_of<T>(input, bytes);
  return load_npy_values<T>(input, std::move(header), bytes);
}

template <class Input>
NpyArray<double> load_npy_reals(Input& input) {
  std::size_t bytes = 0;
  NpyHeader header = load_npy_header(input, bytes);
  if (header.dtype != DType::f32 && !reads_as<double>(header.dtype))
    fail(input.name(), "expected values of type '<f2', '<f4' or '<f8', found '" +
                           npy_descr(header.dtype, header.big_endian) + "'");
  return load_npy_values<double>(input, std::move(header), bytes);
}

template <class Input>
NpyArray<std::int64_t> load_npy_integers(Input& input) {
  std::size_t bytes = 0;
  NpyHeader header = load_npy_header(input, bytes);
  const auto as = [&]<class T>(T) -> NpyArray<std::int64_t> {
    auto array = load_npy_values<T>(input, std::move(header), bytes);
    return {std::move(array.shape), {array.values.begin(), array.values.end()}};
  };
  if (header.dtype == DType::u8) return as(std::uint8_t{});
  if (header.dtype == DType::i32) return as(std::int32_t{});
  if (header.dtype == DType::i64) return as(std::int64_t{});
  fail(input.name(), "expected values of type '|u1', '<i4' or '<i8', found '" +
                         npy_descr(header.dtype, header.big_endian) + "'");
}

}  // namespace detail::io

/// Reads one array. Halves ('<f2') become float or double, and truth values ('|b1') the bytes 0 and
/// 1. Throws std::runtime_error with the file, what was expected and what was found; std::bad_alloc
/// with the file and the bytes if these do not fit in memory.
template <FileValue T>
NpyArray<T> read_npy(const std::filesystem::path& path) {
  InputFile input(path);
  detail::io::refuse_placeholder(input, "an NPY file");
  return detail::io::load_npy<T>(input);
}

/// Reads one array of half, float or double, as double.
inline NpyArray<double> read_npy_reals(const std::filesystem::path& path) {
  InputFile input(path);
  detail::io::refuse_placeholder(input, "an NPY file");
  return detail::io::load_npy_reals(input);
}

/// Reads one array of uint8, int32 or int64, as int64.
inline NpyArray<std::int64_t> read_npy_integers(const std::filesystem::path& path) {
  InputFile input(path);
  detail::io::refuse_placeholder(input, "an NPY file");
  return detail::io::load_npy_integers(input);
}

/// read_npy from bytes in memory; `name` stands in errors where the path would.
template <FileValue T>
NpyArray<T> parse_npy(std::span<const std::byte> bytes, std::string name) {
  InputBytes input(bytes, std::move(name));
  detail::io::refuse_placeholder(input, "an NPY file");
  return detail::io::load_npy<T>(input);
}

namespace detail::io {

/// What comes before the values in an NPY file: version 1.0 if the header fits in 65,535 bytes, else 2.0; values
/// begin at a multiple of 64 bytes. Throws std::invalid_argument if NumPy has no such type, or for too many extents.
inline std::string npy_start(DType dtype, std::span<const std::size_t> shape) {
  if (row(dtype).npy.empty())
    throw std::invalid_argument("npy: expected a type that NumPy has, found " +
                                std::string(row(dtype).safetensors));
  std::string header = "{'descr': '" + npy_descr(dtype) + "', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < shape.size(); ++i)
    header += (i ? ", " : "") + std::to_string(shape[i]);
  header += shape.size() == 1 ? ",), }" : "), }";

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
  return start + header;
}

}  // namespace detail::io

/// Hands the bytes of an NPY file to `write`, piece by piece. Throws std::invalid_argument if `tensor`'s data do not
/// fill its shape, or its type is none of NumPy's.
inline void encode_npy(const Tensor& tensor,
                       const std::function<void(std::span<const std::byte>)>& write) {
  detail::io::check_filled(tensor);
  const std::string start = detail::io::npy_start(tensor.dtype, tensor.shape);
  write(std::as_bytes(std::span(start)));
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
