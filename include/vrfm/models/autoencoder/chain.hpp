// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ImageChain: layers and blocks one after the other, each of which makes an image of an image: what an
// autoencoder's encoder and decoder are.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/layers/conv.hpp>
#include <vrfm/layers/resample.hpp>
#include <vrfm/models/blocks/attention_block.hpp>
#include <vrfm/models/blocks/residual_block.hpp>

namespace vrfm {

/// One of them; what it is not stays empty.
struct ImageStep {
  enum class Kind { conv, dense, residual, attention, upsample, norm };

  Kind kind = Kind::conv;
  Conv conv;
  Dense<> dense;
  ResidualBlock residual;
  AttentionBlock attention;
  NearestUpsample upsample;
  GroupNorm<Silu> norm;
  int height = 0, width = 0, channels = 0;  ///< of the output

  int pixels() const { return height * width; }

  template <class T>
  struct Saved {
    ConstMatrix<T> x;
    ResidualBlock::Saved<T> residual;
    AttentionBlock::Saved<T> attention;
    GroupNorm<Silu>::Saved<T> norm;
  };

  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y, Saved<T>* saved,
               Arena<T>& arena) const {
    const bool save = saved != nullptr;
    if (save) saved->x = x;
    switch (kind) {
      case Kind::conv:
        return conv.forward(ctx, p, x, y, static_cast<Conv::Saved<T>*>(nullptr), arena);
      case Kind::dense:
        return dense.forward(ctx, p, x, y, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
      case Kind::residual:
        return residual.forward(ctx, p, nullptr, x, Matrix<const T>(), y,
                                save ? &saved->residual : nullptr, arena);
      case Kind::attention:
        return attention.forward(ctx, p, x, y, save ? &saved->attention : nullptr, arena);
      case Kind::upsample:
        return upsample.forward(ctx, p, x, y, static_cast<NearestUpsample::Saved<T>*>(nullptr),
                                arena);
      case Kind::norm:
        return norm.forward(ctx, p, x, y, save ? &saved->norm : nullptr, arena);
    }
  }

  /// dx unless empty.
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dy, Matrix<T> dx,
                const Saved<T>& saved, Arena<T>& arena) const {
    switch (kind) {
      case Kind::conv:
        return conv.backward(ctx, p, g, saved.x, dy, dx, {}, arena);
      case Kind::dense:
        return dense.backward(ctx, p, g, saved.x, dy, dx, {}, arena);
      case Kind::residual:
        return residual.backward(ctx, p, g, dy, dx, Matrix<T>(), saved.residual, arena);
      case Kind::attention:
        return attention.backward(ctx, p, g, dy, dx, saved.attention, arena);
      case Kind::upsample:
        return upsample.backward(ctx, p, g, saved.x, dy, dx, {}, arena);
      case Kind::norm:
        return norm.backward(ctx, p, g, saved.x, dy, dx, saved.norm, arena);
    }
  }
};

class ImageChain {
 public:
  /// A chain's Saved has room for so many.
  static constexpr std::size_t most_steps = 64;

  template <class T>
  struct Saved {
    std::array<ImageStep::Saved<T>, most_steps> steps;
  };

  ImageChain() = default;
  /// Of images of that size, to which steps are added.
  ImageChain(int height, int width, int channels)
      : height_(height), width_(width), channels_(channels) {}

  int height() const { return steps_.empty() ? height_ : steps_.back().height; }
  int width() const { return steps_.empty() ? width_ : steps_.back().width; }
  int channels() const { return steps_.empty() ? channels_ : steps_.back().channels; }
  int pixels() const { return height() * width(); }
  int input_pixels() const { return height_ * width_; }
  int inputs() const { return channels_; }

