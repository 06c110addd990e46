// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes a zip archive front to back. Data are stored; all sizes and offsets are in zip64 fields,
// so that one form serves any size. Every time is 1980-01-01, as NumPy's: equal arrays give equal
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include <zlib.h>

#include <vrfm/io/detail/zip_record.hpp>

namespace vrfm::detail::io {

using ByteSink = std::function<void(std::span<const std::byte>)>;

class ZipWriter {
 public:
  explicit ZipWriter(ByteSink sink) : sink_(std::move(sink)) {}

  /// One entry, whose data `encode(sink)` hands over. It is called twice, because the checksum
  /// stands before the data. `name` has at most 65,535 bytes.
  template <class Encode>
  void add(const std::string& name, const Encode& encode) {
    std::uint64_t size = 0;
    uLong checksum = 0;
    encode([&](std::span<const std::byte> bytes) {
      if (bytes.empty()) return;  // zlib takes a null pointer for a wish to start again
      size += bytes.size();
      checksum = ::crc32_z(checksum, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    });

    begin(name, size, static_cast<std::uint32_t>(checksum));
    encode(sink_);
    end(static_cast<std::uint32_t>(checksum));
  }

  /// The record before the `size` bytes of an entry, which the caller then writes himself. `name` has at most 65,535
  /// bytes.
  void begin(const std::string& name, std::uint64_t size, std::uint32_t checksum) {
    name_ = name;
    size_ = size;
    offset_ = position_;
    ZipRecord local;
    local.put<std::uint32_t>(zip_local.signature).put(common(checksum).text());
    local.put<std::uint16_t>(20);
    local.put(name).put<std::uint16_t>(zip64_extra).put<std::uint16_t>(16);
    local.put<std::uint64_t>(size).put<std::uint64_t>(size);
    write(local);
  }

  /// Behind these bytes. If begin() was told another checksum, the caller overwrites it, 4 bytes at
  /// checksum_position().
  void end(std::uint32_t checksum) {
    position_ += size_;
    directory_.put<std::uint32_t>(zip_central.signature).put<std::uint16_t>(version);
    directory_.put(common(checksum).text()).put<std::uint16_t>(28).put<std::uint16_t>(0);
    directory_.put<std::uint16_t>(0).put<std::uint16_t>(0).put<std::uint32_t>(0);
    directory_.put<std::uint32_t>(elsewhere).put(name_);
    directory_.put<std::uint16_t>(zip64_extra).put<std::uint16_t>(24);
    directory_.put<std::uint64_t>(size_).put<std::uint64_t>(size_).put<std::uint64_t>(offset_);
    ++count_;
  }

  /// In the archive, of the entry that began last.
  std::uint64_t checksum_position() const { return offset_ + 14; }

  /// Writes the directory; to be called once, at the end.
  void finish() {
    const std::uint64_t offset = position_;
    write(directory_);
    const std::uint64_t end = position_;
    ZipRecord record;
    record.put<std::uint32_t>(zip64_end.signature).put<std::uint64_t>(zip64_end.size - 12);
    record.put<std::uint16_t>(version).put<std::uint16_t>(version).put<std::uint64_t>(0);
    record.put<std::uint64_t>(count_).put<std::uint64_t>(count_);
    record.put<std::uint64_t>(end - offset).put<std::uint64_t>(offset);
    record.put<std::uint32_t>(zip64_locator.signature).put<std::uint32_t>(0);
    record.put<std::uint64_t>(end).put<std::uint32_t>(1);
    constexpr auto many = zip_elsewhere<std::uint16_t>;
    record.put<std::uint32_t>(zip_end.signature).put<std::uint32_t>(0);
    record.put<std::uint16_t>(many).put<std::uint16_t>(many);
    record.put<std::uint32_t>(elsewhere).put<std::uint32_t>(elsewhere).put<std::uint16_t>(0);
    write(record);
  }

 private:
  static constexpr std::uint16_t version = 45;  // the first with zip64
  static constexpr std::uint16_t first_of_january_1980 = 0x0021;
  static constexpr auto elsewhere = zip_elsewhere<std::uint32_t>;

  /// The fields that both of an entry's records hold; sizes are in the extra field.
  ZipRecord common(std::uint32_t checksum) const {
    ZipRecord record;
    record.put<std::uint16_t>(version).put<std::uint16_t>(0).put<std::uint16_t>(zip_stored);
    record.put<std::uint16_t>(0).put<std::uint16_t>(first_of_january_1980);
    record.put<std::uint32_t>(checksum).put<std::uint32_t>(elsewhere);
    record.put<std::uint32_t>(elsewhere).put<std::uint16_t>(
        static_cast<std::uint16_t>(name_.size()));
    return record;
  }

  void write(const ZipRecord& record) {
    sink_(std::as_bytes(std::span(record.text())));
    position_ += record.text().size();
  }

  ByteSink sink_;
  ZipRecord directory_;
  std::uint64_t position_ = 0, count_ = 0;
  std::string name_;                     // of the entry that began last,
  std::uint64_t size_ = 0, offset_ = 0;  // its bytes, and where its record is
};

}  // namespace vrfm::detail::io
