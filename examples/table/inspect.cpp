// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/table/inspect.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <examples/table/dataset.hpp>

namespace table {
namespace {

std::string extents(const vrfm::ArrayInfo& info) {
  std::string text;
  for (const std::size_t extent : info.shape)
    text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text.empty() ? "one number" : text;
}

/// Mean and deviation by Welford's sums, bounds, and what is odd.
struct ColumnSummary {
  std::size_t count = 0, missing = 0;
  double mean = 0, squares = 0, least = INFINITY, most = -INFINITY;
  bool whole = true;
  std::set<double> values;  // some

  void add(double x) {
    if (!std::isfinite(x)) {
      ++missing;
      return;
    }
    ++count;
    const double off = x - mean;
    mean += off / static_cast<double>(count);
    squares += off * (x - mean);
    least = std::min(least, x);
    most = std::max(most, x);
    whole = whole && x == std::floor(x);
    if (values.size() <= most_values) values.insert(x);
  }
  double deviation() const { return std::sqrt(squares / static_cast<double>(count)); }

  /// What a reader of the numbers would think of.
  std::string advice() const {
    if (count == 0) return "no number";
    if (deviation() == 0) return "constant";
    if (whole && least >= 0 && values.size() <= 20) {
      return "a label? --label; as numbers: --standardize NAME=discrete";
    }
    if (whole) return "whole numbers: --standardize NAME=discrete";
    if (least > 0 && most / least > 1000) return "powers of ten: --standardize NAME=log";
    return "";
  }

  static constexpr std::size_t most_values = 20;
};

}  // namespace

void inspect(const std::string& text) {
  const ArrayName name = array_name(text, "inspect");
  const auto arrays = vrfm::list_arrays(name.file);
  std::printf("%s\n", name.file.c_str());
  for (const auto& info : arrays) {
    std::printf("  %-28s %-10s %s\n", info.name.empty() ? "(the file)" : info.name.c_str(),
                info.type.c_str(), extents(info).c_str());
  }
  if (name.array.empty() && arrays.size() > 1 && !arrays.front().name.empty()) {
    std::printf("one of them is %s:NAME\n", name.file.c_str());
    return;
  }
  const auto reader = vrfm::open_rows(name.file, name.array);
  constexpr std::size_t block = 4096, most_columns = 40;
  const std::size_t columns = reader->columns();
  const FieldShape field = field_shape(*reader, columns, {}, "auto");
  const bool is_field = field.is_field();
  const auto names = is_field ? channel_names(field.channels) : column_names(*reader);
  const std::size_t points = columns / names.size();
  const auto summary_of = [&](std::size_t j) {
    return !is_field ? j : field.channels_first ? j / points : j % names.size();
  };
  std::vector<ColumnSummary> summaries(names.size());
  std::vector<double> numbers;
  std::size_t incomplete = 0;
  for (std::size_t first = 0; first < reader->rows(); first += block) {
    numbers.resize(std::min(block, reader->rows() - first) * columns);
    reader->read(first, std::span<double>(numbers));
    for (std::size_t i = 0; i < numbers.size(); i += columns) {
      bool complete = true;
      for (std::size_t j = 0; j < columns; ++j) {
        summaries[summary_of(j)].add(numbers[i + j]);
        complete = complete && std::isfinite(numbers[i + j]);
      }
      if (!complete) ++incomplete;
    }
  }
  if (is_field) {
    std::printf("\n%zu fields of %s (train --grid and --channels say it otherwise)", reader->rows(),
                field_text(field).c_str());
  } else {
    std::printf("\n%zu rows of %zu columns", reader->rows(), columns);
  }
  if (incomplete > 0)
    std::printf(", %zu of them with a NaN or an infinity (--drop-nan)", incomplete);
  std::printf("\n  %-20s %12s %12s %12s %12s %8s\n", is_field ? "channel" : "column", "least",
              "mean", "deviation", "most", "missing");
  for (std::size_t j = 0; j < std::min(names.size(), most_columns); ++j) {
    const ColumnSummary& s = summaries[j];
    std::printf("  %-20s %12.5g %12.5g %12.5g %12.5g %8zu  %s\n", names[j].c_str(), s.least, s.mean,
                s.count > 0 ? s.deviation() : 0.0, s.most, s.missing, s.advice().c_str());
  }
  if (names.size() > most_columns)
    std::printf("  ... and %zu columns more\n", names.size() - most_columns);
}

}  // namespace table
