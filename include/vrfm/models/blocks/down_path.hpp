// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DownPath: the contracting half of a U-Net (Ronneberger, Fischer and Brox 2015; blocks of Dhariwal and
// Nichol 2021): a convolution, then at every level residual blocks, with attention at chosen extents,
// and between levels a convolution of stride 2. Every stage's output is saved for the stage of
// the way up that it goes across to.
// Names as in torchcfm: <name>.<stage>.0 (and .1 for attention), .0.op for the strided convolution.
#pragma once

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include <vrfm/models/blocks/attention_block.hpp>
#include <vrfm/models/blocks/residual_block.hpp>

namespace vrfm {

struct DownPathOptions {
  int height = 32, width = 32, channels = 3;    ///< of the images
  int base = 128;                               ///< channels of the first level
  std::vector<int> multipliers = {1, 2, 2, 2};  ///< of each level, in units of base
  int blocks = 2;                               ///< residual blocks a level
  std::vector<int> attention_heights = {16};    ///< of images that get self-attention
  int head_channels = 64;
  int group_channels = 4;  ///< of the norms at least (group_count)
  double dropout = 0.1;
  Conditioning conditioning = Conditioning::adaptive_norm;
  int embedding = 512;  ///< columns of the embedding that conditions the blocks

  /// Of a norm: each has at least 16 numbers too, or little would be left of a few pixels.
  int groups(int channels_of_norm, int pixels) const {
    return group_count(channels_of_norm, std::max(group_channels, 16 / pixels));
  }
  int heads(int channels_of_block) const { return std::max(1, channels_of_block / head_channels); }
  bool attends(int image_height) const {
    return std::ranges::find(attention_heights, image_height) != attention_heights.end();
  }
  /// Throws std::invalid_argument naming the first impossible option.
  void check() const {
    expect(height >= 1 && width >= 1 && channels >= 1,
           "a U-Net needs images of at least one pixel and channel, got ", height, " x ", width,
           " x ", channels);
    expect(base >= 1 && blocks >= 1 && !multipliers.empty(),
           "a U-Net needs base >= 1, at least one level and one block a level, got ", base, ", ",
           multipliers.size(), " and ", blocks);
    for (const int multiplier : multipliers) {
      expect(multiplier >= 1, "a U-Net's multipliers must be >= 1, got ", multiplier);
    }
    expect(head_channels >= 1, "attention needs head_channels >= 1, got ", head_channels);
    const int factor = 1 << (multipliers.size() - 1);
    expect(height % factor == 0 && width % factor == 0, "a U-Net of ", multipliers.size(),
           " levels needs extents that are multiples of ", factor, ", got ", height, " x ", width);
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
  Conv2d conv;
  ResidualBlock block;
  AttentionBlock attention;
  int height = 0, width = 0, channels = 0;  ///< of the output

  int pixels() const { return height * width; }

  static Stage convolution(ParameterList& list, const std::string& name, const Window& window,
                           int inputs, int outputs) {
    Stage stage;
    stage.is_conv = true;
    stage.conv = Conv2d(list, name, window, inputs, outputs);
    stage.height = window.out_height();
    stage.width = window.out_width();
    stage.channels = outputs;
    return stage;
  }

  /// The block is `name`.0, the attention `name`.1; `number`: the block's, counted on.
  static Stage residual(ParameterList& list, const std::string& name, const DownPathOptions& o,
                        int height, int width, int inputs, int outputs, bool attends, int& number) {
    Stage stage;
    stage.block = ResidualBlock(list, name + ".0",
                                {.height = height,
                                 .width = width,
                                 .inputs = inputs,
                                 .outputs = outputs,
                                 .groups = o.groups(std::gcd(inputs, outputs), height * width),
                                 .conditioning = o.conditioning,
                                 .embedding = o.embedding,
                                 .dropout = o.dropout,
                                 .number = number++});
    stage.attends = attends;
    if (attends) {
      stage.attention = AttentionBlock(list, name + ".1", height * width, outputs, o.heads(outputs),
                                       o.groups(outputs, height * width));
    }
    stage.height = height;
    stage.width = width;
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
      conv.forward(ctx, p, x, y, static_cast<Conv2d::Saved<T>*>(nullptr), arena);
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

class DownPath {
 public:
  template <class T>
  using Saved = PerStage<Stage::Saved<T>>;

  DownPath() = default;

  /// `number`: of the next residual block, counted on. Throws std::invalid_argument naming the first
  /// impossible option.
  DownPath(ParameterList& list, const std::string& name, const DownPathOptions& o, int& number) {
    o.check();
    int height = o.height, width = o.width;
    add_conv(list, name, ".0", {height, width, 3, 1, 1}, o.channels, o.base);
    for (std::size_t level = 0; level < o.multipliers.size(); ++level) {
      for (int b = 0; b < o.blocks; ++b) {
        add(Stage::residual(list, next(name), o, height, width, channels(),
                            o.base * o.multipliers[level], o.attends(height), number));
      }
      if (level + 1 == o.multipliers.size()) break;
      add_conv(list, name, ".0.op", {height, width, 3, 2, 1}, channels(), channels());
      height = stages_.back().height;
      width = stages_.back().width;
    }
  }

  /// Appends a convolution of stride 2 and a residual block.
  void extend(ParameterList& list, const std::string& name, const DownPathOptions& o, int& number) {
    const Stage last = stages_.back();
    add_conv(list, name, ".0.op", {last.height, last.width, 3, 2, 1}, last.channels, last.channels);
    add(Stage::residual(list, next(name), o, stages_.back().height, stages_.back().width,
                        last.channels, last.channels, false, number));
  }

  const std::vector<Stage>& stages() const { return stages_; }
  /// What the last stage has of `list`.
  template <class V>
  const V& last(const PerStage<V>& list) const {
    return list[stages_.size() - 1];
  }
  /// Channels of the last stage.
  int channels() const { return stages_.back().channels; }

  /// outputs[k]: where stage k writes, (samples pixels) x channels.
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, const DrawAddress* draws, ConstMatrix<T> x,
               ConstMatrix<T> e, const PerStage<Matrix<T>>& outputs, Saved<T>* saved,
               Arena<T>& arena) const {
    for (std::size_t k = 0; k < stages_.size(); ++k) {
      stages_[k].forward(ctx, p, draws, k == 0 ? x : ConstMatrix<T>(outputs[k - 1]), e, outputs[k],
                         saved != nullptr ? &(*saved)[k] : nullptr, arena);
    }
  }

  /// doutputs[k]: the gradient of output k but for what comes by way of stage k + 1, which is added.
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, const PerStage<Matrix<T>>& doutputs,
                Matrix<T> dx, Matrix<T> de, const Saved<T>& saved, Arena<T>& arena) const {
    for (std::size_t k = stages_.size(); k-- > 0;) {
      const auto mark = arena.used();
      if (k == 0) {
        stages_[k].backward(ctx, p, g, ConstMatrix<T>(doutputs[k]), dx, de, saved[k], arena);
        continue;
      }
      const Matrix<T> into = doutputs[k - 1], d = arena.take(into.rows, into.cols);
      stages_[k].backward(ctx, p, g, ConstMatrix<T>(doutputs[k]), d, de, saved[k], arena);
      ctx.map(into.rows, into.cols, AddScaled<T>{T(1), d, into});
      arena.rewind(mark);
    }
  }

  /// doutputs[k]: where the rate of output k goes, as in forward.
  template <class Ctx, class T>
  void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, ConstMatrix<T> de,
               const PerStage<Matrix<T>>& doutputs, const Saved<T>& saved, Arena<T>& arena) const {
    for (std::size_t k = 0; k < stages_.size(); ++k) {
      stages_[k].tangent(ctx, p, k == 0 ? dx : ConstMatrix<T>(doutputs[k - 1]), de, doutputs[k],
                         saved[k], arena);
    }
  }

 private:
  void add_conv(ParameterList& list, const std::string& name, const char* suffix,
                const Window& window, int inputs, int outputs) {
    add(Stage::convolution(list, next(name) + suffix, window, inputs, outputs));
  }

  void add(const Stage& stage) {
    expect(stages_.size() < most_stages, "a U-Net's way down must have at most ", most_stages,
           " stages (blocks and convolutions), got more");
    stages_.push_back(stage);
  }

  std::string next(const std::string& name) const {
    return name + '.' + std::to_string(stages_.size());
  }

  std::vector<Stage> stages_;
};

}  // namespace vrfm
