// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Stage: one step of a U-Net's path (Dhariwal and Nichol 2021): a convolution, or a residual block that
// self-attention may follow. And what all stages of a network share: their options, and room for what
// each has.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include <vrfm/models/blocks/attention_block.hpp>
#include <vrfm/models/blocks/residual_block.hpp>

namespace vrfm {

struct DownPathOptions {
  /// {height, width} of images, {n} of signals, {depth, height, width} of volumes.
  PixelGrid grid = {32, 32};
  int channels = 3;                             ///< of a pixel
  int base = 128;                               ///< channels of the first level
  std::vector<int> multipliers = {1, 2, 2, 2};  ///< of each level, in units of base
  int blocks = 2;                               ///< residual blocks a level
  /// Along the first axis (of images their height): fields of these get self-attention.
  std::vector<int> attention_extents = {16};
  int head_channels = 64;
  int groups = 0;  ///< of each norm (torchcfm: 32); 0: at most 32, of at least 4 channels each
  double dropout = 0.1;
  Conditioning conditioning = Conditioning::adaptive_norm;
  int embedding = 512;  ///< columns of the embedding that conditions the blocks

  /// Of a norm. Where the number is free, each has at least 16 elements too, or little would be left of
  /// a few pixels.
  int groups_of(int channels_of_norm, int pixels) const {
    return groups > 0 ? groups : group_count(channels_of_norm, (std::max)(4, 16 / pixels));
  }
  int heads(int channels_of_block) const {
    return (std::max)(1, channels_of_block / head_channels);
  }
  bool attends(const PixelGrid& of) const {
    return std::ranges::find(attention_extents, of.first()) != attention_extents.end();
  }
  /// Throws std::invalid_argument naming the first impossible option.
  void check() const {
    expect(grid.shortest() >= 1 && channels >= 1,
           "a U-Net needs images of at least one pixel and channel, got ", grid, " x ", channels);
    constexpr std::int64_t most = (std::numeric_limits<int>::max)();
    expect(std::int64_t{grid.height} * grid.width <= most / channels / grid.depth,
           "a U-Net needs images whose numbers an int counts, got ", grid, " x ", channels);
    expect(multipliers.size() <= 30, "a U-Net has at most 30 levels, got ", multipliers.size());
    expect(base >= 1 && blocks >= 1 && !multipliers.empty(),
           "a U-Net needs base >= 1, at least one level and one block a level, got ", base, ", ",
           multipliers.size(), " and ", blocks);
    for (const int multiplier : multipliers) {
      expect(multiplier >= 1, "a U-Net's multipliers must be >= 1, got ", multiplier);
    }
    expect(groups >= 0, "a U-Net needs groups >= 0 (0: chosen by the channels), got ", groups);
    expect(head_channels >= 1, "attention needs head_channels >= 1, got ", head_channels);
    const int factor = 1 << (multipliers.size() - 1);
    expect(grid / factor * factor == grid, "a U-Net of ", multipliers.size(),
           " levels needs extents that are multiples of ", factor, ", got ", grid);
  }
};

/// A path's stages are at most so many, because a step's lists of what each has are of this length: a
/// step allocates nothing.
inline constexpr std::size_t most_stages = 64;
template <class V>
using PerStage = std::array<V, most_stages>;

/// One step of a path: a convolution, or a residual block that attention may follow.
struct Stage {
  bool is_conv = false, attends = false;
  Conv conv;
  ResidualBlock block;
  AttentionBlock attention;
  PixelGrid grid;    ///< of the output
  int channels = 0;  ///< of the output

  int pixels() const { return grid.pixels(); }

  static Stage convolution(ParameterList& list, const std::string& name, const Window& window,
                           int inputs, int outputs) {
    Stage stage;
    stage.is_conv = true;
    stage.conv = Conv(list, name, window, inputs, outputs);
    stage.grid = window.out_grid();
    stage.channels = outputs;
    return stage;
  }

  /// The block is `name`.0, the attention `name`.1; `number`: the block's, counted on.
  static Stage residual(ParameterList& list, const std::string& name, const DownPathOptions& o,
                        const PixelGrid& grid, int inputs, int outputs, bool attends, int& number) {
    Stage stage;
    stage.block = ResidualBlock(list, name + ".0",
                                {.grid = grid,
                                 .inputs = inputs,
                                 .outputs = outputs,
                                 .groups = o.groups_of(std::gcd(inputs, outputs), grid.pixels()),
                                 .conditioning = o.conditioning,
                                 .embedding = o.embedding,
                                 .dropout = o.dropout,
                                 .number = number++});
    stage.attends = attends;
    if (attends) {
      stage.attention = AttentionBlock(list, name + ".1", grid.pixels(), outputs, o.heads(outputs),
                                       o.groups_of(outputs, grid.pixels()));
    }
    stage.grid = grid;
    stage.channels = outputs;
    return stage;
  }

  template <class T>
  struct Saved {
    ConstMatrix<T> x;  ///< the convolution's input
    ResidualBlock::Saved<T> block;
    AttentionBlock::Saved<T> attention;
  };

  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, const DrawAddress* draws, ConstMatrix<T> x,
               ConstMatrix<T> e, Matrix<T> y, Saved<T>* saved, Arena<T>& arena) const {
    if (is_conv) {
      conv.forward(ctx, p, x, y, static_cast<Conv::Saved<T>*>(nullptr), arena);
      if (saved != nullptr) saved->x = x;
      return;
    }
    const auto mark = arena.used();
    const Matrix<T> between = attends ? arena.take(y.rows, y.cols) : y;
    block.forward(ctx, p, draws, x, e, between, saved != nullptr ? &saved->block : nullptr, arena);
    if (attends) {
      attention.forward(ctx, p, between, y, saved != nullptr ? &saved->attention : nullptr, arena);
    }
    if (saved == nullptr) arena.rewind(mark);
  }

  /// dx unless empty; adds to de.
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dy, Matrix<T> dx,
                Matrix<T> de, const Saved<T>& saved, Arena<T>& arena) const {
    if (is_conv) {
      conv.backward(ctx, p, g, saved.x, dy, dx, {}, arena);
      return;
    }
    const auto mark = arena.used();
    ConstMatrix<T> dbetween = dy;
    if (attends) {
      const Matrix<T> d = arena.take(dy.rows, dy.cols);
      attention.backward(ctx, p, g, dy, d, saved.attention, arena);
      dbetween = d;
    }
    block.backward(ctx, p, g, dbetween, dx, de, saved.block, arena);
    arena.rewind(mark);
  }

  /// dy from the rates of x and e; an empty de does not vary.
  template <class Ctx, class T>
  void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, ConstMatrix<T> de, Matrix<T> dy,
               const Saved<T>& saved, Arena<T>& arena) const {
    if (is_conv) {
      conv.tangent(ctx, p, dx, dy, {}, arena);
      return;
    }
    const auto mark = arena.used();
    const Matrix<T> dbetween = attends ? arena.take(dy.rows, dy.cols) : dy;
    block.tangent(ctx, p, dx, de, dbetween, saved.block, arena);
    if (attends) attention.tangent(ctx, p, dbetween, dy, saved.attention, arena);
    arena.rewind(mark);
  }
};

}  // namespace vrfm
