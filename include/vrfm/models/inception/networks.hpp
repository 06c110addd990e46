// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// InceptionNetwork: the classifier of Szegedy et al. 2016 ("Rethinking the Inception architecture for computer
// vision"), in the variant that the Frechet inception distance is of: TensorFlow's of 2015-12-05, with 1008 outputs, as
// pytorch-fid has it (Seitzer 2020). There average pools do not count what lies outside the image, and the last block's
// pool is a maximum. Names are those of pytorch-fid's state dict.
#pragma once

#include <string>
#include <vector>

#include <vrfm/models/inception/layers.hpp>

namespace vrfm {

namespace detail::inception {

/// A line of the table of the network.
struct Line {
  enum class Kind { conv, average, maximum };
  Kind kind = Kind::conv;
  const char* name = "";
  int outputs = 0;  ///< channels; of pools as many as there are
  PerAxis kernel = 1;
  int stride = 1;
  bool pads = true;  ///< so that there are as many pixels behind it as before it
  bool beside =
      false;  ///< reads what the line before it reads; both are parts of the block's output
};

/// Lines one after the other, of which the last is part of the block's output.
using Branch = std::vector<Line>;
/// Branches of one input, whose outputs lie side by side.
struct Block {
  std::string name;
  std::vector<Branch> branches;
};

inline Line same(const char* name, int outputs, PerAxis kernel = 1) {
  return {.name = name, .outputs = outputs, .kernel = kernel};
}
inline Line beside(const char* name, int outputs, PerAxis kernel) {
  return {.name = name, .outputs = outputs, .kernel = kernel, .beside = true};
}
inline Line inner(const char* name, int outputs, PerAxis kernel, int stride = 1) {
  return {.name = name, .outputs = outputs, .kernel = kernel, .stride = stride, .pads = false};
}
inline Line average() { return {.kind = Line::Kind::average, .kernel = 3}; }
inline Line maximum() { return {.kind = Line::Kind::maximum, .kernel = 3}; }
inline Line maximum_halved() {
  return {.kind = Line::Kind::maximum, .kernel = 3, .stride = 2, .pads = false};
}

/// The whole network, up to its last average.
inline std::vector<Block> table() {
  const PerAxis wide{1, 7}, high{7, 1}, flat{1, 3}, tall{3, 1};
  const auto a = [&](const char* name, int pooled) {
    return Block{
        name,
        {{same("branch1x1", 64)},
         {same("branch5x5_1", 48), same("branch5x5_2", 64, 5)},
         {same("branch3x3dbl_1", 64), same("branch3x3dbl_2", 96, 3), same("branch3x3dbl_3", 96, 3)},
         {average(), same("branch_pool", pooled)}}};
  };
  const auto c = [&](const char* name, int n) {
    return Block{
        name,
        {{same("branch1x1", 192)},
         {same("branch7x7_1", n), same("branch7x7_2", n, wide), same("branch7x7_3", 192, high)},
         {same("branch7x7dbl_1", n), same("branch7x7dbl_2", n, high),
          same("branch7x7dbl_3", n, wide), same("branch7x7dbl_4", n, high),
          same("branch7x7dbl_5", 192, wide)},
         {average(), same("branch_pool", 192)}}};
  };
  const auto e = [&](const char* name, const Line& pool) {
    return Block{name,
                 {{same("branch1x1", 320)},
                  {same("branch3x3_1", 384), same("branch3x3_2a", 384, flat),
                   beside("branch3x3_2b", 384, tall)},
                  {same("branch3x3dbl_1", 448), same("branch3x3dbl_2", 384, 3),
                   same("branch3x3dbl_3a", 384, flat), beside("branch3x3dbl_3b", 384, tall)},
                  {pool, same("branch_pool", 192)}}};
  };
  return {{"",
           {{inner("Conv2d_1a_3x3", 32, 3, 2), inner("Conv2d_2a_3x3", 32, 3),
             same("Conv2d_2b_3x3", 64, 3), maximum_halved(), same("Conv2d_3b_1x1", 80),
             inner("Conv2d_4a_3x3", 192, 3), maximum_halved()}}},
          a("Mixed_5b.", 32),
          a("Mixed_5c.", 64),
          a("Mixed_5d.", 64),
          {"Mixed_6a.",
           {{inner("branch3x3", 384, 3, 2)},
            {same("branch3x3dbl_1", 64), same("branch3x3dbl_2", 96, 3),
             inner("branch3x3dbl_3", 96, 3, 2)},
            {maximum_halved()}}},
          c("Mixed_6b.", 128),
          c("Mixed_6c.", 160),
          c("Mixed_6d.", 160),
          c("Mixed_6e.", 192),
          {"Mixed_7a.",
           {{same("branch3x3_1", 192), inner("branch3x3_2", 320, 3, 2)},
            {same("branch7x7x3_1", 192), same("branch7x7x3_2", 192, wide),
             same("branch7x7x3_3", 192, high), inner("branch7x7x3_4", 192, 3, 2)},
            {maximum_halved()}}},
          e("Mixed_7b.", average()),
          e("Mixed_7c.", maximum())};
}

}  // namespace detail::inception

/// A convolution with its norm, or a pool.
struct InceptionStep {
  bool is_pool = false;
  ConvNorm conv;
  WindowPool pool;
  bool beside = false;
  int channels = 0;  ///< of the output
  int column = -1;   ///< where it lies in the block's output; -1: it is no part of it

