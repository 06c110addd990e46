// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// NpzParts: an .npz file of one array that is larger than memory. Its values are written piece by piece, in one part
// or in several that grow beside each other, such as those of ranks. The file is that of write_npz, byte by byte: each
// part has a checksum (CRC-32), and zlib's crc32_combine makes that of the whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <zlib.h>

#include <vrfm/io/detail/zip_writer.hpp>
#include <vrfm/io/file.hpp>
#include <vrfm/io/npy.hpp>
#include <vrfm/io/npz.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm {

template <FileValue T>
class NpzParts {
 public:
  /// The array `name` of `shape`, whose row-major values are those of the parts, one behind the other; `sizes` says how
  /// many values each part has. Throws std::invalid_argument for a name that encode_npz refuses, or sizes that do not
  /// fill the shape; std::runtime_error as AtomicFile does, which the other members do, too.
  NpzParts(const std::filesystem::path& path, const std::string& name,
           const std::vector<std::size_t>& shape, std::span<const std::size_t> sizes)
      : file_(path), zip_([this](std::span<const std::byte> bytes) {
          file_.write_at(end_, bytes);
          end_ += bytes.size();
        }) {
    using namespace detail::io;
    check_npz_name(name);
    const std::string start = npy_start(dtype_of<T>(), shape);
    const auto bytes = byte_count(shape, sizeof(T));
    std::size_t all = 0;
    for (const std::size_t size : sizes) all += size;
    if (bytes != all * sizeof(T))
      throw std::invalid_argument("npz: array " + in_quotes(name) + ": expected parts that fill " +
                                  format_shape(shape) + ", found parts of " + std::to_string(all) +
                                  " values");
    zip_.begin(name + std::string(npz_suffix), start.size() + *bytes, 0);
    file_.write_at(end_, std::as_bytes(std::span(start)));
    checksum_ = crc(0, std::as_bytes(std::span(start)));
    end_ += start.size();
    for (const std::size_t size : sizes) {
      parts_.push_back({end_, size * sizeof(T), crc(0, {})});
      end_ += size * sizeof(T);
    }
  }

  /// The next values of one part. Throws std::invalid_argument for more than it has.
  void write(std::size_t part, std::span<const T> values) {
    Part& p = parts_.at(part);
    const auto bytes = std::as_bytes(values);
    if (bytes.size() > p.size - p.done)
      throw std::invalid_argument("npz: expected at most " +
                                  std::to_string((p.size - p.done) / sizeof(T)) +
                                  " values more of part " + std::to_string(part) + ", found " +
                                  std::to_string(values.size()));
    file_.write_at(p.begin + p.done, bytes);
    p.checksum = crc(p.checksum, bytes);
    p.done += bytes.size();
  }

  /// To be called once, when all values are written. Throws std::invalid_argument if some are missing.
  void commit() {
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      const Part& p = parts_[k];
      if (p.done != p.size)
        throw std::invalid_argument("npz: expected all values of part " + std::to_string(k) +
                                    " to be written, found " + std::to_string(p.done / sizeof(T)) +
                                    " of " + std::to_string(p.size / sizeof(T)));
      checksum_ = ::crc32_combine(checksum_, p.checksum, static_cast<z_off_t>(p.size));
    }
    const auto checksum = static_cast<std::uint32_t>(checksum_);
    file_.write_at(zip_.checksum_position(), std::as_bytes(std::span(&checksum, 1)));
    zip_.end(checksum);
    zip_.finish();
    file_.commit();
  }

 private:
  struct Part {
    std::size_t begin, size;  ///< in bytes
    uLong checksum;
    std::size_t done = 0;
  };

  static uLong crc(uLong before, std::span<const std::byte> bytes) {
    if (bytes.empty()) return before;  // zlib takes a null pointer for a wish to start again
    return ::crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  }

  AtomicFile file_;
  std::size_t end_ = 0;  // of the file so far
  detail::io::ZipWriter zip_;
  uLong checksum_ = 0;  // of the header, at the end of all
  std::vector<Part> parts_;
};

}  // namespace vrfm
