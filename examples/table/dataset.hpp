// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DataSet: the arrays of a user, and which of their columns are what: x1, the condition, labels, weights, ids of a
// split; whether rows are fields; and how columns, or the channels of fields, are standardised.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/data/row_source.hpp>
#include <vrfm/data/standardized.hpp>

#include <examples/table/arrays.hpp>
#include <examples/table/fields.hpp>

namespace table {

/// As the options say it.
struct DataOptions {
  std::string data;
  std::vector<std::string> columns, condition, standardize;
  std::string label, weight, ids, field;
  Extents grid;                   ///< empty: by the array's extents
  std::string channels = "auto";  ///< first or last
  double validation = 0.1;
  bool drop_nan = false;
};

/// What a model was trained on, as far as its use needs it.
struct RowShape {
  std::vector<std::string> columns;    ///< names of x1's columns, of fields those of their channels
  std::vector<std::string> condition;  ///< names of the vector's
  int classes = 0;
  FieldShape x1;           ///< as it is written, with the channels that were taken
  int field_channels = 0;  ///< of the condition's field, on the grid of x1; 0: none
  std::string array;       ///< the name of x1's array in its file; may be empty

  bool conditional() const { return classes > 0 || !condition.empty() || field_channels > 0; }
  /// Numbers of an x1.
  int dimension() const { return static_cast<int>(columns.size()) * points(); }
  int points() const { return x1.is_field() ? x1.points() : 1; }
};

namespace detail {

/// "deviation", "quantiles", "log", "log:SHIFT", "logit:LOW:HIGH", "none", each also as "discrete-...".
inline vrfm::ColumnOptions scale_of(const std::string& text) {
  vrfm::ColumnOptions options;
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ':');) parts.push_back(part);
  std::string kind = parts.empty() ? "" : parts[0];
  options.discrete = kind == "discrete" || kind.starts_with("discrete-");
  if (options.discrete) kind = kind == "discrete" ? "deviation" : kind.substr(9);
  std::vector<double> numbers;
  bool right = true;
  for (std::size_t k = 1; k < parts.size(); ++k) {
    std::size_t used = 0;
    try {
      numbers.push_back(std::stod(parts[k], &used));
    } catch (const std::exception&) {
    }
    right = right && used == parts[k].size() && used > 0;
  }
  using vrfm::ScaleKind;
  if (kind == "none" && numbers.empty()) {
    options.kind = ScaleKind::identity;
  } else if (kind == "quantiles" && numbers.empty()) {
    options.kind = ScaleKind::quantiles;
  } else if (kind == "log" && numbers.size() <= 1) {
    options.kind = ScaleKind::log;
    if (!numbers.empty()) options.shift = numbers[0];
  } else if (kind == "logit" && (numbers.empty() || numbers.size() == 2)) {
    options.kind = ScaleKind::logit;
    if (!numbers.empty()) options.low = numbers[0], options.high = numbers[1];
  } else {
    right = right && kind == "deviation" && numbers.empty();
  }
  vrfm::expect(right,
               "--standardize: expected none, deviation, quantiles, log, log:SHIFT, logit, "
               "logit:LOW:HIGH, discrete, or one of these behind discrete-, found '",
               text, "'");
  return options;
}

}  // namespace detail

/// "0", "1", ...
inline std::vector<std::string> channel_names(int channels) {
  std::vector<std::string> names;
  for (int c = 0; c < channels; ++c) names.push_back(std::to_string(c));
  return names;
}

class DataSet {
 public:
  /// Opens the arrays. Throws std::runtime_error and std::invalid_argument that name the option, file and columns.
  explicit DataSet(const DataOptions& o) : options_(o), name_(array_name(o.data, "--data")) {
    const vrfm::RowReader& data = arrays_.open(name_);
    std::vector<std::size_t> taken;
    add_condition(data, taken);
    const auto add_one = [&](const std::string& text, const char* option) -> vrfm::RowColumns {
      if (text.empty()) return {};
      const auto [reader, columns] = columns_of(text, data, option);
      vrfm::expect(columns.size() == 1, option, ": expected one column, got ", columns.size());
      if (reader == &data) taken.push_back(columns[0]);
      return {reader, columns};
    };
    roles_.label = add_one(o.label, "--label");
    roles_.weight = add_one(o.weight, "--weight");
    ids_ = add_one(o.ids, "--ids");
    if (roles_.label.reader != nullptr) roles_.classes = shape_.classes = count_classes();
    const bool table = data.info().shape.size() <= 2;
    const auto columns = columns_left(data, taken, table ? o.columns : std::vector<std::string>());
    shape_.x1 = field_shape(data, columns.size(), o.grid, o.channels);
    shape_.array = data.info().name;
    if (shape_.x1.is_field()) {
      take_fields(data, columns);
    } else {
      const auto names = column_names(data);
      for (const std::size_t j : columns) shape_.columns.push_back(names[j]);
      roles_.x1 = {{&data, columns}};
    }
    add_field();
  }

