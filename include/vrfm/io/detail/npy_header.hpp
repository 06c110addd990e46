// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The header of an NPY file: a Python dictionary literal with exactly the keys descr, fortran_order
// and shape, in any order, then spaces and a newline (which NumPy writes but does not ask for), e.g.
// "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n".
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

struct NpyHeader {
  DType dtype = DType::f32;
  std::vector<std::size_t> shape;
  bool big_endian = false;
  bool fortran_order = false;  // the first index is the fastest
  std::string other;           // a descr that is no DType; empty: dtype is the type
};

/// Which types a header may name: those of DType, or any, for what only lists arrays.
enum class NpyTypes { known, any };

/// What NumPy calls a type: '<f4', '>f4' if its first byte is the highest, '|u1' if it has one.
inline std::string npy_descr(DType dtype, bool big_endian = false) {
  const DTypeRow& found = row(dtype);
  const char order = found.bits <= 8 ? '|' : big_endian ? '>' : '<';
  return order + std::string(found.npy);
}

/// Reads the dictionary; throws std::runtime_error at the first character that does not belong.
class NpyHeaderReader {
 public:
  NpyHeaderReader(std::string_view text, std::string file, NpyTypes types = NpyTypes::known)
      : text_(text), file_(std::move(file)), types_(types) {}

  NpyHeader read() {
    constexpr std::string_view keys[] = {"descr", "fortran_order", "shape"};
    bool seen[] = {false, false, false};
    expect('{');
    bool comma = true;
    while (!accept('}')) {
      if (!comma) refuse("',' or '}'", in_quotes(text_));
      const std::string_view name = quoted_text();
      const auto key = std::find(std::begin(keys), std::end(keys), name) - std::begin(keys);
      if (key == std::ssize(keys))
        refuse("one of the keys descr, fortran_order and shape", in_quotes(name));
      if (std::exchange(seen[key], true)) refuse("each key once", in_quotes(name) + " again");
      expect(':');
      if (key == 0) read_descr();
      if (key == 1) read_order();
      if (key == 2) read_shape();
      comma = accept(',');
    }
    skip_space();
    if (!text_.empty()) refuse("only spaces after the dictionary", in_quotes(text_));
    for (std::size_t i = 0; i < std::size(keys); ++i)
      if (!seen[i]) refuse("the key " + in_quotes(keys[i]), "none");
    return std::move(header_);
  }

 private:
  void read_descr() {
    skip_space();
    if (text_.starts_with('[')) {
      if (types_ == NpyTypes::known) refuse("a plain element type as descr", "a structured one");
      return skip_structured();
    }
    const std::string_view descr = quoted_text();
    std::string_view name = descr;
    // No order, '=' and '|' mean this machine's, which is little-endian.
    const char order = name.empty() ? ' ' : name.front();
    if (order == '<' || order == '>' || order == '=' || order == '|') name.remove_prefix(1);
    const auto dtype = find_dtype(name, &DTypeRow::npy);
    if (!dtype && types_ == NpyTypes::any) {
      header_.other = descr;
      return;
    }
    if (!dtype) refuse("one descr of " + known_descrs(), in_quotes(descr));
    header_.dtype = *dtype;
    header_.big_endian = order == '>' && row(*dtype).bits > 8;
  }

  /// A list of tuples, which may hold lists; brackets stand in no name that NumPy's files of numbers have.
  void skip_structured() {
    header_.other = "structured";
    std::size_t depth = 0, at = 0;
    do {
      if (at == text_.size()) refuse("the end of a structured descr", "none");
      if (text_[at] == '[') ++depth;
      if (text_[at] == ']') --depth;
      ++at;
    } while (depth != 0);
    text_.remove_prefix(at);
  }

  static std::string known_descrs() {
    std::string names;
    for (const DTypeRow& known : dtype_rows)
      if (!known.npy.empty()) names += (names.empty() ? "" : ", ") + npy_descr(known.dtype);
    return names;
  }

  void read_order() {
    skip_space();
    header_.fortran_order = text_.starts_with("True");
    if (!header_.fortran_order && !text_.starts_with("False"))
      refuse("fortran_order True or False", in_quotes(text_));
    text_.remove_prefix(header_.fortran_order ? 4 : 5);
  }

  // A tuple: (), (3,) or (3, 2); like Python's, one of a single element needs its comma.
  void read_shape() {
    expect('(');
    bool comma = true;
    while (!accept(')')) {
      if (!comma) refuse("',' or ')' in shape", in_quotes(text_));
      header_.shape.push_back(integer());
      comma = accept(',');
    }
    if (header_.shape.size() == 1 && !comma) refuse("a tuple as shape", "a single number");
  }

  std::size_t integer() {
    skip_space();
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc{}) refuse("an unsigned 64-bit integer in shape", in_quotes(text_));
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    if (text_.starts_with('L')) text_.remove_prefix(1);  // Python 2's long integer
    return value;
  }

  // No key or type that is accepted contains an escape.
  std::string_view quoted_text() {
    skip_space();
    if (!text_.starts_with('\'') && !text_.starts_with('"'))
      refuse("a quoted text", in_quotes(text_));
    const std::size_t end = text_.find(text_.front(), 1);
    if (end == text_.npos) refuse("the end of a quoted text", in_quotes(text_));
    const std::string_view result = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return result;
  }

  void expect(char c) {
    if (!accept(c)) refuse(std::string("'") + c + "'", in_quotes(text_));
  }

  bool accept(char c) {
    skip_space();
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  void skip_space() {
    while (!text_.empty() &&
           (text_.front() == ' ' || text_.front() == '\n' || text_.front() == '\t'))
      text_.remove_prefix(1);
  }

  [[noreturn]] void refuse(const std::string& expected, const std::string& found) const {
    fail(file_, "header: expected " + expected + ", found " + found);
  }

  std::string_view text_;
  std::string file_;
  NpyTypes types_;
  NpyHeader header_;
};

}  // namespace vrfm::detail::io
