// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A part of an input that holds deflate data (RFC 1951), bare or in gzip members one after another
// (RFC 1952, 2.2), decompressed through zlib as it is read.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include <zlib.h>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/detail/file_kind.hpp>

namespace vrfm::detail::io {

// No deflate stream grows by more than this factor (https://zlib.net/zlib_tech.html).
inline constexpr std::size_t largest_deflate_ratio = 1032;

/// What surrounds the deflate data. Of each gzip member, zlib checks header, checksum and length.
enum class Wrapping { none, gzip };

/// Decompresses `taken` and then the next `size` bytes of `input`, an InputFile or InputBytes;
/// `name` stands in errors. Nobody else may read the input until this is done.
template <class Input>
class InflateReader {
 public:
  InflateReader(Input& input, std::size_t size, std::string name,
                Wrapping wrapping = Wrapping::none, std::span<const std::byte> taken = {})
      : input_(input), left_(size), name_(std::move(name)), wrapping_(wrapping) {
    std::copy(taken.begin(), taken.end(), buffer_.begin());
    offer(taken.size());
    constexpr int gzip_only = 16;  // zlib's manual: 16 more window bits accept gzip alone
    if (::inflateInit2(&stream_, wrapping == Wrapping::gzip ? MAX_WBITS + gzip_only : -MAX_WBITS) !=
        Z_OK)
      fail(name_, "cannot read: zlib does not start");
  }
  InflateReader(const InflateReader&) = delete;
  InflateReader& operator=(const InflateReader&) = delete;
  ~InflateReader() { ::inflateEnd(&stream_); }

  /// Fills `out` with the next decompressed bytes.
  void read(std::span<std::byte> out) {
    while (!out.empty()) {
      const std::size_t count = decompress(out);
      if (count == 0)
        fail(name_, "expected " + std::to_string(out.size()) +
                        " more bytes of decompressed data, found their end");
      out = out.subspan(count);
    }
  }

  /// Refuses anything that follows what was read.
  void finish() {
    std::byte extra;
    if (decompress(std::span(&extra, 1)) != 0)
      fail(name_, "expected the end of the decompressed data, found more bytes");
    const std::size_t after = stream_.avail_in + left_;
    if (after != 0)
      fail(name_, "expected the compressed data to end with their last block, found " +
                      std::to_string(after) + " more bytes");
  }

 private:
  void offer(std::size_t count) {
    stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_in = static_cast<uInt>(count);
  }

  /// How many bytes were put into `out`; 0 only after the last block.
  std::size_t decompress(std::span<std::byte> out) {
    const std::size_t wanted = (std::min)(out.size(), largest_transfer);
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(wanted);
    while (!ended_ && stream_.avail_out == wanted) {
      if (!supply())
        fail(name_, "expected more compressed data, found their end" + std::string(truncated));
      const int status = ::inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_STREAM_END)
        ended_ = wrapping_ == Wrapping::none || !begin_member();
      else if (status != Z_OK && status != Z_BUF_ERROR)
        fail(name_, std::string("expected valid compressed data, found broken ones: ") +
                        (stream_.msg ? stream_.msg : "zlib gives no reason"));
    }
    return wanted - stream_.avail_out;
  }

  /// Whether there are compressed bytes in the buffer, which is filled if it was empty.
  bool supply() {
    if (stream_.avail_in != 0) return true;
    const std::size_t count = (std::min)(left_, buffer_.size());
    input_.read(std::span(buffer_).first(count));
    left_ -= count;
    offer(count);
    return count != 0;
  }

  /// Begins the next gzip member, if there is one. Zero bytes between and behind members are
  /// padding, as for the program gzip. Any other byte is left, and finish() refuses it.
  bool begin_member() {
    while (supply() && *stream_.next_in == 0) {
      ++stream_.next_in;
      --stream_.avail_in;
    }
    constexpr Bytef first_of_magic = 0x1f;
    return stream_.avail_in != 0 && *stream_.next_in == first_of_magic &&
           ::inflateReset(&stream_) == Z_OK;
  }

  Input& input_;
  std::size_t left_;  // compressed bytes that were not yet taken from the input
  std::string name_;
  Wrapping wrapping_;
  std::array<std::byte, 65'536> buffer_;
  z_stream stream_{};
  bool ended_ = false;
};

}  // namespace vrfm::detail::io
