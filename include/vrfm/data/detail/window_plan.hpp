// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// WindowPlan: in which order an epoch reads rows that are more than memory holds. Blocks of consecutive rows are
// permuted; consecutive ones of these form windows of nearly equal numbers of rows, and the draws of a window are
// shuffled among themselves. So the order depends on the blocks, the windows and (seed, purpose, epoch) alone. The
// parts k of data/detail/epoch_order.hpp follow the permuted blocks: with one window, whose blocks stay in the order of
// their rows, it is that of rows in memory.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include <vrfm/core/random.hpp>
#include <vrfm/data/detail/epoch_order.hpp>

namespace vrfm::detail {

/// Whose draws these are.
struct OrderKey {
  std::uint32_t seed = 0;
  Purpose purpose = Purpose::target;  ///< of a use

  bool operator==(const OrderKey&) const = default;
  RandomStream stream() const { return RandomStream(seed, purpose); }
};

/// What is known of the blocks behind the first pass over all rows.
struct BlockCounts {
  std::vector<std::uint32_t> kept;  ///< rows of each block that are wanted
  std::vector<double> weights;      ///< their weights' sums; empty: all weights are equal
  std::uint32_t count = 0;          ///< all wanted rows
  std::uint32_t windows = 1;
};

struct WindowPlan {
  OrderKey key;
  std::uint64_t epoch = 0;
  std::vector<std::uint32_t> blocks;       ///< of window after window, inside of it in order
  std::vector<std::uint32_t> first_block;  ///< [windows + 1], of a window in `blocks`
  std::vector<std::uint32_t> first_draw;   ///< [windows + 1], also its first part k
  std::vector<double> weight;              ///< [windows + 1], cumulative, all together `count`

  WindowPlan(const BlockCounts& of, const OrderKey& whose, std::uint64_t number)
      : key(whose), epoch(number), blocks(of.kept.size()) {
    const auto count = static_cast<std::uint32_t>(blocks.size());
    std::iota(blocks.begin(), blocks.end(), 0u);
    const RandomStream stream = key.stream();
    if (of.windows > 1) {
      // Windows shuffle at the samples below 2^63.
      constexpr std::uint64_t of_blocks = std::uint64_t{1} << 63;
      for (std::uint32_t i = 0; i < count; ++i) {
        blocks[i] = shuffled(i, count, epoch | of_blocks, stream);
      }
    }
    const bool weighted = !of.weights.empty();
    double all = 0;
    for (const double part : of.weights) all += part;
    const double scale = weighted ? of.count / all : 1;
    std::uint64_t rows = 0;
    double sum = 0;
    const auto begin_window = [&](std::uint32_t block) {
      first_block.push_back(block);
      weight.push_back(weighted && block < count ? (std::min)(sum * scale, double(of.count))
                                                 : static_cast<double>(rows));
      const double part = std::floor(weight.back());
      const auto k = static_cast<std::uint32_t>(part);
      first_draw.push_back(
          weighted && weight.back() > part && lies_before(weight.back(), k, epoch, stream) ? k + 1
                                                                                           : k);
    };
    begin_window(0);
    for (std::uint32_t i = 0; i < count; ++i) {
      rows += of.kept[blocks[i]];
      if (weighted) sum += of.weights[blocks[i]];
      while (first_block.size() < of.windows &&
             rows * of.windows >= first_block.size() * std::uint64_t{of.count}) {
        begin_window(i + 1);
      }
    }
    begin_window(count);
    for (std::size_t w = 0; w + 1 < first_block.size(); ++w) {
      std::sort(blocks.begin() + first_block[w], blocks.begin() + first_block[w + 1]);
    }
  }

  std::uint32_t windows() const { return static_cast<std::uint32_t>(first_draw.size()) - 1; }
  std::uint32_t draws(std::uint32_t w) const { return first_draw[w + 1] - first_draw[w]; }
  /// The window of a draw; it has draws.
  std::uint32_t window_of(std::uint32_t position) const {
    const auto beyond = std::upper_bound(first_draw.begin(), first_draw.end(), position);
    return static_cast<std::uint32_t>(beyond - first_draw.begin()) - 1;
  }

  /// Writes the row of each draw of window w, counted from the window's first; cumulative [rows]: the weights of its
  /// rows from weight[w] to weight[w + 1], null without weights.
  void order(std::uint32_t w, const double* cumulative, std::uint32_t rows,
             std::vector<std::uint32_t>& out) const {
    const RandomStream stream = key.stream();
    const std::uint64_t sample = epoch + (std::uint64_t{w} << 32);
    const std::uint32_t n = draws(w);
    out.resize(n);
    for (std::uint32_t p = 0; p < n; ++p) {
      const std::uint32_t k = shuffled(p, n, sample, stream);
      out[p] = cumulative == nullptr
                   ? k
                   : weighted_row(cumulative, rows, first_draw[w] + k, epoch, stream);
    }
  }
};

}  // namespace vrfm::detail
