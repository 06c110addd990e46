// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// EventFile: numbers over steps for TensorBoard to look at while a training runs. A record is the length of its data, data,
// and a checksum of each (TensorFlow, tsl/lib/io/record_writer.h); data are an Event in protocol buffers' encoding
// (tensorflow/core/util/event.proto). Records are appended as they come: a reader ignores one that is not whole.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

namespace common {

namespace detail {

/// CRC-32C (Castagnoli), whose reflected polynomial is 0x82F63B78.
inline std::uint32_t crc32c(std::string_view data) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      std::uint32_t value = byte;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0x82F63B78U : 0U);
      t[byte] = value;
    }
    return t;
  }();
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : data) {
    crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xFFU];
  }
  return ~crc;
}

/// Protocol buffers' encoding of a message, field after field.
class Message {
 public:
  void add(int field, std::uint64_t number) {
    varint(static_cast<std::uint64_t>(field) << 3);
    varint(number);
  }
  void add(int field, double number) {
    varint(static_cast<std::uint64_t>(field) << 3 | 1);
    append(std::bit_cast<std::uint64_t>(number), 8);
  }
  void add(int field, float number) {
    varint(static_cast<std::uint64_t>(field) << 3 | 5);
    append(std::bit_cast<std::uint32_t>(number), 4);
  }
  /// A text, or another message.
  void add(int field, std::string_view bytes) {
    varint(static_cast<std::uint64_t>(field) << 3 | 2);
    varint(bytes.size());
    bytes_ += bytes;
  }
  /// The lowest `count` bytes, the least first.
  void append(std::uint64_t number, int count) {
    for (int k = 0; k < count; ++k) bytes_ += static_cast<char>(number >> (8 * k) & 0xFF);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(std::uint64_t number) {
    for (; number >= 0x80; number >>= 7) bytes_ += static_cast<char>((number & 0x7F) | 0x80);
    bytes_ += static_cast<char>(number);
  }

  std::string bytes_;
};

}  // namespace detail

class EventFile {
 public:
  /// A new file in `folder`, which is made. What other files there have from step `first` on, of a start that this one
  /// goes back behind, is void. Throws std::runtime_error if it cannot be written.
  EventFile(const std::filesystem::path& folder, std::int64_t first) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    const auto start = std::chrono::system_clock::now().time_since_epoch();
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(start).count();
    std::string name = std::to_string(microseconds);
    name.insert(name.size() - 6, ".");
    path_ = folder / ("events.out.tfevents." + name + '.' + std::to_string(::getpid()) + ".vrfm");
    file_.open(path_, std::ios::binary);
    detail::Message version = event(0);
    version.add(3, std::string_view("brain.Event:2"));
    write(version);
    detail::Message session, begin = event(first);
    session.add(1, std::uint64_t{1});  // SessionLog.START
    begin.add(7, session.bytes());
    write(begin);
  }

  /// Names may have folders: "held-out/velocity".
  void add(std::int64_t step, const std::vector<std::pair<std::string, double>>& numbers) {
    detail::Message summary, all = event(step);
    for (const auto& [name, number] : numbers) {
      detail::Message value;
      value.add(1, std::string_view(name));
      value.add(2, static_cast<float>(number));
      summary.add(1, value.bytes());
    }
    all.add(5, summary.bytes());
    write(all);
  }

 private:
  static detail::Message event(std::int64_t step) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    detail::Message message;
    message.add(1, std::chrono::duration<double>(now).count());
    message.add(2, static_cast<std::uint64_t>(step));
    return message;
  }

  void write(const detail::Message& message) {
    const auto masked = [](std::string_view data) {
      return std::rotr(detail::crc32c(data), 15) + 0xA282EAD8U;
    };
    detail::Message record;
    record.append(message.bytes().size(), 8);
    record.append(masked(record.bytes()), 4);
    file_ << record.bytes() << message.bytes();
    detail::Message end;
    end.append(masked(message.bytes()), 4);
    file_ << end.bytes() << std::flush;
    if (!file_) throw std::runtime_error("cannot write " + path_.string());
  }

  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace common
