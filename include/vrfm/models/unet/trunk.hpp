// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// UnetTrunk: the image-to-image part of the U-Net of Dhariwal and Nichol 2021: the way down, the middle,
// the way up, whose stages read what comes across, and norm, SiLU and convolution. Every block is
// conditioned by e; the middle's features may be summed with z's, 0.9 l + 0.1 h (Guo and Schwing 2025).
// Names as in torchcfm: <prefix>middle_block, .output_blocks, .out, and the way down's.
#pragma once

#include <vrfm/models/blocks/up_path.hpp>

namespace vrfm {

namespace detail {

/// Element: h = 0.9 l + 0.1 h, l the sample's row.
template <class T>
struct BottleneckSum {
  ConstMatrix<T> l;
  Matrix<T> h;
  int pixels;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    h(i, j) = T(0.9) * l(i / pixels, j) + T(0.1) * h(i, j);
  }
};

}  // namespace detail

class UnetTrunk {
 public:
  template <class T>
  struct Saved {
    DownPath::Saved<T> down;
    Stage::Saved<T> middle[2];
    UpPath::Saved<T> up;
    Matrix<T> last, normed;
    GroupNorm<Silu>::Saved<T> norm;
  };

  UnetTrunk() = default;

  /// Continues from `down`, whose list, options and count of blocks it takes over, to path.channels
  /// channels. `sums`: whether the middle takes l.
  UnetTrunk(ParameterList& list, const std::string& prefix, const DownPathOptions& path,
            const DownPath& down, bool sums, int& number)
      : pixels_(path.grid.pixels()), channels_(path.channels), sums_(sums), down_(down) {
    const Stage& bottom = down.stages().back();
    middle_[0] = Stage::residual(list, prefix + "middle_block", path, bottom.grid, bottom.channels,
                                 bottom.channels, true, number);
    ResidualBlockOptions block = middle_[0].block.options();
    block.number = number++;
    middle_[1].block = ResidualBlock(list, prefix + "middle_block.2", block);
    up_ = UpPath(list, prefix + "output_blocks", path, down_, number);
    norm_ = GroupNorm<Silu>(list, prefix + "out.0", pixels_, up_.channels(),
                            path.groups_of(up_.channels(), pixels_));
    out_ = Conv(list, prefix + "out.2", Window::over(path.grid, 3, 1, 1), up_.channels(), channels_,
                true);
  }

