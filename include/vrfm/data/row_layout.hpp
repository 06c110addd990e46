// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RowLayout: which columns of a packed row are x1, vector and field of the condition, label and weight. RowPacker reads
// packed rows from the arrays that a user has: each role takes columns of one or several RowReaders, such as showers
// of one file and their energies of another. Whatever extents a row has in its file, it is a product of them here;
// images and fields whose channels come first become pixels x channels, as networks want them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/distribution.hpp>
#include <vrfm/io/row_reader.hpp>

namespace vrfm {

/// The columns of a packed row: x1, vector, field, label, weight, in this order.
struct RowLayout {
  int dimension = 0;      ///< columns of x1
  int columns = 0;        ///< of the vector; 0: none
  int field_columns = 0;  ///< of the field; 0: none
  int classes =
      0;  ///< labels are 0 ... classes - 1, whole numbers (of float below 2^24); 0: no label
  bool weighted = false;  ///< whether there is a weight

  bool operator==(const RowLayout&) const = default;

  KOKKOS_INLINE_FUNCTION int vector_at() const { return dimension; }
  KOKKOS_INLINE_FUNCTION int field_at() const { return dimension + columns; }
  KOKKOS_INLINE_FUNCTION int label_at() const { return field_at() + field_columns; }
  KOKKOS_INLINE_FUNCTION int weight_at() const { return label_at() + (classes > 0 ? 1 : 0); }
  /// All columns of a row.
  KOKKOS_INLINE_FUNCTION int row_columns() const { return weight_at() + (weighted ? 1 : 0); }

  KOKKOS_INLINE_FUNCTION ConditionShape condition() const {
    return {.classes = classes, .columns = columns, .field_columns = field_columns};
  }

  /// Writes all of a row but its weight.
  template <class T>
  KOKKOS_INLINE_FUNCTION void write(const T* row, const Slot<T>& slot) const {
    for (int j = 0; j < dimension; ++j) slot.x1[j] = row[j];
    for (int j = 0; j < columns; ++j) slot.vector[j] = row[vector_at() + j];
    for (int j = 0; j < field_columns; ++j) slot.field[j] = row[field_at() + j];
    if (classes > 0) *slot.label = static_cast<std::int32_t>(row[label_at()]);
  }
};

/// Columns of an array, which must outlive what reads them.
struct RowColumns {
  const RowReader* reader = nullptr;
  std::vector<std::size_t> columns = {};  ///< empty: all
  /// Above 1: they come as channels x pixels and are turned to pixels x channels.
  std::size_t channels = 1;
};

/// Where the parts of a row come from. Columns of several arrays follow one another.
struct RowRoles {
  std::vector<RowColumns> x1 = {}, vector = {}, field = {};
  RowColumns label = {}, weight = {};  ///< one column, or no reader
  int classes = 0;                     ///< needed with a label
};

namespace detail {

/// Throws std::invalid_argument unless the columns are there.
inline std::vector<std::size_t> resolved_columns(const char* role, const RowColumns& part) {
  expect(part.reader != nullptr, role, ": expected an array to read, got none");
  const std::size_t all = part.reader->columns();
  std::vector<std::size_t> columns = part.columns;
  for (std::size_t j = 0; columns.size() < all && part.columns.empty(); ++j) columns.push_back(j);
  for (const std::size_t j : columns) {
    expect(j < all, role, ": expected columns below ", all, " of ", part.reader->name(), ", got ",
           j);
  }
  const std::size_t channels = part.channels;
  expect(channels > 0 && columns.size() % channels == 0, role, ": expected channels that divide ",
         columns.size(), " columns of ", part.reader->name(), ", got ", channels);
  const std::size_t pixels = columns.size() / channels;
  std::vector<std::size_t> turned;
  for (std::size_t p = 0; p < pixels; ++p) {
    for (std::size_t c = 0; c < channels; ++c) turned.push_back(columns[c * pixels + p]);
  }
  return turned;
}

}  // namespace detail

/// Reads packed rows. Keeps pointers to the readers. Several threads may read, each with memory of its own.
class RowPacker {
 public:
  /// Throws std::invalid_argument, naming role and array, for columns that are not there, for arrays of different
  /// numbers of rows, and unless there is an x1, one column of labels with classes > 0, and one of weights.
  explicit RowPacker(const RowRoles& roles) {
    layout_.dimension = add("x1", roles.x1);
    expect(layout_.dimension > 0, "rows need columns of x1, got none");
    layout_.columns = add("the vector", roles.vector);
    layout_.field_columns = add("the field", roles.field);
    expect((roles.classes > 0) == (roles.label.reader != nullptr),
           "rows need classes > 0 with a label and 0 without, got ", roles.classes);
    layout_.classes = roles.classes;
    if (roles.label.reader != nullptr) add_one("the label", roles.label);
    layout_.weighted = roles.weight.reader != nullptr;
    if (layout_.weighted) add_one("the weight", roles.weight);
  }

