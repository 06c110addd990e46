// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LossLog: the losses of every step of a training and the norm of its gradient, kept as an archive
// losses.npz with one array a name. Earlier versions kept one array losses.npy, [steps][velocity, KL]
// or [steps][velocity, KL, gradient norm]; it is read, too.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/io/csv.hpp>
#include <vrfm/io/npz.hpp>
#include <vrfm/training/step_log.hpp>

#include <examples/common/figures/curves.hpp>

namespace common {

class LossLog {
 public:
  static constexpr const char* norm_name = "gradient norm";

  LossLog() = default;
  /// Without a step. terms: the objective's names.
  explicit LossLog(std::span<const char* const> terms) {
    for (const char* term : terms) columns_.push_back({term, {}});
    columns_.push_back({norm_name, {}});
  }

  /// Appends steps of an objective with these terms.
  void add(std::span<const vrfm::StepLosses> steps) {
    for (const auto& losses : steps) {
      for (std::size_t k = 0; k + 1 < columns_.size(); ++k) {
        columns_[k].values.push_back(losses.terms[k]);
      }
      columns_.back().values.push_back(losses.gradient_norm);
    }
  }

  std::size_t steps() const { return columns_.empty() ? 0 : columns_.front().values.size(); }
  bool has(const std::string& name) const { return find(name) != nullptr; }
  /// The loss to look at first: the velocity's, or, of objectives without it, their first. Empty if there is none.
  std::string main_name() const {
    return has("velocity") || columns_.empty() ? "velocity" : columns_.front().name;
  }

  /// The mean over those of the steps first ... last - 1 whose loss is known; NaN if it is of none.
  /// Throws std::invalid_argument for an unknown name.
  double mean(std::size_t first, std::size_t last, const std::string& name) const {
    const auto& values = column(name);
    double sum = 0;
    std::size_t count = 0;
    for (std::size_t s = first; s < last; ++s) {
      if (std::isnan(values[s])) continue;
      sum += values[s];
      ++count;
    }
    return count > 0 ? sum / static_cast<double>(count) : unknown;
  }

  /// The mean over the last `count` steps, or over all if there are fewer; 0 without such a loss.
  double final_mean(std::size_t count, const std::string& name) const {
    return has(name) ? mean(steps() - std::min(count, steps()), steps(), name) : 0;
  }

  /// Few enough points for a figure, each the mean of the steps between them; NaN where no loss is known.
  Curve curve(const std::string& name) const {
    Curve curve;
    const std::size_t points = std::min<std::size_t>(steps(), 400);
    for (std::size_t k = 0; k < points; ++k) {
      const std::size_t first = steps() * k / points, last = steps() * (k + 1) / points;
      curve.x.push_back(0.5 * static_cast<double>(first + last));
      curve.y.push_back(mean(first, last, name));
    }
    return curve;
  }

  /// Writes the archive `path`, atomically.
  void write(const std::filesystem::path& path) const {
    std::vector<vrfm::Tensor> arrays;
    for (const auto& [name, values] : columns_) {
      arrays.push_back(vrfm::make_tensor(name, {values.size()}, values));
    }
    vrfm::write_npz(path, arrays);
  }

  /// Writes the same as a table whose first column, from 1 on, is the step.
  void write_csv(const std::filesystem::path& path) const {
    std::vector<std::string> names{"step"};
    std::vector<double> rows;
    for (const auto& column : columns_) names.push_back(column.name);
    for (std::size_t s = 0; s < steps(); ++s) {
      rows.push_back(static_cast<double>(s + 1));
      for (const auto& column : columns_) rows.push_back(column.values[s]);
    }
    vrfm::write_csv(path, names, rows);
  }

  /// The archive `path`, or the array that an earlier version wrote in its place, if there is one.
  static std::optional<std::filesystem::path> existing(const std::filesystem::path& path) {
    auto earlier = path;
    earlier.replace_extension(".npy");
    for (const auto& file : {path, earlier}) {
      if (std::filesystem::exists(file)) return file;
    }
    return std::nullopt;
  }

  /// All steps of a file that existing() names. Throws std::runtime_error if it is none of these.
  static LossLog read(const std::filesystem::path& file) {
    return file.extension() == ".npy" ? read_earlier(file) : read_archive(file);
  }

  /// The first `count` steps of what is kept at `path`, to be continued under these terms. What is not
  /// known, because the file is missing, damaged or short, or an earlier version did not keep it, is NaN;
  /// `warn` is told of the first three.
  static LossLog resumed(const std::filesystem::path& path, std::span<const char* const> terms,
                         std::int64_t count, const std::function<void(const std::string&)>& warn) {
    const auto wanted = static_cast<std::size_t>(count);
    LossLog stored;
    std::string reason;
    try {
      if (const auto file = existing(path)) stored = read(*file);
    } catch (const std::exception& error) {
      reason = std::string(" (") + error.what() + ")";
    }
    if (stored.steps() < wanted) {
      warn(path.string() + ": expected the losses of " + std::to_string(wanted) +
           " steps, found those of " + std::to_string(stored.steps()) + reason +
           "; the others are missing from the curves, nothing else depends on them");
    }
    LossLog log(terms);
    for (auto& [name, values] : log.columns_) {
      if (const auto* found = stored.find(name)) values = *found;
      values.resize(wanted, unknown);
    }
    return log;
  }

 private:
  struct Column {
    std::string name;
    std::vector<double> values;
  };

  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

  const std::vector<double>* find(const std::string& name) const {
    for (const auto& column : columns_) {
      if (column.name == name) return &column.values;
    }
    return nullptr;
  }

  const std::vector<double>& column(const std::string& name) const {
    const auto* found = find(name);
    vrfm::expect(found != nullptr, "there is no loss '", name, "' in this log");
    return *found;
  }

  static LossLog read_archive(const std::filesystem::path& file) {
    LossLog log;
    vrfm::NpzFile archive(file);
    for (const auto& name : archive.names()) {
      auto array = archive.read<double>(name);
      const bool first = log.columns_.empty();
      if (array.shape.size() != 1 || (!first && array.values.size() != log.steps())) {
        throw std::runtime_error(file.string() + ": expected an array '" + name +
                                 "' of one number a step, found another shape");
      }
      log.columns_.push_back({name, std::move(array.values)});
    }
    return log;
  }

  static LossLog read_earlier(const std::filesystem::path& file) {
    const auto array = vrfm::read_npy<double>(file);
    const std::size_t columns = array.shape.size() == 2 ? array.shape[1] : 0;
    if (columns != 2 && columns != 3) {
      throw std::runtime_error(file.string() +
                               ": expected losses of shape [steps, 2] or [steps, 3]");
    }
    const std::vector<const char*> names{"velocity", "kl", norm_name};
    LossLog log;
    for (std::size_t k = 0; k < columns; ++k) {
      Column column{names[k], {}};
      for (std::size_t s = 0; s < array.shape[0]; ++s) {
        column.values.push_back(array.values[columns * s + k]);
      }
      log.columns_.push_back(std::move(column));
    }
    return log;
  }

  std::vector<Column> columns_;
};

}  // namespace common
