// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TrainerOptions: how a flow is trained, besides its objective, optimizer and coupling.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <vrfm/linalg/execution.hpp>
#include <vrfm/training/report.hpp>

namespace vrfm {

struct TrainerOptions {
  int batch = 1000;        ///< global batch, over all ranks
  std::uint32_t seed = 0;  ///< of pairs, times and posterior draws
  double clip_norm = 0;    ///< largest global gradient norm; 0: no clipping
  double ema_decay = 0;    ///< of the exponential moving average of the parameters; 0: none
  /// Each rank keeps the optimizer's state, and the moving average, of its segment of the parameters alone:
  /// the same bits with less memory. Needs a ShardingCommunicator.
  bool shard_optimizer = false;
  Launch launch = {};  ///< its batch: samples of a leaf that is not in tiles
  /// Told once, on the root, of pairs that train badly as they are: see data_scale.hpp. Empty: nobody is.
  std::function<void(const std::string&)> warn = print_warning;
};

}  // namespace vrfm
