// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The records of the zip container (PKWARE APPNOTE 6.3.10, chapter 4.3): their signatures, their
// sizes without texts, and the two ways to go through their fields. All numbers are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace vrfm::detail::io {

struct ZipKind {
  std::uint32_t signature;
  std::size_t size;
};

inline constexpr ZipKind zip_local{0x04034b50, 30}, zip_central{0x02014b50, 46},
    zip_end{0x06054b50, 22}, zip64_end{0x06064b50, 56}, zip64_locator{0x07064b50, 20};

inline constexpr std::uint16_t zip_stored = 0, zip_deflated = 8, zip64_extra = 1;

/// The value of a field whose real value is in a zip64 field.
template <class U>
inline constexpr U zip_elsewhere = (std::numeric_limits<U>::max)();

/// Fields taken from bytes; the caller has made sure that there are enough.
class ZipFields {
 public:
  explicit ZipFields(std::span<const std::byte> bytes) : left_(bytes) {}

  std::size_t left() const { return left_.size(); }

  template <class U>
  U take() {
    U value;
    std::memcpy(&value, left_.data(), sizeof(U));
    left_ = left_.subspan(sizeof(U));
    return value;
  }
  void skip(std::size_t bytes) { left_ = left_.subspan(bytes); }
  std::span<const std::byte> take_bytes(std::size_t size) {
    const auto result = left_.first(size);
    skip(size);
    return result;
  }
  std::string take_text(std::size_t size) {
    const auto bytes = take_bytes(size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::byte> left_;
};

/// A record that grows field by field.
class ZipRecord {
 public:
  template <class U>
  ZipRecord& put(std::type_identity_t<U> value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(U));
    return *this;
  }
  ZipRecord& put(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  const std::string& text() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace vrfm::detail::io
