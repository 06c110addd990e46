// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// IDX files of bytes, the format of MNIST (http://yann.lecun.com/exdb/mnist): two zero bytes, the
// element type (8: unsigned byte), the number of dimensions, each extent in 4 bytes, most
// significant first, and the values, last index fastest. They are read as they are or compressed by
// gzip, in one member or several; the file's first bytes say which, not its name.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/detail/gzip.hpp>
#include <vrfm/io/detail/inflate.hpp>
#include <vrfm/io/detail/memory.hpp>
#include <vrfm/io/file.hpp>
#include <vrfm/io/images.hpp>
#include <vrfm/io/input.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm {

/// `values` is row-major with product(shape) elements.
struct IdxArray {
  std::vector<std::size_t> shape;
  std::vector<std::uint8_t> values;
};

namespace detail::io {

inline constexpr std::byte idx_unsigned_byte{8};

/// The element type of a magic number in words, for errors.
inline std::string idx_type_name(std::byte code) {
  constexpr std::pair<int, const char*> names[] = {
      {0x08, "unsigned bytes"},  {0x09, "signed bytes"}, {0x0b, "16-bit integers"},
      {0x0c, "32-bit integers"}, {0x0d, "floats"},       {0x0e, "doubles"}};
  for (const auto& [value, name] : names)
    if (code == std::byte(value)) return name;
  return "unknown type " + std::to_string(std::to_integer<int>(code));
}

/// The rest of a file that is not compressed, with InflateReader's interface.
template <class Input>
class PlainReader {
 public:
  PlainReader(Input& input, std::size_t size) : input_(input), left_(size) {}
  void read(std::span<std::byte> out) {
    if (out.size() > left_)
      fail(input_.name(), "expected " + std::to_string(out.size()) + " more bytes, found " +
                              std::to_string(left_) + " left in the file" + std::string(truncated));
    input_.read(out);
    left_ -= out.size();
  }
  void finish() const {
    if (left_ != 0)
      fail(input_.name(), "expected the end of the file after the values, found " +
                              std::to_string(left_) + " more bytes");
  }

 private:
  Input& input_;
  std::size_t left_;
};

/// `bound`: how many bytes there can be, with the magic number.
template <class Reader>
IdxArray load_idx_values(Reader& reader, std::array<std::byte, 4> magic, int dimensions,
                         std::size_t bound, const std::string& name) {
  if (magic[0] != std::byte{0} || magic[1] != std::byte{0})
    fail(name,
         "expected an IDX file, which begins with two zero bytes, or one compressed by gzip; "
         "found " +
             kind_of(magic));
  if (magic[2] != idx_unsigned_byte)
    fail(name, "expected unsigned bytes in the IDX file, found " + idx_type_name(magic[2]));
  if (std::to_integer<int>(magic[3]) != dimensions)
    fail(name, "expected an IDX file of " + std::to_string(dimensions) + " dimensions, found " +
                   std::to_string(std::to_integer<int>(magic[3])));
  IdxArray array;
  for (int d = 0; d < dimensions; ++d) {
    std::array<std::byte, 4> extent;
    reader.read(extent);
    std::size_t value = 0;
    for (const std::byte byte : extent) value = value << 8 | std::to_integer<std::size_t>(byte);
    array.shape.push_back(value);
  }
  // A wrong extent must not become an allocation.
  const auto bytes = byte_count(array.shape, 1);
  const std::size_t room = bound - magic.size() - 4 * array.shape.size();
  if (!bytes || *bytes > room)
    fail(name, "expected " + (bytes ? std::to_string(*bytes) : "2^64 or more") +
                   " values of shape " + format_shape(array.shape) +
                   ", found a file that holds at most " + std::to_string(room) +
                   (bytes ? std::string(truncated) : ""));
  array.values = allocate_values<std::uint8_t>(name, *bytes);
  reader.read(std::as_writable_bytes(std::span(array.values)));
  reader.finish();
  return array;
}

template <class Input>
IdxArray load_idx(Input& input, int dimensions) {
  refuse_placeholder(input, "an IDX file");
  std::array<std::byte, 4> start;
  if (input.size() < start.size())
    fail(input.name(), "expected an IDX file, found " + std::to_string(input.size()) + " bytes");
  input.read(start);
  const std::size_t left = input.size() - start.size();
  if (std::equal(gzip_magic.begin(), gzip_magic.end(), start.begin())) {
    InflateReader reader(input, left, input.name(), Wrapping::gzip, start);
    reader.read(start);
    return load_idx_values(reader, start, dimensions, input.size() * largest_deflate_ratio,
                           input.name());
  }
  PlainReader reader(input, left);
  return load_idx_values(reader, start, dimensions, input.size(), input.name());
}

}  // namespace detail::io

/// Reads an array of bytes with this many dimensions. Throws std::runtime_error with the file, what
/// was expected and what was found; std::bad_alloc with the file and the bytes if these do not fit
/// in memory.
inline IdxArray read_idx(const std::filesystem::path& path, int dimensions) {
  InputFile input(path);
  return detail::io::load_idx(input, dimensions);
}

/// The same from bytes in memory; `name` stands in errors where the path would.
inline IdxArray parse_idx(std::span<const std::byte> bytes, int dimensions, std::string name) {
  InputBytes input(bytes, std::move(name));
  return detail::io::load_idx(input, dimensions);
}

/// The bytes of an IDX file, not compressed. Throws std::invalid_argument if an extent or the number
/// of dimensions does not fit the format, or if `values` do not fill the shape.
inline std::vector<std::byte> encode_idx(std::span<const std::size_t> shape,
                                         std::span<const std::uint8_t> values) {
  using namespace detail::io;
  constexpr std::size_t largest = (std::numeric_limits<std::uint32_t>::max)();
  if (shape.empty() || shape.size() > 255 ||
      *std::max_element(shape.begin(), shape.end()) > largest)
    throw std::invalid_argument("idx: expected 1 to 255 extents below 2^32, found " +
                                format_shape(shape));
  if (byte_count(shape, 1) != values.size())
    throw std::invalid_argument("idx: expected values for " + format_shape(shape) + ", found " +
                                std::to_string(values.size()));
  std::vector<std::byte> bytes{std::byte{0}, std::byte{0}, idx_unsigned_byte,
                               static_cast<std::byte>(shape.size())};
  for (const std::size_t extent : shape)
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<std::byte>(extent >> shift & 0xff));
  const auto data = std::as_bytes(values);
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

/// Writes encode_idx's bytes atomically (see AtomicFile), compressed if `path` ends with .gz.
inline void write_idx(const std::filesystem::path& path, std::span<const std::size_t> shape,
                      std::span<const std::uint8_t> values) {
  std::vector<std::byte> bytes = encode_idx(shape, values);
  if (path.extension() == ".gz") bytes = detail::io::gzip(bytes);
  write_file_atomically(path, [&bytes](AtomicFile& file) { file.write(bytes); });
}

}  // namespace vrfm
