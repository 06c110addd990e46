// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RowSource: the packed rows that are wanted of a user's arrays (data/row_layout.hpp): one part of a split, without
// those that have a NaN or an infinity, if the caller decides so; and pack, all of them in memory. Every pass over
// rows, also that of a stream (data/row_stream.hpp), reads them here.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/data/row_layout.hpp>
#include <vrfm/data/row_split.hpp>

namespace vrfm {

/// What to do with rows in which a number is NaN or infinite.
enum class NanRows { refuse, drop };

/// Which rows of the arrays are wanted.
struct RowFilter {
  NanRows nan = NanRows::refuse;
  SplitPart part = SplitPart::all;
  RowSplit split = {};  ///< counts unless part is all
};

/// Working memory of a thread that reads, and what it came across.
template <Real T>
struct RowScratch {
  std::vector<T> numbers;
  std::vector<double> ids, id_rows;
  std::size_t kept = 0;      ///< rows that were wanted
  std::size_t nan_rows = 0;  ///< rows of the part in which a number is NaN or infinite
  std::string first_nan;     ///< the first that was read, row and column by name
};

class RowSource {
 public:
  /// Rows of a pass are read in blocks of as many.
  static constexpr std::size_t pass_rows = 4096;

  /// Throws std::invalid_argument as RowPacker and RowSplit::check do, and if ids are not as many as rows.
  explicit RowSource(const RowRoles& roles, RowFilter filter = {})
      : packer_(roles), filter_(std::move(filter)) {
    if (filter_.part == SplitPart::all) return;
    filter_.split.check();
    const RowColumns& ids = filter_.split.ids;
    if (ids.reader == nullptr) return;
    id_column_ = detail::resolved_columns("the ids of a split", ids).front();
    expect_same("x1", packer_.rows(), ids.reader->name(), ids.reader->rows(), "rows");
  }

  const RowLayout& layout() const { return packer_.layout(); }
  /// Rows of the arrays, wanted or not.
  std::size_t rows() const { return packer_.rows(); }
  std::size_t row_columns() const { return packer_.row_columns(); }
  const RowPacker& packer() const { return packer_; }

  /// Writes the wanted ones of the rows first ... first + count - 1 to the beginning of `out` [count x row_columns()],
  /// whose rest it uses, too; returns how many they are. Throws std::runtime_error, naming row, column and number, for
  /// a label that is no class, a weight below 0 and an id that is NaN; and as RowReader::read. Rows in which a number
  /// is NaN or infinite are left out and counted; at the end of a pass `check` tells the caller.
  template <Real T>
  std::size_t read(std::size_t first, std::size_t count, T* out, RowScratch<T>& scratch) const {
    const std::size_t columns = row_columns();
    packer_.read(first, std::span<T>(out, count * columns), scratch.numbers);
    read_ids(first, count, scratch);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const T* const row = out + i * columns;
      if (!in_part(first + i, i, scratch) || !usable(first + i, row, scratch)) continue;
      if (kept != i) std::copy_n(row, columns, out + kept * columns);
      ++kept;
    }
    scratch.kept += kept;
    return kept;
  }

  /// Behind a pass. Throws std::runtime_error if no row is left, and unless NanRows::drop was asked for if rows have
  /// a NaN or an infinity.
  template <Real T>
  void check(const RowScratch<T>& scratch) const {
    if (scratch.nan_rows > 0 && filter_.nan == NanRows::refuse) {
      throw std::runtime_error(text("vrfm: expected finite numbers, found a NaN or an infinity in ",
                                    scratch.nan_rows, " of ", scratch.nan_rows + scratch.kept,
                                    " rows, first in ", scratch.first_nan,
                                    "; NanRows::drop leaves them out"));
    }
    if (scratch.kept > 0) return;
    throw std::runtime_error(text("vrfm: expected rows to keep, found none among ", rows(), " of ",
                                  packer_.name(), ", of which ", scratch.nan_rows,
                                  " have a NaN or an infinity"));
  }

  /// A pass: calls visit(const T* rows, std::size_t kept) for each `block` rows of the arrays in turn. Throws as `read`
  /// and `check`.
  template <Real T, class Visit>
  void for_each_block(std::size_t block, RowScratch<T>& scratch, const Visit& visit) const {
    std::vector<T> numbers((std::min)(block, rows()) * row_columns());
    for (std::size_t first = 0; first < rows(); first += block) {
      const std::size_t count = (std::min)(block, rows() - first);
      visit(numbers.data(), read(first, count, numbers.data(), scratch));
    }
    check(scratch);
  }

