// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `train`: a flow on rows of one's own, with a held-out loss on the way, whose best weights are kept, and
// an end before the last step if it no longer falls.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include <vrfm/data/row_windows.hpp>
#include <vrfm/data/standardized.hpp>
#include <vrfm/training/stop_signal.hpp>

#include <examples/table/settings.hpp>

namespace table {

struct TrainOptions {
  DataOptions data;
  TableSettings settings;
  std::string output = "vrfm_table";
  std::int64_t iterations = 10'000, checkpoint_every = 0, validate_every = 0;
  int patience = 10;
  bool resume = false, overwrite = false, dry_run = false;
};

/// What a training needs, opened once.
struct TrainingData {
  const TrainOptions& options;
  TableSettings settings;  ///< with what the data chose
  const DataSet& set;
  vrfm::RowScales scales;
  vrfm::RowWindows<float>& training;
  vrfm::RowWindows<float>* validation;  ///< null: there is none
  const vrfm::StopSignal& stop;

  int dimension() const { return set.shape().dimension(); }
  /// What bounds the memory of networks of fields.
  vrfm::Launch launch() const {
    return {.batch = settings.network == "unet" ? settings.micro_batch : 0};
  }
  /// Rows that are looked at together: `rows`, or as many fields as have so many numbers.
  std::size_t some(std::size_t rows, std::size_t numbers) const {
    if (settings.network != "unet") return rows;
    return std::clamp<std::size_t>(numbers / static_cast<std::size_t>(dimension()), 64, rows);
  }
};

/// Opens the data, chooses what is left to them, and trains. Throws what these throw.
void train(const TrainOptions& options, const std::string& command_line);

}  // namespace table
