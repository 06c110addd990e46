// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DownPath: the contracting half of a U-Net (Ronneberger, Fischer and Brox 2015; blocks of Dhariwal and
// Nichol 2021): a convolution, then at every level residual blocks, with attention at chosen extents,
// and between levels a convolution of stride 2. Every stage's output is saved for the stage of
// the way up that it goes across to.
// Names as in torchcfm: <name>.<stage>.0 (and .1 for attention), .0.op for the strided convolution.
#pragma once

#include <vrfm/models/blocks/stage.hpp>

namespace vrfm {

class DownPath {
 public:
  template <class T>
  using Saved = PerStage<Stage::Saved<T>>;

  DownPath() = default;

  /// `number`: of the next residual block, counted on. Throws std::invalid_argument naming the first
  /// impossible option.
  DownPath(ParameterList& list, const std::string& name, const DownPathOptions& o, int& number) {
    o.check();
    PixelGrid grid = o.grid;
    add_conv(list, name, ".0", Window::over(grid, 3, 1, 1), o.channels, o.base);
    for (std::size_t level = 0; level < o.multipliers.size(); ++level) {
      for (int b = 0; b < o.blocks; ++b) {
        add(Stage::residual(list, next(name), o, grid, channels(), o.base * o.multipliers[level],
                            o.attends(grid), number));
      }
      if (level + 1 == o.multipliers.size()) break;
      add_conv(list, name, ".0.op", Window::over(grid, 3, 2, 1), channels(), channels());
      grid = stages_.back().grid;
    }
  }

  /// Appends a convolution of stride 2 and a residual block.
  void extend(ParameterList& list, const std::string& name, const DownPathOptions& o, int& number) {
    const Stage last = stages_.back();
    add_conv(list, name, ".0.op", Window::over(last.grid, 3, 2, 1), last.channels, last.channels);
    add(Stage::residual(list, next(name), o, stages_.back().grid, last.channels, last.channels,
                        false, number));
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