  /// image: (samples pixels) x the way down's channels, e: samples x embedding, l: samples x channels
  /// of the bottleneck or empty, out: (samples pixels) x path.channels. Dropout draws at `draws`; null:
  /// there is none. Where nothing is saved, out may be image.
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, const DrawAddress* draws, ConstMatrix<T> image,
               ConstMatrix<T> e, ConstMatrix<T> l, Matrix<T> out, Saved<T>* saved,
               Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool save = saved != nullptr;
    const auto joined = take_joined<T>(e.rows, arena);
    const Matrix<T> last = arena.take(out.rows, up_.channels());
    const auto across = outputs_across(joined);
    down_.forward(ctx, p, draws, image, e, across, save ? &saved->down : nullptr, arena);
    const Matrix<T> middle = middle_of(joined);
    const Matrix<T> between = arena.take(middle.rows, middle.cols);
    middle_[0].forward(ctx, p, draws, down_.last(across), e, between,
                       save ? &saved->middle[0] : nullptr, arena);
    middle_[1].forward(ctx, p, draws, between, e, middle, save ? &saved->middle[1] : nullptr,
                       arena);
    if (sums_) {
      ctx.map(middle.rows, middle.cols, detail::BottleneckSum<T>{l, middle, bottom_pixels()});
    }
    up_.forward(ctx, p, draws, e, joined, last, save ? &saved->up : nullptr, arena);
    const Matrix<T> normed = save ? arena.take(last.rows, last.cols) : last;
    norm_.forward(ctx, p, last, normed, save ? &saved->norm : nullptr, arena);
    out_.forward(ctx, p, normed, out, static_cast<Conv::Saved<T>*>(nullptr), arena);
    if (!save) {
      arena.rewind(mark);
      return;
    }
    saved->last = last;
    saved->normed = normed;
  }

  /// Adds to de; overwrites dl, and dimage unless it is empty, which may be dout.
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dout, Matrix<T> dimage,
                Matrix<T> de, Matrix<T> dl, const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> dlast = arena.take(dout.rows, up_.channels());
    out_.backward(ctx, p, g, saved.normed, dout, dlast, {}, arena);
    norm_.backward(ctx, p, g, saved.last, dlast, dlast, saved.norm, arena);

    const auto djoined = take_joined<T>(de.rows, arena);
    up_.backward(ctx, p, g, djoined, dlast, de, saved.up, arena);
    const Matrix<T> dmiddle = middle_of(djoined);
    if (sums_) {
      ctx.each_tile(dl.rows, detail::SumPixels<T>{dmiddle, dl, bottom_pixels()}, arena);
      ctx.map(dl.rows, dl.cols, detail::ScaledCopy<T>{T(0.9), dl, dl});
      ctx.map(dmiddle.rows, dmiddle.cols, detail::ScaledCopy<T>{T(0.1), dmiddle, dmiddle});
    }
    const auto dacross = outputs_across(djoined);
    {
      const auto before = arena.used();
      const Matrix<T> between = arena.take(dmiddle.rows, dmiddle.cols),
                      dbottom = arena.take(dmiddle.rows, dmiddle.cols);
      middle_[1].backward(ctx, p, g, dmiddle, between, de, saved.middle[1], arena);
      middle_[0].backward(ctx, p, g, between, dbottom, de, saved.middle[0], arena);
      ctx.map(dbottom.rows, dbottom.cols, AddScaled<T>{T(1), dbottom, down_.last(dacross)});
      arena.rewind(before);
    }
    down_.backward(ctx, p, g, dacross, dimage, de, saved.down, arena);
    arena.rewind(mark);
  }

  /// dout from the rates of the image and of e, which does not vary if it is empty; nor does l.
  template <class Ctx, class T>
  void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dimage, ConstMatrix<T> de, Matrix<T> dout,
               const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const auto djoined = take_joined<T>(dout.rows / pixels_, arena);
    const Matrix<T> dlast = arena.take(dout.rows, up_.channels());
    const auto dacross = outputs_across(djoined);
    down_.tangent(ctx, p, dimage, de, dacross, saved.down, arena);
    const Matrix<T> dmiddle = middle_of(djoined);
    const Matrix<T> between = arena.take(dmiddle.rows, dmiddle.cols);
    middle_[0].tangent(ctx, p, down_.last(dacross), de, between, saved.middle[0], arena);
    middle_[1].tangent(ctx, p, between, de, dmiddle, saved.middle[1], arena);
    if (sums_) {
      ctx.map(dmiddle.rows, dmiddle.cols, detail::ScaledCopy<T>{T(0.1), dmiddle, dmiddle});
    }
    up_.tangent(ctx, p, de, djoined, dlast, saved.up, arena);
    norm_.tangent(ctx, p, dlast, dlast, saved.norm, arena);
    out_.tangent(ctx, p, dlast, dout, {}, arena);
    arena.rewind(mark);
  }

 private:
  int bottom_pixels() const { return down_.stages().back().pixels(); }

  /// For each stage of the way up, what it reads.
  template <class T>
  PerStage<Matrix<T>> take_joined(int samples, Arena<T>& arena) const {
    PerStage<Matrix<T>> joined;
    for (std::size_t k = 0; k < up_.stages().size(); ++k) {
      const auto& block = up_.stages()[k].stage.block.options();
      joined[k] = arena.take(samples * block.grid.pixels(), block.inputs);
    }
    return joined;
  }

  /// The middle's columns of it.
  template <class T>
  Matrix<T> middle_of(const PerStage<Matrix<T>>& joined) const {
    return joined[0].col_range(0, down_.channels());
  }

  /// For each stage of the way down, its columns of what is read on the way up.
  template <class T>
  PerStage<Matrix<T>> outputs_across(const PerStage<Matrix<T>>& joined) const {
    PerStage<Matrix<T>> across;
    const std::size_t stages = up_.stages().size();
    for (std::size_t k = 0; k < stages; ++k) {
      const int channels = up_.stages()[k].across;
      across[stages - 1 - k] = joined[k].col_range(joined[k].cols - channels, channels);
    }
    return across;
  }

  int pixels_ = 1, channels_ = 0;
  bool sums_ = false;
  DownPath down_;
  Stage middle_[2];
  UpPath up_;
  GroupNorm<Silu> norm_;
  Conv out_;
};

}  // namespace vrfm
