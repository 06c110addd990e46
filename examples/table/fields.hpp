// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FieldShape: rows that are fields, points of a grid with channels. Networks take the points row-major and the channels
// of a point one after the other; in files the channels may come first, [n, c, h, w], or not be an axis, [n, h, w].
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/io/row_reader.hpp>

namespace table {

using Extents = std::vector<int>;

struct FieldShape {
  Extents grid;  ///< points along each axis; empty: rows are no fields
  int channels = 1;
  bool channels_first = false;  ///< in the file
  bool channel_axis = true;     ///< whether the file's array has one
  bool flat = false;            ///< the file's rows are numbers without extents

  bool is_field() const { return !grid.empty(); }
  int points() const {
    int product = 1;
    for (const int extent : grid) product *= extent;
    return product;
  }
  /// Where a channel of a point is in a row of the file.
  std::size_t place(int point, int channel) const {
    const int at = channels_first ? channel * points() + point : point * channels + channel;
    return static_cast<std::size_t>(at);
  }
  /// Extents of a row in the file.
  Extents row() const {
    if (!is_field()) return {};
    if (flat) return {points() * channels};
    Extents row = grid;
    if (channel_axis) row.insert(channels_first ? row.begin() : row.end(), channels);
    return row;
  }
};

inline std::string extents_text(const Extents& extents) {
  std::string text;
  for (const int extent : extents) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text;
}

/// "16 x 16 points, 3 channels (first)"
inline std::string field_text(const FieldShape& shape) {
  std::string text = extents_text(shape.grid) + " points, " + std::to_string(shape.channels) +
                     (shape.channels == 1 ? " channel" : " channels");
  if (shape.channels > 1) text += shape.channels_first ? ", channels first" : ", channels last";
  return text;
}

namespace detail {

inline Extents row_extents(const vrfm::RowReader& reader) {
  vrfm::narrow<int>(reader.columns(), "the numbers of a row of ", reader.name());
  const auto& shape = reader.info().shape;
  Extents row;
  for (std::size_t k = 1; k < shape.size(); ++k) {
    row.push_back(vrfm::narrow<int>(shape[k], "an extent of ", reader.name()));
  }
  return row;
}

/// Whether the extents of `row` from `first` on are those of `grid`, or, if `coarser`, divide them.
inline bool lie_on(const Extents& row, std::size_t first, const Extents& grid, bool coarser) {
  if (first + grid.size() > row.size()) return false;
  for (std::size_t k = 0; k < grid.size(); ++k) {
    const int extent = row[first + k];
    if (coarser ? grid[k] % extent != 0 : extent != grid[k]) return false;
  }
  return true;
}

inline Extents part(const Extents& row, std::size_t first, std::size_t count) {
  const auto begin = row.begin() + static_cast<std::ptrdiff_t>(first);
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

/// The shape of rows on a grid, or, if `coarser`, on one whose extents divide it. No field if they do not fit.
inline FieldShape shape_on(const Extents& row, const Extents& grid, bool prefers_first,
                           bool coarser) {
  const std::size_t axes = grid.size();
  if (row.size() == axes && lie_on(row, 0, grid, coarser)) return {row, 1, false, false};
  if (row.size() == axes + 1) {
    const bool last = lie_on(row, 0, grid, coarser), first = lie_on(row, 1, grid, coarser);
    if (first && (!last || prefers_first)) return {part(row, 1, axes), row.front(), true};
    if (last) return {part(row, 0, axes), row.back(), false};
  }
  return {};
}

/// Numbers without extents as fields; no field if they are not whole ones.
inline FieldShape flat_shape(const Extents& row, std::size_t numbers, const Extents& grid,
                             bool channels_first) {
  std::size_t points = 1;
  for (const int extent : grid) points *= static_cast<std::size_t>(extent);
  if (row.size() > 1 || points > numbers || numbers % points != 0) return {};
  return {grid, static_cast<int>(numbers / points), channels_first, true, true};
}

}  // namespace detail

/// The fields of an array by its extents, or by `grid`, if that is not empty, and `channels`, which is "auto", "first"
/// or "last". `numbers`: how many of a row that has no extents are taken. Throws std::invalid_argument that names
/// the option.
inline FieldShape field_shape(const vrfm::RowReader& reader, std::size_t numbers,
                              const Extents& grid, const std::string& channels) {
  const Extents row = detail::row_extents(reader);
  const bool first = channels == "first";
  if (!grid.empty()) {
    FieldShape shape = detail::shape_on(row, grid, first, false);
    if (!shape.is_field()) shape = detail::flat_shape(row, numbers, grid, first);
    vrfm::expect(shape.is_field(), "--grid: expected the extents of a row of ", reader.name(), ", ",
                 row.size() > 1 ? extents_text(row) : std::to_string(numbers), " numbers, got ",
                 extents_text(grid));
    return shape;
  }
  const std::size_t axes = row.size();
  if (axes <= 1) return {};
  vrfm::expect(axes <= 4, "--data: expected rows of at most three axes and channels, found ",
               extents_text(row), " in ", reader.name());
  // Two extents are a grid without channels; the shorter one of the outer ones of more is that of the channels.
  if (axes == 2 && channels == "auto") return {row, 1, false, false};
  const bool is_first = channels == "auto" ? row.front() < row.back() : first;
  return {detail::part(row, is_first ? 1 : 0, axes - 1), is_first ? row.front() : row.back(),
          is_first};
}

/// The fields of an array on the grid of `x1`, or, if `coarser`, on one whose extents divide it. Throws
/// std::invalid_argument that names the option.
inline FieldShape shape_like(const vrfm::RowReader& reader, const FieldShape& x1, bool coarser,
                             const std::string& option) {
  const Extents row = detail::row_extents(reader);
  FieldShape shape = detail::shape_on(row, x1.grid, x1.channels_first, false);
  if (!shape.is_field() && coarser) {
    shape = detail::shape_on(row, x1.grid, x1.channels_first, true);
  }
  if (!shape.is_field()) {
    shape = detail::flat_shape(row, reader.columns(), x1.grid, x1.channels_first);
  }
  vrfm::expect(shape.is_field(), option, ": expected fields on the grid of ", extents_text(x1.grid),
               " points", coarser ? ", or on one whose extents divide these" : "",
               ", found rows of ", extents_text(row), " in ", reader.name());
  return shape;
}

inline std::vector<std::size_t> all_channels(const FieldShape& shape) {
  std::vector<std::size_t> all;
  for (int c = 0; c < shape.channels; ++c) all.push_back(static_cast<std::size_t>(c));
  return all;
}

/// The columns of a file's row in the order of networks, of these channels, at the points of `grid`: each has the
/// number of the point of the file's grid that it lies in.
inline std::vector<std::size_t> field_columns(const FieldShape& shape, const Extents& grid,
                                              const std::vector<std::size_t>& channels) {
  std::vector<std::size_t> columns;
  std::vector<int> at(grid.size(), 0);
  bool more = true;
  while (more) {
    int point = 0;
    for (std::size_t k = 0; k < grid.size(); ++k) {
      point = point * shape.grid[k] + at[k] * shape.grid[k] / grid[k];
    }
    for (const std::size_t c : channels) {
      columns.push_back(shape.place(point, static_cast<int>(c)));
    }
    std::size_t k = grid.size();
    while (k > 0 && ++at[k - 1] == grid[k - 1]) at[--k] = 0;
    more = k > 0;
  }
  return columns;
}

/// The rows of networks, points and channels one after the other, in the file's order.
inline std::vector<double> in_file_order(const FieldShape& shape, const std::vector<double>& rows) {
  if (!shape.is_field() || !shape.channels_first) return rows;
  const int points = shape.points();
  const std::size_t width = static_cast<std::size_t>(points * shape.channels);
  std::vector<double> turned(rows.size());
  for (std::size_t i = 0; i < rows.size(); i += width) {
    for (int p = 0; p < points; ++p) {
      for (int c = 0; c < shape.channels; ++c) {
        turned[i + shape.place(p, c)] = rows[i + static_cast<std::size_t>(p * shape.channels + c)];
      }
    }
  }
  return turned;
}

}  // namespace table
