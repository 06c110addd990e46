// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What options of vrfm_table name: arrays, "FILE" or "FILE:ARRAY", and columns of one, by names, numbers from 0, or
// ranges of these, "energy,eta,5-12".
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <vrfm/io/open_rows.hpp>

namespace table {

struct ArrayName {
  std::filesystem::path file;
  std::string array;  ///< empty: the file's only one

  bool operator==(const ArrayName&) const = default;
};

/// Throws std::runtime_error, naming the option, if there is no such file.
inline ArrayName array_name(const std::string& text, const std::string& option) {
  std::error_code none;
  if (std::filesystem::exists(text, none)) return {text, ""};
  for (std::size_t colon = text.rfind(':'); colon != std::string::npos && colon > 0;
       colon = text.rfind(':', colon - 1)) {
    const std::string file = text.substr(0, colon);
    if (std::filesystem::exists(file, none)) return {file, text.substr(colon + 1)};
  }
  throw std::runtime_error(option + ": expected FILE or FILE:ARRAY, found no file '" + text + "'");
}

/// Names of an array's columns: its own, or their numbers; of a single column the array's name.
inline std::vector<std::string> column_names(const vrfm::RowReader& reader) {
  const vrfm::ArrayInfo& info = reader.info();
  if (info.columns.size() == reader.columns()) return info.columns;
  const std::string last = info.name.substr(info.name.rfind('/') + 1);
  if (reader.columns() == 1 && !last.empty()) return {last};
  std::vector<std::string> names;
  for (std::size_t j = 0; j < reader.columns(); ++j) names.push_back(std::to_string(j));
  return names;
}

namespace detail {

inline bool number_of(const std::string& text, std::size_t& value) {
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  return !text.empty() && end == last && error == std::errc();
}

inline std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t most = 20;
  std::string list;
  for (std::size_t k = 0; k < std::min(most, names.size()); ++k) {
    list += (k == 0 ? "" : ", ") + names[k];
  }
  return names.size() > most ? list + ", ... (" + std::to_string(names.size()) + ")" : list;
}

}  // namespace detail

/// The places in `names` of those that `wanted` names, in that order. Throws std::runtime_error, naming the option, the
/// array and what there is, for one that is not there or comes twice.
inline std::vector<std::size_t> places_of(const std::vector<std::string>& names,
                                          const std::vector<std::string>& wanted,
                                          const std::string& array, const std::string& option) {
  std::vector<std::size_t> places;
  for (const std::string& text : wanted) {
    const auto found = std::find(names.begin(), names.end(), text);
    const std::size_t dash = text.find('-');
    std::size_t first = 0, last = 0;
    if (found != names.end()) {
      first = last = static_cast<std::size_t>(found - names.begin());
    } else if (detail::number_of(text, first)) {
      last = first;
    } else if (dash == std::string::npos || !detail::number_of(text.substr(0, dash), first) ||
               !detail::number_of(text.substr(dash + 1), last)) {
      first = 1, last = 0;
    }
    if (first > last || last >= names.size()) {
      throw std::runtime_error(option + ": expected columns of " + array + ", which are " +
                               detail::listed(names) + "; found '" + text + "'");
    }
    for (std::size_t j = first; j <= last; ++j) {
      if (std::find(places.begin(), places.end(), j) != places.end()) {
        throw std::runtime_error(option + ": names column '" + names[j] + "' of " + array +
                                 " twice");
      }
      places.push_back(j);
    }
  }
  return places;
}

/// The columns of an array that `wanted` names. Throws as places_of.
inline std::vector<std::size_t> columns_named(const vrfm::RowReader& reader,
                                              const std::vector<std::string>& wanted,
                                              const std::string& option) {
  return places_of(column_names(reader), wanted, reader.name(), option);
}

/// Arrays that were opened, each once. Readers stay where they are.
class Arrays {
 public:
  /// Throws what vrfm::open_rows throws.
  const vrfm::RowReader& open(const ArrayName& name) {
    for (const Opened& opened : opened_) {
      if (opened.name == name) return *opened.reader;
    }
    opened_.push_back({name, vrfm::open_rows(name.file, name.array)});
    return *opened_.back().reader;
  }

 private:
  struct Opened {
    ArrayName name;
    std::unique_ptr<vrfm::RowReader> reader;
  };
  std::vector<Opened> opened_;
};

}  // namespace table
