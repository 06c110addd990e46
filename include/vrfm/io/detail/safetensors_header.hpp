// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The JSON header of a safetensors file, read event by event (SAX) against the only form it may
// have, so that a stray value, key or level ends the reading at once and no tree is built:
//   {"__metadata__": {KEY: TEXT, ...},
//    NAME: {"dtype": TEXT, "shape": [N, ...], "data_offsets": [BEGIN, END]}, ...}
// As in the reference implementation, null stands for no metadata, and further keys of a tensor are
// ignored with their values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/detail/safetensors_layout.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

/// Receives the parser's events; throws std::runtime_error at the first one that the format does
/// not allow.
class SafetensorsHeaderReader {
 public:
  SafetensorsHeaderReader(std::string file, SafetensorsHeader& header)
      : file_(std::move(file)), header_(header) {}

  bool start_object(std::size_t) {
    if (enter_ignored()) return true;
    if (place_ == Place::file) return enter(Place::names);
    if (place_ == Place::names)
      return enter(key_ == metadata_key ? Place::metadata : Place::tensor);
    refuse("an object");
  }

  bool key(std::string& text) {
    if (ignored_levels_ > 0) return true;
    key_.clear();
    bool fresh = true;
    if (place_ == Place::metadata) {
      fresh = !header_.metadata.contains(text);
    } else if (place_ == Place::tensor) {
      bool* const seen = flag(text);
      ignores_ = seen == nullptr;
      fresh = ignores_ || !std::exchange(*seen, true);
    } else if (text == metadata_key) {
      fresh = !std::exchange(has_metadata_, true);
    } else {
      fresh = header_.index.emplace(text, header_.entries.size()).second;
      if (fresh) header_.entries.emplace_back().name = text;
    }
    if (!fresh) refuse("a second key " + in_quotes(text));
    key_ = text;
    return true;
  }

  bool end_object() {
    if (leave_ignored()) return true;
    key_.clear();
    if (place_ == Place::names) return enter(Place::end);
    if (place_ == Place::tensor)
      for (const char* needed : {"dtype", "shape", "data_offsets"})
        if (!*flag(needed)) refuse("no key " + in_quotes(needed));
    return enter(Place::names);
  }

  bool start_array(std::size_t) {
    if (enter_ignored()) return true;
    if (place_ == Place::tensor && key_ == "shape") return enter(Place::shape);
    if (place_ == Place::tensor && key_ == "data_offsets") return enter(Place::offsets);
    refuse("an array");
  }

  bool end_array() {
    if (leave_ignored()) return true;
    if (place_ == Place::offsets && entry().offsets.size() != 2)
      refuse("an array of " + std::to_string(entry().offsets.size()));
    return enter(Place::tensor);
  }

  bool string(std::string& text) {
    if (ignore_one()) return true;
    if (place_ == Place::metadata) {
      header_.metadata.emplace(key_, text);
    } else if (place_ == Place::tensor && key_ == "dtype") {
      const auto dtype = find_dtype(text, &DTypeRow::safetensors);
      if (!dtype) refuse(in_quotes(text));
      entry().dtype = *dtype;
    } else {
      refuse("the text " + in_quotes(text));
    }
    return true;
  }

  bool number_unsigned(std::uint64_t value) {
    if (ignore_one()) return true;
    if (place_ != Place::shape && place_ != Place::offsets)
      refuse("the number " + std::to_string(value));
    auto& numbers = place_ == Place::shape ? entry().shape : entry().offsets;
    if (place_ == Place::offsets && numbers.size() == 2) refuse("an array of more than 2");
    numbers.push_back(value);
    return true;
  }

  bool number_integer(std::int64_t value) {
    if (ignore_one()) return true;
    refuse("the signed number " + std::to_string(value));
  }
  bool number_float(double, const std::string& text) {
    if (ignore_one()) return true;
    refuse("the number " + in_quotes(text));
  }
  bool null() {
    if (ignore_one() || (place_ == Place::names && key_ == metadata_key)) return true;
    refuse("null");
  }
  bool boolean(bool value) {
    if (ignore_one()) return true;
    refuse(value ? "true" : "false");
  }
  bool binary(std::vector<std::uint8_t>&) { refuse("binary data"); }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& error) {
    // what() quotes the last token, which may be as long as the header.
    const std::string_view reason = error.what();
    fail(file_, "header: expected JSON, found an error at byte " + std::to_string(position) + ": " +
                    std::string(reason.substr(0, 200)));
  }

 private:
  enum class Place { file, names, metadata, tensor, shape, offsets, end };

  bool enter(Place place) {
    place_ = place;
    return true;
  }

  // Of the value of an ignored key: each bracket changes the level, and at level 0 it ends.
  bool enter_ignored() {
    if (ignores_) ++ignored_levels_;
    return ignores_;
  }
  bool leave_ignored() {
    if (!ignores_) return false;
    ignores_ = --ignored_levels_ > 0;
    return true;
  }
  bool ignore_one() {
    const bool ignored = ignores_;
    if (ignored_levels_ == 0) ignores_ = false;
    return ignored;
  }

  SafetensorsEntry& entry() { return header_.entries.back(); }

  /// Whether that key of a tensor was seen; null for a key that says nothing here.
  bool* flag(std::string_view text) {
    if (text == "dtype") return &entry().has_dtype;
    if (text == "shape") return &entry().has_shape;
    if (text == "data_offsets") return &entry().has_offsets;
    return nullptr;
  }

  [[noreturn]] void refuse(const std::string& found) const {
    fail(file_, where() + ": expected " + expected() + ", found " + found);
  }

  std::string where() const {
    if (place_ == Place::metadata) return std::string(metadata_key);
    if (place_ == Place::tensor || place_ == Place::shape || place_ == Place::offsets)
      return "tensor " + in_quotes(header_.entries.back().name);
    return key_.empty() ? "header" : "header: key " + in_quotes(key_);
  }

  std::string expected() const {
    switch (place_) {
      case Place::names:
        return "one object for each of the names";
      case Place::metadata:
        return "one text for each of the names";
      case Place::tensor:
        if (key_ == "dtype") return "one dtype of " + known_dtypes();
        return "dtype, shape and data_offsets once each";
      case Place::shape:
        return "shape to hold unsigned 64-bit integers";
      case Place::offsets:
        return "data_offsets to hold 2 unsigned 64-bit integers";
      default:
        return "one object";
    }
  }

  static std::string known_dtypes() {
    std::string names;
    for (const DTypeRow& known : dtype_rows)
      names += (names.empty() ? "" : ", ") + std::string(known.safetensors);
    return names;
  }

  std::string file_;
  SafetensorsHeader& header_;
  Place place_ = Place::file;
  std::string key_;
  bool has_metadata_ = false;
  bool ignores_ = false;  // the next value, or the one that the next event belongs to
  std::size_t ignored_levels_ = 0;
};

inline SafetensorsHeader parse_safetensors_header(const std::string& json,
                                                  const std::string& file) {
  // The parser would skip a byte order mark and stop quietly at a zero byte; the format allows
  // neither.
  if (json.empty() || json.front() != '{') fail(file, "header: expected '{' as the first byte");
  if (json.find('\0') != std::string::npos) fail(file, "header: expected JSON, found a zero byte");
  SafetensorsHeader header;
  SafetensorsHeaderReader reader(file, header);
  nlohmann::json::sax_parse(json, &reader);
  return header;
}

}  // namespace vrfm::detail::io