 private:
  template <Real T>
  void read_ids(std::size_t first, std::size_t count, RowScratch<T>& scratch) const {
    const RowReader* const reader = filter_.split.ids.reader;
    if (filter_.part == SplitPart::all || reader == nullptr) return;
    const std::size_t width = reader->columns();
    scratch.id_rows.resize(count * width);
    reader->read(first, std::span<double>(scratch.id_rows));
    scratch.ids.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      const double id = scratch.ids[i] = scratch.id_rows[i * width + id_column_];
      if (id != id) {
        throw std::runtime_error(text("vrfm: ", reader->name(), ": row ", first + i,
                                      ": expected the number of a split's id, found nan"));
      }
    }
  }

  template <Real T>
  bool in_part(std::size_t row, std::size_t i, const RowScratch<T>& scratch) const {
    if (filter_.part == SplitPart::all) return true;
    const double id =
        filter_.split.ids.reader == nullptr ? static_cast<double>(row) : scratch.ids[i];
    return filter_.split.held_out(id) == (filter_.part == SplitPart::validation);
  }

  template <Real T>
  bool usable(std::size_t number, const T* row, RowScratch<T>& scratch) const {
    const std::size_t columns = row_columns();
    // x - x is 0, or NaN if x is not finite. Eight sums, which do not wait for each other.
    T sums[8] = {};
    std::size_t j = 0;
    for (; j + 8 <= columns; j += 8) {
      for (std::size_t k = 0; k < 8; ++k) sums[k] += row[j + k] - row[j + k];
    }
    for (; j < columns; ++j) sums[0] += row[j] - row[j];
    T sum = 0;
    for (const T part : sums) sum += part;
    if (sum != 0) {
      j = 0;
      while (std::isfinite(row[j])) ++j;
      if (scratch.nan_rows++ == 0) {
        scratch.first_nan = text("row ", number, ", ", packer_.column_name(j), ": ", row[j]);
      }
      return false;
    }
    const RowLayout& l = packer_.layout();
    const auto label = static_cast<std::size_t>(l.label_at()),
               weight = static_cast<std::size_t>(l.weight_at());
    if (l.classes > 0 && !(row[label] >= 0 && row[label] < static_cast<T>(l.classes) &&
                           row[label] == std::floor(row[label]))) {
      refuse(number, label, text("a label of 0 to ", l.classes - 1), row[label]);
    }
    if (l.weighted && row[weight] < 0) refuse(number, weight, "a weight >= 0", row[weight]);
    return true;
  }

  [[noreturn]] void refuse(std::size_t row, std::size_t column, const std::string& expected,
                           double found) const {
    throw std::runtime_error(text("vrfm: ", packer_.column_name(column), ", row ", row,
                                  ": expected ", expected, ", found ", found));
  }

  RowPacker packer_;
  RowFilter filter_;
  std::size_t id_column_ = 0;
};

/// Packed rows in memory.
template <Real T, ExecutionSpace Exec>
struct PackedRows {
  RowLayout layout;
  Table<T, Exec> rows;      ///< [rows][layout.row_columns()]
  std::size_t dropped = 0;  ///< rows in which a number was NaN or infinite
  std::string first_dropped = {};
};

/// Reads all wanted rows of `source`. Allocates for all that there are; fences. Throws as RowSource::read and check.
template <Real T, ExecutionSpace Exec>
PackedRows<T, Exec> pack(const Exec& exec, const RowSource& source) {
  using HostRows = Kokkos::View<T**, Kokkos::LayoutRight, Kokkos::HostSpace>;
  const auto uninitialised = Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::pack");
  const HostRows all(uninitialised, source.rows(), source.row_columns());
  RowScratch<T> scratch;
  for (std::size_t first = 0; first < source.rows(); first += RowSource::pass_rows) {
    const std::size_t count = (std::min)(RowSource::pass_rows, source.rows() - first);
    source.read(first, count, all.data() + scratch.kept * source.row_columns(), scratch);
  }
  source.check(scratch);
  PackedRows<T, Exec> packed{source.layout(), {}, scratch.nan_rows, scratch.first_nan};
  if constexpr (is_host_space<Exec>) {
    if (scratch.kept == source.rows()) packed.rows = all;
  }
  if (packed.rows.extent(0) > 0) return packed;
  packed.rows = Table<T, Exec>(uninitialised, scratch.kept, source.row_columns());
  copy_elements(exec, packed.rows, HostRows(all.data(), scratch.kept, source.row_columns()));
  exec.fence();
  return packed;
}

}  // namespace vrfm