  const RowShape& shape() const { return shape_; }
  const ArrayName& name() const { return name_; }
  std::size_t rows() const { return roles_.x1[0].reader->rows(); }
  /// Columns of a packed row.
  std::size_t row_columns() const { return vrfm::RowPacker(roles_).row_columns(); }

  /// The rows of a part of the split that the options ask for.
  vrfm::RowSource source(vrfm::SplitPart part, std::uint32_t seed) const {
    if (options_.validation == 0 && part == vrfm::SplitPart::training) part = vrfm::SplitPart::all;
    return vrfm::RowSource(
        roles_, {.nan = options_.drop_nan ? vrfm::NanRows::drop : vrfm::NanRows::refuse,
                 .part = part,
                 .split = {.validation = options_.validation, .seed = seed, .ids = ids_}});
  }

  /// What each column of x1 and of the vector is standardised by. Throws std::invalid_argument for an unknown column.
  vrfm::RowScalesOptions scales() const {
    vrfm::RowScalesOptions scales;
    std::vector<vrfm::ColumnOptions> all(1);
    for (const std::string& text : options_.standardize) {
      if (text.find('=') == std::string::npos) all[0] = detail::scale_of(text);
    }
    scales.x1.columns.assign(shape_.columns.size(), all[0]);
    if (shape_.x1.is_field()) scales.x1.channels = static_cast<int>(shape_.columns.size());
    scales.field.columns = all;
    scales.field.channels = shape_.field_channels;
    scales.vector.columns.assign(std::max<std::size_t>(1, shape_.condition.size()), all[0]);
    for (const std::string& text : options_.standardize) {
      const std::size_t equals = text.find('=');
      if (equals == std::string::npos) continue;
      const std::string name = text.substr(0, equals);
      bool found = false;
      const auto set = [&](const std::vector<std::string>& names,
                           std::vector<vrfm::ColumnOptions>& columns) {
        for (std::size_t j = 0; j < names.size(); ++j) {
          if (names[j] != name) continue;
          columns[j] = detail::scale_of(text.substr(equals + 1));
          found = true;
        }
      };
      set(shape_.columns, scales.x1.columns);
      set(shape_.condition, scales.vector.columns);
      if (shape_.field_channels > 0) set({"field"}, scales.field.columns);
      vrfm::expect(found,
                   "--standardize: expected a column of the data or the condition, which are ",
                   detail::listed(shape_.columns), shape_.condition.empty() ? "" : ", ",
                   detail::listed(shape_.condition), shape_.field_channels > 0 ? ", field" : "",
                   "; found '", name, "'");
    }
    return scales;
  }

 private:
  /// The columns of the data that `wanted` names, or all that are not taken.
  static std::vector<std::size_t> columns_left(const vrfm::RowReader& data,
                                               const std::vector<std::size_t>& taken,
                                               const std::vector<std::string>& wanted) {
    const auto is_taken = [&](std::size_t j) {
      return std::find(taken.begin(), taken.end(), j) != taken.end();
    };
    if (!wanted.empty()) {
      const auto columns = columns_named(data, wanted, "--columns");
      for (const std::size_t j : columns) {
        vrfm::expect(!is_taken(j), "--columns: column '", column_names(data)[j],
                     "' is that of another option");
      }
      return columns;
    }
    std::vector<std::size_t> columns;
    for (std::size_t j = 0; j < data.columns(); ++j) {
      if (!is_taken(j)) columns.push_back(j);
    }
    vrfm::expect(!columns.empty(), "--data: expected columns besides those of other options in ",
                 data.name(), ", found none");
    return columns;
  }

