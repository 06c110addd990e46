// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// UpPath: the expanding half of a U-Net, in blocks as down_path.hpp. A stage reads what came up beside
// what came across from the way down: adjacent columns of one matrix, in which both were written. Names
// as in torchcfm: <name>.<stage>.0, .1 for attention, then .conv of the upsampling.
#pragma once

#include <vrfm/layers/resample.hpp>
#include <vrfm/models/blocks/down_path.hpp>

namespace vrfm {

/// A block of the way up, after which the image may grow to twice its extents.
struct UpStage {
  Stage stage;
  int across = 0;  ///< channels that come across; the stage's other inputs come up
  bool upsamples = false;
  NearestUpsample upsample;
  Conv upsample_conv;

  int inputs() const { return stage.block.options().inputs; }

  template <class T>
  struct Saved {
    Stage::Saved<T> stage;
    Matrix<T> fine;  ///< upsampled, before its convolution
  };

  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, const DrawAddress* draws, ConstMatrix<T> x,
               ConstMatrix<T> e, Matrix<T> y, Saved<T>* saved, Arena<T>& arena) const {
    auto* const stage_saved = saved != nullptr ? &saved->stage : nullptr;
    if (!upsamples) {
      stage.forward(ctx, p, draws, x, e, y, stage_saved, arena);
      return;
    }
    const auto mark = arena.used();
    const Matrix<T> fine = arena.take(y.rows, y.cols), coarse = arena.take(x.rows, y.cols);
    stage.forward(ctx, p, draws, x, e, coarse, stage_saved, arena);
    upsample.forward(ctx, p, coarse, fine, static_cast<NearestUpsample::Saved<T>*>(nullptr), arena);
    upsample_conv.forward(ctx, p, fine, y, static_cast<Conv::Saved<T>*>(nullptr), arena);
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->fine = fine;
    }
  }

  /// dx; adds to de.
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dy, Matrix<T> dx,
                Matrix<T> de, const Saved<T>& saved, Arena<T>& arena) const {
    if (!upsamples) {
      stage.backward(ctx, p, g, dy, dx, de, saved.stage, arena);
      return;
    }
    const auto mark = arena.used();
    const Matrix<T> dfine = arena.take(dy.rows, dy.cols), dcoarse = arena.take(dx.rows, dy.cols);
    upsample_conv.backward(ctx, p, g, saved.fine, dy, dfine, {}, arena);
    upsample.backward(ctx, p, g, saved.fine, dfine, dcoarse, {}, arena);
    stage.backward(ctx, p, g, dcoarse, dx, de, saved.stage, arena);
    arena.rewind(mark);
  }

  template <class Ctx, class T>
  void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, ConstMatrix<T> de, Matrix<T> dy,
               const Saved<T>& saved, Arena<T>& arena) const {
    if (!upsamples) {
      stage.tangent(ctx, p, dx, de, dy, saved.stage, arena);
      return;
    }
    const auto mark = arena.used();
    const Matrix<T> dfine = arena.take(dy.rows, dy.cols), dcoarse = arena.take(dx.rows, dy.cols);
    stage.tangent(ctx, p, dx, de, dcoarse, saved.stage, arena);
    upsample.tangent(ctx, p, dcoarse, dfine, {}, arena);
    upsample_conv.tangent(ctx, p, dfine, dy, {}, arena);
    arena.rewind(mark);
  }
};

class UpPath {
 public:
  template <class T>
  using Saved = PerStage<UpStage::Saved<T>>;

  UpPath() = default;

  /// Back along `down`, whose stages come across in reverse order. `number`: of the next residual
  /// block, counted on.
  UpPath(ParameterList& list, const std::string& name, const DownPathOptions& o,
         const DownPath& down, int& number) {
    std::size_t across = down.stages().size();
    int channels = down.channels();
    for (std::size_t level = o.multipliers.size(); level-- > 0;) {
      for (int b = 0; b <= o.blocks; ++b) {
        const Stage& from = down.stages()[--across];
        const std::string block_name = name + '.' + std::to_string(stages_.size());
        UpStage up;
        up.across = from.channels;
        up.stage = Stage::residual(list, block_name, o, from.grid, channels + from.channels,
                                   o.base * o.multipliers[level], o.attends(from.grid), number);
        channels = up.stage.channels;
        if (level > 0 && b == o.blocks) {
          up.upsamples = true;
          up.upsample = NearestUpsample(from.grid, channels, 2);
          up.upsample_conv = Conv(list, block_name + (up.stage.attends ? ".2.conv" : ".1.conv"),
                                  Window::over(from.grid * 2, 3, 1, 1), channels, channels);
        }
        stages_.push_back(up);
      }
    }
  }

  const std::vector<UpStage>& stages() const { return stages_; }
  int channels() const { return stages_.back().stage.channels; }

  /// joined[k]: what stage k reads; the columns that come across are there already, those that come
  /// up from stage k - 1 are written here. `last`: where the last stage writes.
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, const DrawAddress* draws, ConstMatrix<T> e,
               const PerStage<Matrix<T>>& joined, Matrix<T> last, Saved<T>* saved,
               Arena<T>& arena) const {
    for (std::size_t k = 0; k < stages_.size(); ++k) {
      stages_[k].forward(ctx, p, draws, ConstMatrix<T>(joined[k]), e, output(k, joined, last),
                         saved != nullptr ? &(*saved)[k] : nullptr, arena);
    }
  }

  /// Gradients of everything in `joined`; adds to de.
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, const PerStage<Matrix<T>>& djoined,
                Matrix<T> dlast, Matrix<T> de, const Saved<T>& saved, Arena<T>& arena) const {
    for (std::size_t k = stages_.size(); k-- > 0;) {
      stages_[k].backward(ctx, p, g, ConstMatrix<T>(output(k, djoined, dlast)), djoined[k], de,
                          saved[k], arena);
    }
  }

  /// djoined and dlast: as joined and last in forward.
  template <class Ctx, class T>
  void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> de, const PerStage<Matrix<T>>& djoined,
               Matrix<T> dlast, const Saved<T>& saved, Arena<T>& arena) const {
    for (std::size_t k = 0; k < stages_.size(); ++k) {
      stages_[k].tangent(ctx, p, ConstMatrix<T>(djoined[k]), de, output(k, djoined, dlast),
                         saved[k], arena);
    }
  }

 private:
  template <class T>
  Matrix<T> output(std::size_t k, const PerStage<Matrix<T>>& joined, Matrix<T> last) const {
    if (k + 1 == stages_.size()) return last;
    return joined[k + 1].col_range(0, stages_[k].stage.channels);
  }

  std::vector<UpStage> stages_;
};

}  // namespace vrfm
