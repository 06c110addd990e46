// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads a zip archive of stored or deflated entries, with 32-bit or zip64 fields. The directory
// decides, as for other readers. What could be read in two ways is refused: bytes before the
// archive, between the directory and the end records or behind the comment, and several volumes.
// What is wrong with one entry, such as encryption or another name at its data, is refused when that
// one is read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <zlib.h>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/detail/inflate.hpp>
#include <vrfm/io/detail/memory.hpp>
#include <vrfm/io/detail/zip_record.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

struct ZipEntry {
  std::string name;
  std::uint16_t flags = 0, method = zip_stored;
  std::uint32_t checksum = 0;           // CRC-32 of the data
  std::uint64_t packed = 0, size = 0;   // bytes in the archive, bytes of the data
  std::uint64_t offset = 0, limit = 0;  // of its local record; of the directory behind all entries
};

/// Reads the directory. Throws std::runtime_error with the archive's name, what was expected and
/// what was found.
template <class Input>
class ZipDirectoryReader {
 public:
  explicit ZipDirectoryReader(Input& input) : input_(input) {}

  std::vector<ZipEntry> read() {
    find();
    const auto bytes = bytes_at(offset_, size_);
    ZipFields fields(bytes);
    std::vector<ZipEntry> entries;
    for (std::uint64_t i = 0; i < count_; ++i) entries.push_back(read_entry(fields));
    if (fields.left() != 0)
      refuse("a directory of " + std::to_string(count_) + " entries",
             std::to_string(fields.left()) + " more bytes");
    return entries;
  }

 private:
  std::vector<std::byte> bytes_at(std::uint64_t position, std::uint64_t size) {
    auto bytes = allocate_values<std::byte>(input_.name(), size);
    input_.seek(position);
    input_.read(bytes);
    return bytes;
  }

  /// Where the directory is: from the end record, or the zip64 one before it.
  void find() {
    if (input_.size() < zip_end.size)
      refuse("at least the 22 bytes of a zip archive's end record", std::to_string(input_.size()));
    // The last one in the file; a comment, whose size the record gives, follows it.
    constexpr std::size_t longest_comment = (std::numeric_limits<std::uint16_t>::max)();
    const std::size_t tail = (std::min)(input_.size(), zip_end.size + longest_comment);
    const auto bytes = bytes_at(input_.size() - tail, tail);
    const auto is_end = [&](std::size_t at) {
      return std::memcmp(&bytes[at], &zip_end.signature, sizeof(zip_end.signature)) == 0;
    };
    std::size_t at = tail - zip_end.size;
    while (at > 0 && !is_end(at)) --at;
    if (!is_end(at)) {
      const std::string start = first_bytes(input_);
      refuse("the end record of a zip archive at its end",
             start.starts_with("PK\3\4") ? "none" + std::string(truncated)
                                         : kind_of(std::as_bytes(std::span(start))));
    }
    std::uint64_t end = input_.size() - tail + at;
    ZipFields fields{std::span(bytes).subspan(at + sizeof(zip_end.signature))};
    const auto volume = fields.take<std::uint32_t>();  // this one's and the directory's
    const auto here = fields.take<std::uint16_t>();
    const auto count = fields.take<std::uint16_t>();
    const auto size = fields.take<std::uint32_t>();
    const auto offset = fields.take<std::uint32_t>();
    const std::size_t comment = fields.take<std::uint16_t>();
    if (comment != fields.left())
      refuse(
          "a comment of " + std::to_string(comment) + " bytes behind the end record",
          std::to_string(fields.left()) + (fields.left() < comment ? std::string(truncated) : ""));
    if (volume != 0 || here != count) refuse("an archive of one volume", "one of several");
    count_ = count, size_ = size, offset_ = offset;
    if (read_zip64(end) && !(agree(count, count_) && agree(size, size_) && agree(offset, offset_)))
      refuse("end records that agree", "others");
    if (size_ > end || offset_ != end - size_)
      refuse("the directory right before the end records",
             std::to_string(size_) + " bytes of it at byte " + std::to_string(offset_));
  }

  /// Reads the zip64 end record, if there is one, and moves `end` to it.
  bool read_zip64(std::uint64_t& end) {
    constexpr std::size_t both = zip64_end.size + zip64_locator.size;
    if (end < both) return false;
    const auto bytes = bytes_at(end - both, both);
    ZipFields locator{std::span(bytes).subspan(zip64_end.size)};
    if (locator.take<std::uint32_t>() != zip64_locator.signature) return false;
    locator.skip(4);
    ZipFields fields(bytes);
    if (locator.take<std::uint64_t>() != end - both ||
        fields.take<std::uint32_t>() != zip64_end.signature ||
        fields.take<std::uint64_t>() != zip64_end.size - 12)
      refuse("a zip64 end record of 56 bytes right before its locator", "none");
    fields.skip(4);
    const auto volume = fields.take<std::uint64_t>();
    const auto here = fields.take<std::uint64_t>();
    count_ = fields.take<std::uint64_t>();
    size_ = fields.take<std::uint64_t>();
    offset_ = fields.take<std::uint64_t>();
    if (volume != 0 || here != count_) refuse("an archive of one volume", "one of several");
    end -= both;
    return true;
  }

  template <class U>
  static bool agree(U narrow, std::uint64_t wide) {
    return narrow == zip_elsewhere<U> || narrow == wide;
  }

