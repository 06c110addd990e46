// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads a table of separated values in two passes: the first finds names, rows and types, the second numbers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vrfm/io/detail/csv_records.hpp>
#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/detail/memory.hpp>
#include <vrfm/io/input.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

struct CsvColumn {
  std::string name;
  std::size_t line = 0;  ///< of the first cell that holds something; 0: none does
  std::string text;      ///< that cell, if it is a text and the column one of strings
  bool is_index = false;
};

class CsvReader {
 public:
  /// The first pass. Throws std::runtime_error that names the file, the line and the column.
  CsvReader(std::span<const std::byte> bytes, std::string name)
      : text_(as_text(bytes)), name_(std::move(name)) {
    InputBytes input(bytes, name_);
    refuse_placeholder(input, "a table of separated values (CSV)");
    const std::string start = first_bytes(input);
    if (start.starts_with("\xff\xfe") || start.starts_with("\xfe\xff"))
      fail(name_, "expected a table in UTF-8, found one in UTF-16; save it as \"CSV UTF-8\"");
    if (start.find('\0') != start.npos)
      fail(name_, "expected a table of separated values (CSV), found " +
                      kind_of(std::as_bytes(std::span(start))));
    CsvRecords records(text_, name_);
    std::vector<CsvCell> cells;
    read_names(records, cells);
    for (; next(records, cells); ++rows_) find_types(records.line(), cells);
  }

  /// All columns but an index.
  std::vector<CsvColumn> columns() const {
    std::vector<CsvColumn> result;
    for (const CsvColumn& column : columns_)
      if (!column.is_index) result.push_back(column);
    return result;
  }
  std::size_t rows() const { return rows_; }
  const std::string& name() const { return name_; }

  /// Whether there is a column of that name.
  bool contains(std::string_view name) const { return find(name) != columns_.size(); }

  /// The second pass: [rows, wanted], row-major. Throws std::runtime_error as the first, also for a column that is
  /// not there or one of strings.
  std::vector<double> read(std::span<const std::string> wanted) const {
    std::vector<std::size_t> from;
    for (const std::string& name : wanted) {
      const std::size_t j = find(name);
      if (j == columns_.size())
        fail(name_,
             "expected a column " + in_quotes(name) + ", found none of that name" + listed());
      if (!columns_[j].text.empty()) refuse(columns_[j].line, j, columns_[j].text);
      from.push_back(j);
    }
    auto values = allocate_values<double>(name_, rows_ * from.size());
    CsvRecords records(text_, name_);
    std::vector<CsvCell> cells;
    records.next(cells);  // the names
    for (auto value = values.begin(); next(records, cells);) {
      for (const std::size_t j : from) {
        const auto number = csv_number(cells[j].text);
        if (!number) refuse(records.line(), j, cells[j].text);
        *value++ = *number;
      }
    }
    return values;
  }

  /// The columns, as the end of an error.
  std::string listed() const {
    constexpr std::size_t shown = 20;
    std::string text;
    std::size_t count = 0;
    for (const CsvColumn& column : columns_) {
      if (column.is_index || count++ >= shown) continue;
      text += (text.empty() ? "" : ", ") + in_quotes(column.name) +
              (column.text.empty() ? "" : " (text)");
    }
    return "; its columns are " + text + (count > shown ? ", ..." : "");
  }

 private:
  void read_names(CsvRecords& records, std::vector<CsvCell>& cells) {
    const std::size_t count = records.next(cells);
    if (count == 0) fail(name_, "expected a line with the columns' names, found only empty lines");
    const bool numbers = std::all_of(cells.begin(), cells.end(), [](const CsvCell& cell) {
      return !cell.quoted && csv_number(cell.text);
    });
    std::string first;
    for (const CsvCell& cell : cells) first += (first.empty() ? "" : ", ") + cell.text;
    const std::string line = "line " + std::to_string(records.line()) + ": ";
    if (numbers)
      fail(name_, line + "expected the columns' names, found numbers: " + in_quotes(first));
    // numpy.savetxt puts this before the names.
    if (!cells[0].quoted && cells[0].text.starts_with("# ")) cells[0].text.erase(0, 2);
    for (std::size_t j = 0; j < count; ++j) {
      if (cells[j].text.empty() && j != 0)
        fail(name_, line + "expected a name of column " + std::to_string(j + 1) +
                        ", found none in " + in_quotes(first));
      if (!cells[j].text.empty() && contains(cells[j].text))
        fail(name_, line + "expected columns of different names, found " +
                        in_quotes(cells[j].text) + " twice in " + in_quotes(first));
      columns_.push_back({cells[j].text, 0, "", cells[j].text.empty()});
    }
    if (columns_.size() == 1 && columns_[0].is_index)
      fail(name_, line + "expected a name of column 1, found none");
  }

  bool next(CsvRecords& records, std::vector<CsvCell>& cells) const {
    const std::size_t count = records.next(cells);
    if (count == 0 || count == columns_.size()) return count != 0;
    fail(name_,
         "line " + std::to_string(records.line()) + ": expected " +
             std::to_string(columns_.size()) + " cells, found " + std::to_string(count) +
             (count < columns_.size() ? " and none of column " + in_quotes(columns_[count].name)
                                      : " and " + in_quotes(cells[columns_.size()].text) +
                                            " behind column " + in_quotes(columns_.back().name)) +
             listed());
  }

  /// A column is of strings if its first cell that holds something is a text.
  void find_types(std::size_t line, const std::vector<CsvCell>& cells) {
    for (std::size_t j = 0; j < columns_.size(); ++j) {
      CsvColumn& column = columns_[j];
      const std::string& cell = cells[j].text;
      if (column.line != 0 || is_missing(cell)) continue;
      column.line = line;
      if (!csv_number(cell) && !is_broken_number(cell)) column.text = cell;
    }
  }

  std::size_t find(std::string_view name) const {
    const auto found = std::find_if(columns_.begin(), columns_.end(), [&](const CsvColumn& column) {
      return !column.is_index && column.name == name;
    });
    return static_cast<std::size_t>(found - columns_.begin());
  }

  [[noreturn]] void refuse(std::size_t line, std::size_t column, const std::string& found) const {
    fail(name_, "line " + std::to_string(line) + ", column " + in_quotes(columns_[column].name) +
                    ": expected a number" +
                    (is_broken_number(found) ? " with a decimal point that a double holds" : "") +
                    ", found " + in_quotes(found) + listed());
  }

  std::string_view text_;
  std::string name_;
  std::vector<CsvColumn> columns_;
  std::size_t rows_ = 0;
};

}  // namespace vrfm::detail::io
