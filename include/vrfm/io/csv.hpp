// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tables in text files of separated values (CSV, RFC 4180): a line with the columns' names, then a line for each row.
// The separator is a comma, a semicolon or a tab, whichever the first line has most of. Cells may stand in quotes,
// lines may end with CR LF, and a byte order mark may come first. A number is what std::from_chars reads, whatever the
// locale, such as 1, -2.5e3, inf or nan; an empty cell, NA, N/A, NULL and null are NaN, too.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vrfm/io/detail/csv_reader.hpp>
#include <vrfm/io/detail/csv_records.hpp>
#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/detail/mapping.hpp>
#include <vrfm/io/file.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm {

/// Columns of numbers.
struct CsvTable {
  std::vector<std::string> columns;  ///< their names
  std::size_t rows = 0;
  std::vector<double> values;  ///< [rows, columns], row-major
};

namespace detail::io {

/// The `wanted` columns, or if none are named all that hold numbers.
inline CsvTable csv_table(const CsvReader& reader, std::vector<std::string> wanted) {
  if (wanted.empty()) {
    for (const auto& column : reader.columns())
      if (column.text.empty()) wanted.push_back(column.name);
    if (wanted.empty())
      fail(reader.name(), "expected a column of numbers between separators , ; or tab, found none" +
                              reader.listed());
  }
  CsvTable table{std::move(wanted), reader.rows(), {}};
  table.values = reader.read(table.columns);
  return table;
}

}  // namespace detail::io

/// A table in memory; `name` stands in errors where a path would. Reads the `wanted` columns in that order, or, if none
/// are named, all that hold numbers. A column whose first cell that is not missing holds a text is one of strings,
/// which is an error only if it is asked for. A first column without a name, such as the index of pandas or R's row
/// names, is left out. Throws std::runtime_error that names the file, the line and the column and lists the columns
/// that are there: for lines of more or fewer cells than names, text or a decimal comma in a column of numbers, names
/// that come twice or are missing; std::bad_alloc with the file and the bytes if the numbers do not fit in memory.
inline CsvTable parse_csv(std::span<const std::byte> bytes, std::string name,
                          std::vector<std::string> wanted = {}) {
  return detail::io::csv_table(detail::io::CsvReader(bytes, std::move(name)), std::move(wanted));
}

/// The same of a file, whose numbers alone are kept in memory.
inline CsvTable read_csv(const std::filesystem::path& path, std::vector<std::string> wanted = {}) {
  const detail::io::Mapping mapping(path);
  return parse_csv(mapping.bytes(), path.string(), std::move(wanted));
}

namespace detail::io {

/// A name that reads as itself: in quotes unless it is plain.
inline std::string csv_name(const std::string& name) {
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '.' || c == '-';
  };
  if (std::all_of(name.begin(), name.end(), plain) && !csv_number(name)) return name;
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

/// The shortest text that std::from_chars reads as this double.
inline void append_csv_number(std::string& text, double value) {
  if (std::isnan(value)) {
    text += "nan";
    return;
  }
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  text.append(digits.data(), end);
}

/// Hands the text of a table to `write`, piece by piece.
template <class Write>
void encode_csv(std::span<const std::string> columns, std::span<const double> values,
                char separator, const Write& write) {
  std::set<std::string_view> names;
  for (const std::string& name : columns)
    if (name.empty() || !names.insert(name).second)
      throw std::invalid_argument("csv: expected columns of different names, found " +
                                  in_quotes(name) + (name.empty() ? "" : " twice"));
  if (columns.empty() || values.size() % columns.size() != 0)
    throw std::invalid_argument("csv: expected whole rows of " + std::to_string(columns.size()) +
                                " numbers, found " + std::to_string(values.size()) + " numbers");
  if (separator != ',' && separator != ';' && separator != '\t')
    throw std::invalid_argument("csv: expected a separator , ; or tab, found " +
                                in_quotes(std::string_view(&separator, 1)));
  std::string text;
  const auto end_of = [&](std::size_t j) { return j + 1 < columns.size() ? separator : '\n'; };
  for (std::size_t j = 0; j < columns.size(); ++j) {
    text += csv_name(columns[j]);
    text += end_of(j);
  }
  constexpr std::size_t piece = 65'536;
  for (std::size_t i = 0; i < values.size(); ++i) {
    append_csv_number(text, values[i]);
    text += end_of(i % columns.size());
    if (text.size() < piece) continue;
    write(text);
    text.clear();
  }
  write(text);
}

}  // namespace detail::io

/// Writes a table of `values`, [rows, columns] and row-major, atomically (see AtomicFile), each number in the fewest
/// digits that read_csv reads as the same one. Throws std::invalid_argument for names that are empty or come twice,
/// values that are no whole rows, or another separator than , ; or tab; std::runtime_error as AtomicFile does.
inline void write_csv(const std::filesystem::path& path, std::span<const std::string> columns,
                      std::span<const double> values, char separator = ',') {
  write_file_atomically(path, [&](AtomicFile& file) {
    detail::io::encode_csv(columns, values, separator,
                           [&file](std::string_view text) { file.write(text); });
  });
}

}  // namespace vrfm
