// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes gzip files (RFC 1952) of one member through zlib. inflate.hpp reads them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <zlib.h>

#include <vrfm/io/detail/descriptor.hpp>

namespace vrfm::detail::io {

inline constexpr std::array gzip_magic{std::byte{0x1f}, std::byte{0x8b}};

/// `bytes` as a gzip file without a name or a time: equal input, equal output.
inline std::vector<std::byte> gzip(std::span<const std::byte> bytes) {
  z_stream stream{};
  constexpr int gzip_format = 16, memory_level = 8;
  if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + gzip_format,
                     memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("gzip: zlib does not start");
  std::vector<std::byte> result;
  std::array<std::byte, 65'536> buffer;
  int status = Z_OK;
  // zlib counts its input in 32 bits and promises not to write to it.
  while (status == Z_OK) {
    const std::size_t count = (std::min)(bytes.size(), largest_transfer);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(count);
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    status = ::deflate(&stream, count == bytes.size() ? Z_FINISH : Z_NO_FLUSH);
    bytes = bytes.subspan(count - stream.avail_in);
    result.insert(result.end(), buffer.begin(), buffer.end() - stream.avail_out);
  }
  ::deflateEnd(&stream);
  if (status != Z_STREAM_END) throw std::runtime_error("gzip: zlib cannot compress");
  return result;
}

}  // namespace vrfm::detail::io