  /// A convolution; of the window the extents are set here.
  void add_conv(ParameterList& list, const std::string& name, Window window, int outputs) {
    window.height = height();
    window.width = width();
    ImageStep& step = add(ImageStep::Kind::conv, outputs);
    step.conv = Conv(list, name, window, before_, outputs);
    step.height = window.out_height();
    step.width = window.out_width();
  }
  /// A 1 x 1 convolution.
  void add_dense(ParameterList& list, const std::string& name, int outputs) {
    ImageStep& step = add(ImageStep::Kind::dense, outputs);
    step.dense = Dense<>(list, name, before_, outputs, 2);
  }
  /// A residual block; of the options the extents are set here.
  void add_residual(ParameterList& list, const std::string& name, ResidualBlockOptions options,
                    int outputs) {
    options.grid = {height(), width()};
    options.inputs = channels();
    options.outputs = outputs;
    add(ImageStep::Kind::residual, outputs).residual = ResidualBlock(list, name, options);
  }
  void add_attention(ParameterList& list, const std::string& name, int groups, double eps,
                     const AttentionNames& names) {
    ImageStep& step = add(ImageStep::Kind::attention, channels());
    step.attention =
        AttentionBlock(list, name, step.pixels(), step.channels, 1, groups, eps, false, names);
  }
  void add_upsample() {
    const NearestUpsample twice({height(), width()}, channels(), 2);
    ImageStep& step = add(ImageStep::Kind::upsample, channels());
    step.upsample = twice;
    step.height *= 2;
    step.width *= 2;
  }
  /// Group norm and SiLU.
  void add_norm(ParameterList& list, const std::string& name, int groups, double eps) {
    ImageStep& step = add(ImageStep::Kind::norm, channels());
    step.norm = GroupNorm<Silu>(list, name, step.pixels(), step.channels, groups, eps);
  }

  /// x: (samples input_pixels()) x inputs(); y: (samples pixels()) x channels().
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y, Saved<T>* saved,
               Arena<T>& arena) const {
    const auto mark = arena.used();
    const int samples = y.rows / pixels();
    Buffers<T> buffers(saved == nullptr ? largest(samples) : 0, arena);
    for (std::size_t k = 0; k < steps_.size(); ++k) {
      const ImageStep& step = steps_[k];
      const bool last = k + 1 == steps_.size();
      const int rows = samples * step.pixels();
      const Matrix<T> out = last               ? y
                            : saved == nullptr ? buffers.next(rows, step.channels)
                                               : arena.take(rows, step.channels);
      step.forward(ctx, p, x, out, saved == nullptr ? nullptr : &saved->steps[k], arena);
      x = out;
    }
    if (saved == nullptr) arena.rewind(mark);
  }

  /// dx unless empty.
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dy, Matrix<T> dx,
                const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int samples = dy.rows / pixels();
    Buffers<T> buffers(largest(samples), arena);
    for (std::size_t k = steps_.size(); k-- > 0;) {
      const Matrix<T> below =
          k == 0 ? dx : buffers.next(samples * steps_[k - 1].pixels(), steps_[k - 1].channels);
      steps_[k].backward(ctx, p, g, dy, below, saved.steps[k], arena);
      dy = below;
    }
    arena.rewind(mark);
  }

 private:
  /// Two places that take turns.
  template <class T>
  class Buffers {
   public:
    Buffers(int elements, Arena<T>& arena)
        : places_{arena.take(1, elements), arena.take(1, elements)} {}
    Matrix<T> next(int rows, int cols) {
      std::swap(places_[0], places_[1]);
      return {places_[0].data, rows, cols, cols};
    }

   private:
    Matrix<T> places_[2];
  };

  ImageStep& add(ImageStep::Kind kind, int outputs) {
    expect(steps_.size() < most_steps, "a chain of layers has at most ", most_steps, " steps");
    before_ = channels();
    ImageStep step;
    step.kind = kind;
    step.height = height();
    step.width = width();
    step.channels = outputs;
    steps_.push_back(step);
    return steps_.back();
  }

  /// Numbers of the largest image between two steps, of so many samples.
  int largest(int samples) const {
    std::int64_t most = 0;
    for (std::size_t k = 0; k + 1 < steps_.size(); ++k) {
      most = math::maximum(most, std::int64_t{samples} * steps_[k].pixels() * steps_[k].channels);
    }
    return narrow<int>(most, "the numbers of images between two layers");
  }

  int height_ = 0, width_ = 0, channels_ = 0;
  int before_ = 0;  // channels of what the step that is added reads
  std::vector<ImageStep> steps_;
};

}  // namespace vrfm
