// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Some rows of a part of the data, with their conditions, in memory: those that were held out, to compare with, and those
// whose z is looked at.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <vrfm/core/copy.hpp>

#include <examples/table/model.hpp>

namespace table {

/// x1 in the data's units, conditions standardised.
struct GivenRows {
  Rows x1;
  Conditions condition;
};

/// How many rows are wanted. Passes over them.
inline std::size_t count_rows(const vrfm::RowSource& source) {
  std::size_t all = 0;
  vrfm::RowScratch<float> scratch;
  source.for_each_block(vrfm::RowSource::pass_rows, scratch,
                        [&](const float*, std::size_t count) { all += count; });
  return all;
}

/// The least k such that every k-th row are at most `most`.
inline std::size_t stride_of(const vrfm::RowSource& source, std::size_t most) {
  return source.rows() <= most ? 1 : (count_rows(source) + most - 1) / most;
}

/// Every `stride`-th row of `source`, as far as `most` of them.
inline GivenRows some_rows(const Exec& exec, const vrfm::RowSource& source,
                           const vrfm::RowScales& scales, std::size_t stride,
                           std::size_t most = SIZE_MAX) {
  const vrfm::RowLayout& layout = source.layout();
  std::vector<float> x1, vector, field;
  std::vector<std::int32_t> labels;
  std::size_t number = 0, kept = 0;
  vrfm::RowScratch<float> scratch;
  source.for_each_block(
      vrfm::RowSource::pass_rows, scratch, [&](const float* rows, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i, ++number) {
          if (number % stride != 0 || kept == most) continue;
          ++kept;
          const float* const row = rows + i * source.row_columns();
          x1.insert(x1.end(), row, row + layout.dimension);
          vector.insert(vector.end(), row + layout.vector_at(), row + layout.field_at());
          field.insert(field.end(), row + layout.field_at(), row + layout.label_at());
          if (layout.classes > 0) {
            labels.push_back(static_cast<std::int32_t>(row[layout.label_at()]));
          }
        }
      });
  const auto standardised = [&](const std::vector<float>& numbers, int columns,
                                const vrfm::Standardization& scale) -> Rows {
    if (columns == 0) return {};
    const Rows rows = to_rows(exec, numbers, static_cast<std::size_t>(columns));
    if (scale.columns() > 0) scale.standardize(exec, rows);
    return rows;
  };
  GivenRows given{to_rows(exec, x1, static_cast<std::size_t>(layout.dimension)), {}};
  given.condition.vector = standardised(vector, layout.columns, scales.vector);
  given.condition.field = standardised(field, layout.field_columns, scales.field);
  if (!labels.empty()) {
    const vrfm::Array<std::int32_t, Exec> on_device("table::labels", labels.size());
    using Host = Kokkos::View<const std::int32_t*, Kokkos::HostSpace>;
    vrfm::copy_elements(exec, on_device, Host(labels.data(), labels.size()));
    exec.fence();
    given.condition.labels = on_device;
  }
  return given;
}

}  // namespace table
