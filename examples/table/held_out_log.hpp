// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// HeldOutLog: the held-out losses of a training, which tell whether it goes on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/io/csv.hpp>

#include <examples/common/ranks.hpp>

namespace table {

using common::is_root;

/// The held-out losses of a training, kept as held_out.csv: "step,loss".
class HeldOutLog {
 public:
  /// Of the steps up to `last`, if there is a file.
  HeldOutLog(std::filesystem::path file, std::int64_t last) : file_(std::move(file)) {
    if (!std::filesystem::exists(file_)) return;
    const vrfm::CsvTable table = vrfm::read_csv(file_, {"step", "loss"});
    for (std::size_t i = 0; i < table.rows; ++i) {
      if (table.values[2 * i] <= static_cast<double>(last)) {
        rows_.insert(rows_.end(), {table.values[2 * i], table.values[2 * i + 1]});
      }
    }
  }

  /// Returns whether it is the least so far.
  bool add(std::int64_t step, double loss) {
    const bool least = !(loss >= best());
    rows_.insert(rows_.end(), {static_cast<double>(step), loss});
    const std::vector<std::string> names{"step", "loss"};
    if (is_root()) vrfm::write_csv(file_, names, rows_);
    return least;
  }
  double best() const {
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t i = 1; i < rows_.size(); i += 2) best = std::min(best, rows_[i]);
    return best;
  }
  /// How many losses came since the least.
  int since_best() const {
    int count = 0;
    for (std::size_t i = rows_.size(); i > 0 && rows_[i - 1] > best(); i -= 2) ++count;
    return count;
  }

 private:
  std::filesystem::path file_;
  std::vector<double> rows_;
};

}  // namespace table