  /// x1 of fields, whose numbers are `columns` of the data: all channels, or of an array with axes those that the
  /// options name.
  void take_fields(const vrfm::RowReader& data, const std::vector<std::size_t>& columns) {
    const auto names = channel_names(shape_.x1.channels);
    std::vector<std::size_t> channels = all_channels(shape_.x1);
    if (!options_.columns.empty() && !shape_.x1.flat) {
      channels = places_of(names, options_.columns, "the channels of " + data.name(), "--columns");
    }
    std::vector<std::size_t> places = field_columns(shape_.x1, shape_.x1.grid, channels);
    for (std::size_t& place : places) place = columns[place];
    roles_.x1 = {{&data, places}};
    for (const std::size_t c : channels) shape_.columns.push_back(names[c]);
    shape_.x1.channels = static_cast<int>(channels.size());
  }

  void add_field() {
    if (options_.field.empty()) return;
    vrfm::expect(shape_.x1.is_field(), "--field: expected data that are fields, [n, h, w] or with ",
                 "channels, or --grid, found rows of ", shape_.columns.size(), " columns");
    const std::string& text = options_.field;
    const vrfm::RowReader& reader =
        arrays_.open(text.starts_with(':') ? ArrayName{name_.file, text.substr(1)}
                                           : array_name(text, "--field"));
    const FieldShape shape = shape_like(reader, shape_.x1, true, "--field");
    shape_.field_channels = shape.channels;
    roles_.field = {{&reader, field_columns(shape, shape_.x1.grid, all_channels(shape))}};
  }

  /// Columns of the data by name, or all of another array.
  std::pair<const vrfm::RowReader*, std::vector<std::size_t>> columns_of(
      const std::string& text, const vrfm::RowReader& data, const char* option) {
    std::error_code none;
    const std::size_t colon = text.find(':');
    if (text.starts_with(':')) return whole({name_.file, text.substr(1)});
    if ((colon != std::string::npos && std::filesystem::exists(text.substr(0, colon), none)) ||
        std::filesystem::is_regular_file(text, none)) {
      return whole(array_name(text, option));
    }
    vrfm::expect(data.info().shape.size() <= 2, option, ": expected FILE[:ARRAY], or :ARRAY of ",
                 name_.file.string(), ", because the rows of ", data.name(), " are fields, found '",
                 text, "'");
    return {&data, columns_named(data, {text}, option)};
  }
  std::pair<const vrfm::RowReader*, std::vector<std::size_t>> whole(const ArrayName& name) {
    const vrfm::RowReader& reader = arrays_.open(name);
    std::vector<std::size_t> all(reader.columns());
    for (std::size_t j = 0; j < all.size(); ++j) all[j] = j;
    return {&reader, all};
  }

  void add_condition(const vrfm::RowReader& data, std::vector<std::size_t>& taken) {
    for (const std::string& text : options_.condition) {
      const auto [reader, columns] = columns_of(text, data, "--condition");
      roles_.vector.push_back({reader, columns});
      const auto names = column_names(*reader);
      for (const std::size_t j : columns) {
        shape_.condition.push_back(names[j]);
        if (reader == &data) taken.push_back(j);
      }
    }
  }

  int count_classes() const {
    const vrfm::RowReader& reader = *roles_.label.reader;
    const std::size_t width = reader.columns(), block = 4096;
    std::vector<double> numbers;
    double most = -1;
    for (std::size_t first = 0; first < reader.rows(); first += block) {
      numbers.resize(std::min(block, reader.rows() - first) * width);
      reader.read(first, std::span<double>(numbers));
      for (std::size_t i = 0; i < numbers.size(); i += width) {
        const double label = numbers[i + roles_.label.columns[0]];
        vrfm::expect(label >= 0 && label < 1e6 && label == std::floor(label),
                     "--label: expected whole numbers from 0 in ", reader.name(), ", found ", label,
                     " in row ", first + i / width);
        most = std::max(most, label);
      }
    }
    return static_cast<int>(most) + 1;
  }

  DataOptions options_;
  ArrayName name_;
  Arrays arrays_;
  vrfm::RowRoles roles_;
  vrfm::RowColumns ids_;
  RowShape shape_;
};

}  // namespace table
