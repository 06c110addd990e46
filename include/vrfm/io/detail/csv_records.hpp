// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The records of a text of separated values (RFC 4180): cells between separators, some of them in quotes, in which ""
// is a quote, and separators and ends of lines are text. A line ends with LF, CR LF or CR. Empty lines are no records.
#pragma once

#include <charconv>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

struct CsvCell {
  std::string text;
  bool quoted = false;
};

inline bool is_missing(std::string_view cell) {
  return cell.empty() || cell == "NA" || cell == "N/A" || cell == "NULL" || cell == "null";
}

/// The number in a cell, NaN if it is missing; nothing if the cell holds a text, or a number that no double holds.
inline std::optional<double> csv_number(std::string_view cell) {
  if (is_missing(cell)) return std::numeric_limits<double>::quiet_NaN();
  if (cell.size() > 1 && cell[0] == '+' && cell[1] != '-') cell.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size()) return std::nullopt;
  return value;
}

/// Whether a cell that holds no number looks like one all the same, as 1,5 and 1e999 do: a mistake and no text.
inline bool is_broken_number(std::string_view cell) {
  if (csv_number(cell)) return false;
  std::size_t at = 0;
  const auto skip = [&](std::string_view characters, std::size_t most) {
    std::size_t count = 0;
    while (count < most && at < cell.size() && characters.find(cell[at]) != characters.npos)
      ++at, ++count;
    return count;
  };
  constexpr std::string_view digits = "0123456789";
  skip("+-", 1);
  std::size_t count = skip(digits, cell.size());
  if (skip(",.", 1) == 1) count += skip(digits, cell.size());
  if (count == 0) return false;
  if (skip("eE", 1) == 1) {
    skip("+-", 1);
    if (skip(digits, cell.size()) == 0) return false;
  }
  return at == cell.size();
}

class CsvRecords {
 public:
  CsvRecords(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
    separator_ = find_separator();
  }

  const std::string& name() const { return name_; }
  char separator() const { return separator_; }
  /// The line on which the last record begins, from 1.
  std::size_t line() const { return line_; }

  /// Puts the next record into `cells`; returns how many cells it has, 0 at the end. Strings beyond keep their memory.
  /// Throws std::runtime_error with the file and the line for quotes that are not closed, or inside a cell.
  std::size_t next(std::vector<CsvCell>& cells) {
    while (!text_.empty() && (text_.front() == '\n' || text_.front() == '\r')) end_line();
    line_ = next_line_;
    if (text_.empty()) return 0;
    std::size_t count = 0;
    for (bool more = true; more; ++count) {
      if (count == cells.size()) cells.emplace_back();
      read_cell(cells[count]);
      more = text_.starts_with(separator_);
      if (more) text_.remove_prefix(1);
    }
    if (!text_.empty()) end_line();
    return count;
  }

 private:
  bool is_end(char c) const { return c == separator_ || c == '\n' || c == '\r'; }
  bool is_space(char c) const { return c == ' ' || (c == '\t' && separator_ != '\t'); }

  void end_line() {
    text_.remove_prefix(text_.starts_with("\r\n") ? 2 : 1);
    ++next_line_;
  }

  void skip_space() {
    while (!text_.empty() && is_space(text_.front())) text_.remove_prefix(1);
  }

  void read_cell(CsvCell& cell) {
    skip_space();
    cell.quoted = text_.starts_with('"');
    if (cell.quoted) return read_quoted(cell.text);
    std::size_t size = 0;
    while (size < text_.size() && !is_end(text_[size])) ++size;
    std::size_t shown = size;
    while (shown > 0 && is_space(text_[shown - 1])) --shown;
    cell.text.assign(text_.substr(0, shown));
    text_.remove_prefix(size);
  }

  void read_quoted(std::string& cell) {
    cell.clear();
    const std::size_t begin = next_line_;
    text_.remove_prefix(1);
    for (;;) {
      const std::size_t size = text_.find('"');
      if (size == text_.npos)
        fail(name_, "line " + std::to_string(begin) +
                        ": expected a second quote '\"' that ends a cell, found none to the end");
      const std::string_view part = text_.substr(0, size);
      cell += part;
      for (std::size_t i = 0; i < part.size(); ++i)
        if (part[i] == '\n' || (part[i] == '\r' && part.substr(i, 2) != "\r\n")) ++next_line_;
      text_.remove_prefix(size + 1);
      if (!text_.starts_with('"')) break;
      cell += '"';
      text_.remove_prefix(1);
    }
    skip_space();
    if (!text_.empty() && !is_end(text_.front()))
      fail(name_,
           "line " + std::to_string(next_line_) +
               ": expected a separator or the end of the line after a cell in quotes, found " +
               in_quotes(text_.substr(0, text_.find_first_of("\r\n"))));
  }

  /// The one of tab , ; that the first line with text has most of outside quotes; a comma if it has none.
  char find_separator() const {
    constexpr std::string_view separators = ",;\t";
    std::size_t counts[3] = {};
    bool quoted = false, begun = false;
    for (const char c : text_) {
      if (c == '"') quoted = !quoted;
      if (quoted) continue;
      if (c == '\n' || c == '\r') {
        if (begun) break;
        continue;
      }
      begun = true;
      const std::size_t kind = separators.find(c);
      if (kind != separators.npos) ++counts[kind];
    }
    std::size_t best = 0;
    for (std::size_t kind = 1; kind < separators.size(); ++kind)
      if (counts[kind] > counts[best]) best = kind;
    return separators[best];
  }

  std::string_view text_;
  std::string name_;
  char separator_ = ',';
  std::size_t line_ = 0, next_line_ = 1;
};

}  // namespace vrfm::detail::io
