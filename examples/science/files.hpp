// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arrays of files as tables in memory; and the names of files that hold what a model has drawn, "rfm-4.h5": by which
// method, and with how many evaluations of its network.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/io/open_rows.hpp>

namespace science {

using Exec = Kokkos::DefaultExecutionSpace;

/// Rows of numbers on the host.
struct HostTable {
  std::string name;  ///< file and array as messages name them
  std::size_t rows = 0, columns = 0;
  std::vector<double> values;  ///< row-major

  HostTable() = default;
  HostTable(std::string named, std::size_t row_count, std::size_t column_count)
      : name(std::move(named)),
        rows(row_count),
        columns(column_count),
        values(row_count * column_count) {}

  double& operator()(std::size_t i, std::size_t j) { return values[i * columns + j]; }
  double operator()(std::size_t i, std::size_t j) const { return values[i * columns + j]; }
};

/// All of an array; `array` may be empty in a file of one. Throws what vrfm::open_rows throws.
inline HostTable read_table(const std::filesystem::path& file, const std::string& array = "") {
  const auto reader = vrfm::open_rows(file, array);
  HostTable table(reader->name(), reader->rows(), reader->columns());
  reader->read(0, std::span(table.values));
  return table;
}

/// Throws std::invalid_argument that names both tables unless they have as many rows.
inline void expect_rows(const HostTable& table, const HostTable& of) {
  vrfm::expect(table.rows == of.rows, table.name, ": expected ", of.rows, " rows as in ", of.name,
               ", found ", table.rows);
}

inline vrfm::Table<double, Exec> on_device(const Exec& exec, const HostTable& table) {
  const vrfm::Table<double, Exec> rows("science::table", table.rows, table.columns);
  using Host = Kokkos::View<const double**, Kokkos::LayoutRight, Kokkos::HostSpace>;
  vrfm::copy_elements(exec, rows, Host(table.values.data(), table.rows, table.columns));
  exec.fence();
  return rows;
}

/// Where something was drawn by `method` with so many evaluations.
struct DrawnFile {
  std::filesystem::path path;
  std::string method;
  int evaluations = 0;
};

/// Of names METHOD-EVALUATIONS.*; sorted by both. Throws std::invalid_argument for other names.
inline std::vector<DrawnFile> drawn_files(const std::vector<std::string>& paths) {
  std::vector<DrawnFile> files;
  for (const std::string& text : paths) {
    const std::filesystem::path path = text;
    const std::string stem = path.stem().string();
    const std::size_t dash = stem.rfind('-');
    int evaluations = 0;
    if (dash != std::string::npos) {
      std::from_chars(stem.data() + dash + 1, stem.data() + stem.size(), evaluations);
    }
    vrfm::expect(
        dash > 0 && evaluations > 0 && stem.substr(dash + 1) == std::to_string(evaluations),
        "expected files METHOD-EVALUATIONS.*, such as rfm-4.h5, found '", text, "'");
    files.push_back({path, stem.substr(0, dash), evaluations});
  }
  std::sort(files.begin(), files.end(), [](const DrawnFile& a, const DrawnFile& b) {
    return std::tie(a.method, a.evaluations) < std::tie(b.method, b.evaluations);
  });
  return files;
}

}  // namespace science
