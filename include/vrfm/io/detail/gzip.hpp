// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// gzip (RFC 1952) through zlib: a reader that decompresses as it is read, and a whole file at once
// for writing. One member a file, nothing after it.
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

// No deflate stream grows by more than this factor (https://zlib.net/zlib_tech.html).
inline constexpr std::size_t largest_deflate_ratio = 1032;

/// Decompresses an input (InputFile or InputBytes) whose first bytes were already taken.
template <class Input>
class GzipReader {
 public:
  GzipReader(Input& input, std::span<const std::byte> taken)
      : input_(input), left_(input.size() - taken.size()) {
    std::copy(taken.begin(), taken.end(), buffer_.begin());
    offer(taken.size());
    constexpr int gzip_only = 16;
    if (::inflateInit2(&stream_, MAX_WBITS + gzip_only) != Z_OK)
      throw std::runtime_error(input.name() + ": cannot read: zlib does not start");
  }
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;
  ~GzipReader() { ::inflateEnd(&stream_); }

  /// More bytes than the whole input can decompress to.
  std::size_t bound() const { return (input_.size() + 1) * largest_deflate_ratio; }

  /// Fills `out` with the next decompressed bytes.
  void read(std::span<std::byte> out) {
    while (!out.empty()) {
      const std::size_t count = decompress(out);
      if (count == 0)
        fail(input_.name(), "expected " + std::to_string(out.size()) +
                                " more bytes of decompressed data, found their end");
      out = out.subspan(count);
    }
  }

  /// Refuses anything that follows what was read.
  void finish() {
    std::byte extra;
    if (decompress(std::span(&extra, 1)) != 0)
      fail(input_.name(), "expected the end of the decompressed data, found more bytes");
    const std::size_t after = stream_.avail_in + left_;
    if (after != 0)
      fail(input_.name(), "expected the end of the file after the gzip data, found " +
                              std::to_string(after) + " more bytes");
  }

 private:
  void offer(std::size_t count) {
    stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_in = static_cast<uInt>(count);
  }

  /// How many bytes were put into `out`: 0 only at the end of the compressed data, whose checksum
  /// zlib has compared.
  std::size_t decompress(std::span<std::byte> out) {
    const std::size_t wanted = std::min(out.size(), largest_transfer);
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(wanted);
    while (!ended_ && stream_.avail_out == wanted) {
      if (stream_.avail_in == 0) {
        const std::size_t count = std::min(left_, buffer_.size());
        if (count == 0)
          fail(input_.name(),
               "expected more gzip data, found the end of the file: it is truncated");
        input_.read(std::span(buffer_).first(count));
        left_ -= count;
        offer(count);
      }
      const int status = ::inflate(&stream_, Z_NO_FLUSH);
      ended_ = status == Z_STREAM_END;
      if (!ended_ && status != Z_OK && status != Z_BUF_ERROR)
        fail(input_.name(), std::string("expected valid gzip data, found broken ones: ") +
                                (stream_.msg ? stream_.msg : "zlib gives no reason"));
    }
    return wanted - stream_.avail_out;
  }

  Input& input_;
  std::size_t left_;  // bytes of the input that were not offered to zlib yet
  std::array<std::byte, 65'536> buffer_;
  z_stream stream_{};
  bool ended_ = false;
};

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
    const std::size_t count = std::min(bytes.size(), largest_transfer);
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