  const Window& window() const { return is_pool ? pool.window() : conv.window(); }

  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y, Arena<T>& arena) const {
    is_pool ? pool.forward(ctx, x, y, arena) : conv.forward(ctx, p, x, y, arena);
  }
};

class InceptionBlock {
 public:
  /// Of images of that size.
  InceptionBlock(ParameterList& list, const detail::inception::Block& table, int height, int width,
                 int channels) {
    for (const auto& lines : table.branches) {
      auto& branch = branches_.emplace_back();
      Image in{height, width, channels}, out = in;
      for (std::size_t k = 0; k < lines.size(); ++k) {
        if (!lines[k].beside) in = out;
        const bool last = k + 1 == lines.size() || lines[k + 1].beside;
        branch.push_back(make(list, table.name, lines[k], in));
        InceptionStep& step = branch.back();
        out = {step.window().out_height(), step.window().out_width(), step.channels};
        if (last) {
          step.column = out_.channels;
          out_ = {out.height, out.width, out_.channels + out.channels};
        } else {
          largest_ = math::maximum(largest_, out.height * out.width * out.channels);
        }
      }
    }
  }

  int height() const { return out_.height; }
  int width() const { return out_.width; }
  int channels() const { return out_.channels; }
  int pixels() const { return out_.height * out_.width; }

  /// y: (samples pixels()) x channels()
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int samples = y.rows / pixels();
    // Two places that take turns.
    const Matrix<T> places[] = {arena.take(samples, largest_), arena.take(samples, largest_)};
    for (const auto& branch : branches_) {
      Matrix<const T> in = x, made = x;
      int turn = 0;
      for (const InceptionStep& step : branch) {
        if (!step.beside) in = made;
        const Matrix<T> out =
            step.column < 0 ? Matrix<T>(places[turn].data, samples * step.window().out_pixels(),
                                        step.channels, step.channels)
                            : y.col_range(step.column, step.channels);
        step.forward(ctx, p, in, out, arena);
        made = out;
        turn = 1 - turn;
      }
    }
    arena.rewind(mark);
  }

 private:
  static constexpr double eps = 1e-3;

  struct Image {
    int height = 0, width = 0, channels = 0;
  };

  static InceptionStep make(ParameterList& list, const std::string& prefix,
                            const detail::inception::Line& line, const Image& in) {
    using Kind = detail::inception::Line::Kind;
    const PerAxis padding =
        line.pads ? PerAxis((line.kernel.y - 1) / 2, (line.kernel.x - 1) / 2) : PerAxis(0);
    const Window window{in.height, in.width, line.kernel, line.stride, padding};
    InceptionStep step;
    step.beside = line.beside;
    step.is_pool = line.kind != Kind::conv;
    step.channels = step.is_pool ? in.channels : line.outputs;
    if (step.is_pool) {
      step.pool = WindowPool(window, line.kind == Kind::maximum);
    } else {
      step.conv = ConvNorm(list, prefix + line.name, window, in.channels, line.outputs, eps);
    }
    return step;
  }

  std::vector<std::vector<InceptionStep>> branches_;
  Image out_;
  int largest_ = 0;  // numbers of an image between two steps
};

class InceptionNetwork {
 public:
  static constexpr bool host_only = true;
  static constexpr int extent = 299;  ///< height and width of images, which have 3 channels

  InceptionNetwork() = default;

  explicit InceptionNetwork(ParameterList& list) {
    int height = extent, width = extent, channels = 3;
    for (const auto& table : detail::inception::table()) {
      const auto& block = blocks_.emplace_back(list, table, height, width, channels);
      height = block.height();
      width = block.width();
      channels = block.channels();
      largest_ = math::maximum(largest_, block.pixels() * channels);
    }
    mean_ = WindowPool({.height = height, .width = width, .kernel = {height, width}}, false);
    const auto count = [](int n) { return static_cast<std::size_t>(n); };
    weight_ =
        list.add("fc.weight", {count(classes()), count(features())}, Initializer::constant(0));
    bias_ = list.add("fc.bias", {count(classes())}, Initializer::constant(0));
  }

  int features() const { return blocks_.back().channels(); }
  int classes() const { return 1008; }

  /// The last average pool. x: (samples extent^2) x 3, in [-1, 1]; y: samples x features().
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> places[] = {arena.take(y.rows, largest_), arena.take(y.rows, largest_)};
    int turn = 0;
    for (const InceptionBlock& block : blocks_) {
      const Matrix<T> out(places[turn].data, y.rows * block.pixels(), block.channels(),
                          block.channels());
      block.forward(ctx, p, x, out, arena);
      x = out;
      turn = 1 - turn;
    }
    mean_.forward(ctx, x, y, arena);
    arena.rewind(mark);
  }

  /// What softmax makes probabilities of, with the bias or without. x: samples x features(); y: samples x classes().
  template <class Ctx, class T>
  void logits(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y, bool with_bias) const {
    const Matrix<const T> weight(p + weight_, classes(), features(), features());
    if (with_bias) {
      ctx.template gemm<Op::none, Op::transpose>(x, weight, y, Update::overwrite,
                                                 AddBias<T>{y, p + bias_});
    } else {
      ctx.template gemm<Op::none, Op::transpose>(x, weight, y, Update::overwrite);
    }
  }

 private:
  std::vector<InceptionBlock> blocks_;
  WindowPool mean_;
  int largest_ = 0;  // numbers of an image between two blocks
  std::size_t weight_ = 0, bias_ = 0;
};

}  // namespace vrfm