  ZipEntry read_entry(ZipFields& fields) {
    const auto need = [&](std::size_t size) {
      if (fields.left() < size)
        refuse("a directory of " + std::to_string(count_) + " entries", "its end within one");
    };
    need(zip_central.size);
    if (fields.take<std::uint32_t>() != zip_central.signature)
      refuse("a directory of " + std::to_string(count_) + " entries", "another signature");
    ZipEntry entry;
    fields.skip(4);
    entry.flags = fields.take<std::uint16_t>();
    entry.method = fields.take<std::uint16_t>();
    fields.skip(4);
    entry.checksum = fields.take<std::uint32_t>();
    entry.packed = fields.take<std::uint32_t>();
    entry.size = fields.take<std::uint32_t>();
    const std::size_t name_size = fields.take<std::uint16_t>();
    const std::size_t extra_size = fields.take<std::uint16_t>();
    const std::size_t comment_size = fields.take<std::uint16_t>();
    fields.skip(8);
    entry.offset = fields.take<std::uint32_t>();
    entry.limit = offset_;
    need(name_size + extra_size + comment_size);
    entry.name = fields.take_text(name_size);
    read_extra(entry, ZipFields(fields.take_bytes(extra_size)));
    fields.skip(comment_size);
    return entry;
  }

  /// Takes from the zip64 field what the 32-bit fields say is there. Less than the head of a field
  /// is padding, with which some programs align data.
  void read_extra(ZipEntry& entry, ZipFields extra) {
    bool found = false;
    while (extra.left() >= 4) {
      const auto kind = extra.take<std::uint16_t>();
      const std::size_t size = extra.take<std::uint16_t>();
      if (size > extra.left())
        refuse(in_quotes(entry.name) + " to have whole extra fields", "a part of one");
      ZipFields field(extra.take_bytes(size));
      if (kind != zip64_extra || found) continue;
      found = true;
      for (std::uint64_t* value : {&entry.size, &entry.packed, &entry.offset})
        if (*value == zip_elsewhere<std::uint32_t> && field.left() >= 8)
          *value = field.take<std::uint64_t>();
    }
  }

  [[noreturn]] void refuse(const std::string& expected, const std::string& found) const {
    fail(input_.name(), "zip: expected " + expected + ", found " + found);
  }

  Input& input_;
  std::uint64_t count_ = 0, size_ = 0, offset_ = 0;  // of the directory
};

/// The data of one entry, as an input (see input.hpp). Nobody else may read the archive meanwhile.
template <class Input>
class ZipEntryReader {
 public:
  ZipEntryReader(Input& input, const ZipEntry& entry)
      : input_(input), entry_(entry), name_(input.name() + ": " + in_quotes(entry.name)) {
    // Flags for deflate's options, sizes behind the data, a name in UTF-8: the directory has all
    // that they say.
    constexpr unsigned harmless = 0b1000'0000'1110;
    if ((entry.flags & ~harmless) != 0) refuse("no encryption or patches", "its flag set");
    if (entry.method != zip_stored && entry.method != zip_deflated)
      refuse("method 0 (stored) or 8 (deflated)", std::to_string(entry.method));
    if (entry.packed > entry.limit)
      refuse("its data before the directory", std::to_string(entry.packed) + " bytes");
    // The first condition bounds what a small file can make a reader allocate.
    if (entry.method == zip_deflated ? entry.size / largest_deflate_ratio > entry.packed
                                     : entry.size != entry.packed)
      refuse("a size that " + std::to_string(entry.packed) + " bytes can hold",
             std::to_string(entry.size));
    const std::uint64_t room = entry.limit - (std::min)(entry.limit, entry.offset);
    std::uint64_t begin = zip_local.size;
    std::vector<std::byte> bytes(zip_local.size);
    if (begin <= room) {
      input.seek(entry.offset);
      input.read(bytes);
    }
    ZipFields fields(bytes);
    const auto signature = fields.take<std::uint32_t>();
    fields.skip(4);
    const auto method = fields.take<std::uint16_t>();
    fields.skip(16);
    const std::size_t name_size = fields.take<std::uint16_t>();
    begin += name_size + fields.take<std::uint16_t>();
    if (signature != zip_local.signature || begin > room || entry.packed > room - begin)
      refuse(
          std::to_string(entry.packed) + " bytes of data at byte " + std::to_string(entry.offset),
          "none there");
    std::string name(name_size, '\0');
    input.read(std::as_writable_bytes(std::span(name)));
    if (name != entry.name || method != entry.method)
      refuse("the directory's name and method before the data", "others");
    position_ = entry.offset + begin;
    input.seek(position_);
    if (entry.method == zip_deflated) inflate_.emplace(input, entry.packed, name_);
  }

  const std::string& name() const { return name_; }
  std::size_t size() const { return entry_.size; }
  /// Whether the data are size() bytes of the archive as they are, and at which byte of it they, or what they were
  /// compressed to, begin.
  bool is_stored() const { return entry_.method == zip_stored; }
  std::size_t position() const { return position_; }

  void read(std::span<std::byte> out) {
    if (out.empty()) return;  // zlib takes a null pointer for a wish to start again
    if (inflate_)
      inflate_->read(out);
    else
      input_.read(out);
    checksum_ = ::crc32_z(checksum_, reinterpret_cast<const Bytef*>(out.data()), out.size());
  }

  /// To be called after size() bytes. Throws std::runtime_error if they are not what was archived.
  void finish() {
    if (inflate_) inflate_->finish();
    if (checksum_ != entry_.checksum) refuse("data with the directory's checksum", "others");
  }

 private:
  [[noreturn]] void refuse(const std::string& expected, const std::string& found) const {
    fail(name_, "zip: expected " + expected + ", found " + found);
  }

  Input& input_;
  const ZipEntry& entry_;
  std::string name_;
  std::size_t position_ = 0;
  std::optional<InflateReader<Input>> inflate_;
  uLong checksum_ = 0;
};

}  // namespace vrfm::detail::io