  const RowLayout& layout() const { return layout_; }
  /// The array of x1, as messages name it.
  const std::string& name() const { return sources_[0].reader->name(); }
  /// Of each array.
  std::size_t rows() const { return rows_; }
  std::size_t row_columns() const { return names_.size(); }
  /// A column of a packed row, as messages name it: its role, its array and its column there.
  std::string column_name(std::size_t column) const {
    const Origin& origin = names_[column];
    const RowReader& reader = *sources_[origin.source].reader;
    const auto& named = reader.info().columns;
    return text(origin.role, ", column ", origin.column,
                origin.column < named.size() ? text(" '", named[origin.column], "'") : "", " of ",
                reader.name());
  }

  /// Writes the packed rows first, first + 1, ... as many as fill `out`. `memory` is kept from call to call. Throws as
  /// RowReader::read.
  template <Real T>
  void read(std::size_t first, std::span<T> out, std::vector<T>& memory) const {
    const std::size_t columns = row_columns(), count = out.size() / columns;
    for (const Source& source : sources_) {
      const std::size_t width = source.reader->columns();
      if (source.whole) {
        source.reader->read(first, out);
        return;
      }
      memory.resize((std::max)(memory.size(), count * width));
      source.reader->read(first, std::span<T>(memory.data(), count * width));
      for (std::size_t i = 0; i < count; ++i) {
        const T* const from = memory.data() + i * width;
        T* const to = out.data() + i * columns;
        for (const Run& run : source.runs) std::copy_n(from + run.from, run.count, to + run.to);
      }
    }
  }

 private:
  /// Columns that lie side by side in an array and in a packed row.
  struct Run {
    std::size_t from, to, count;
  };
  struct Source {
    const RowReader* reader;
    std::vector<Run> runs;
    bool whole;  // a packed row is a row of it
  };
  struct Origin {
    const char* role;
    std::size_t source, column;
  };

  int add(const char* role, const std::vector<RowColumns>& parts) {
    const std::size_t before = names_.size();
    for (const RowColumns& part : parts) add_part(role, part);
    for (Source& source : sources_) {
      source.whole = sources_.size() == 1 && source.runs.size() == 1 &&
                     source.runs[0].count == source.reader->columns();
    }
    return narrow<int>(names_.size() - before, "the columns of ", role);
  }
  void add_one(const char* role, const RowColumns& part) {
    const int count = add(role, {part});
    expect(count == 1, role, ": expected one column, got ", count, " of ", part.reader->name());
  }
  void add_part(const char* role, const RowColumns& part) {
    const auto columns = detail::resolved_columns(role, part);
    const auto found = std::ranges::find(sources_, part.reader, &Source::reader);
    const auto k = static_cast<std::size_t>(found - sources_.begin());
    if (found == sources_.end()) {
      if (sources_.empty()) rows_ = part.reader->rows();
      expect(rows_ > 0, "expected rows in ", part.reader->name(), ", found none");
      expect_same(sources_.empty() ? "" : sources_[0].reader->name(), rows_, part.reader->name(),
                  part.reader->rows(), "rows");
      sources_.push_back({part.reader, {}, false});
    }
    auto& runs = sources_[k].runs;
    for (const std::size_t column : columns) {
      const std::size_t to = names_.size();
      names_.push_back({role, k, column});
      if (!runs.empty() && runs.back().from + runs.back().count == column &&
          runs.back().to + runs.back().count == to) {
        ++runs.back().count;
      } else {
        runs.push_back({column, to, 1});
      }
    }
  }

  RowLayout layout_;
  std::size_t rows_ = 0;
  std::vector<Source> sources_;
  std::vector<Origin> names_;  // of the columns of a packed row
};

}  // namespace vrfm
