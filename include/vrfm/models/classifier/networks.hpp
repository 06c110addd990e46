// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ConvClassifier: images to features and logits of their classes, small enough to be trained in minutes. Three stages
// (stage.hpp) of base, 2 base and 2 base channels; a dense layer with SiLU, whose outputs are the features; and a dense
// layer to the logits. It is a Layer from rows that are images, pixels row by row, channels last, to rows of logits.
#pragma once

#include <string>

#include <vrfm/layers/dense.hpp>
#include <vrfm/models/blocks/image_rows.hpp>
#include <vrfm/models/classifier/stage.hpp>
#include <vrfm/models/condition.hpp>

namespace vrfm {

struct ClassifierOptions {
  int height = 28, width = 28, channels = 1;  ///< of the images
  int classes = 10;
  int base = 32;       ///< channels of the first stage
  int features = 128;  ///< of the dense layer before the logits

  bool operator==(const ClassifierOptions&) const = default;

  /// Throws std::invalid_argument naming the first impossible option.
  void check() const {
    expect(height >= 8 && width >= 8 && channels >= 1,
           "a classifier needs images of at least 8 x 8 pixels and a channel, got ", height, " x ",
           width, " x ", channels);
    expect(classes >= 2, "a classifier needs at least 2 classes, got ", classes);
    expect(base >= 1 && features >= 1, "a classifier needs base >= 1 and features >= 1, got ", base,
           " and ", features);
  }
};

class ConvClassifier {
 public:
  static constexpr bool has_parameters = true;
  static constexpr int stages = 3;

  template <class T>
  struct Saved {
    ClassifierStage::Saved<T> stage[stages];
    ConstMatrix<T> flat;
    Matrix<T> features;
    Dense<Silu>::Saved<T> dense;
  };

  ConvClassifier() = default;

  /// Adds `name`.stages.k.conv.*, `name`.stages.k.norm.*, `name`.features.* and `name`.logits.* to `list`. Throws
  /// std::invalid_argument naming the first impossible option.
  ConvClassifier(ParameterList& list, const std::string& name, const ClassifierOptions& o)
      : pixels_(o.height * o.width), channels_(o.channels) {
    o.check();
    int height = o.height, width = o.width, channels = o.channels;
    for (int k = 0; k < stages; ++k) {
      const int outputs = k == 0 ? o.base : 2 * o.base;
      stage_[k] = ClassifierStage(list, name + ".stages." + std::to_string(k), height, width,
                                  channels, outputs);
      height /= 2;
      width /= 2;
      channels = outputs;
    }
    features_ = Dense<Silu>(list, name + ".features", height * width * channels, o.features);
    logits_ = Dense<>(list, name + ".logits", o.features, o.classes);
    list.note(name, "height", o.height);
    list.note(name, "width", o.width);
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return pixels_ * channels_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return logits_.outputs(); }
  KOKKOS_INLINE_FUNCTION int features() const { return features_.outputs(); }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> features = arena.take(x.rows, features_.outputs());
    forward(ctx, p, x, features, y, saved, arena);
    if (saved == nullptr) arena.rewind(mark);
  }

  /// The same with the features, rows x features(), which the caller keeps for backward.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> features,
                               Matrix<T> y, Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool save = saved != nullptr;
    Matrix<const T> image = pixels_of(ctx, x, arena);
    for (int k = 0; k < stages; ++k) {
      image = stage_[k].forward(ctx, p, image, save ? &saved->stage[k] : nullptr, arena);
    }
    const Matrix<const T> flat = join_rows(image, stage_[stages - 1].output_pixels());
    features_.forward(ctx, p, flat, features, save ? &saved->dense : nullptr, arena);
    logits_.forward(ctx, p, features, y, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
    if (!save) {
      arena.rewind(mark);
      return;
    }
    saved->flat = flat;
    saved->features = features;
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T>,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> dfeatures = arena.take(dy.rows, features()),
                    dflat = arena.take(dy.rows, saved.flat.cols);
    logits_.backward(ctx, p, g, saved.features, dy, dfeatures, {}, arena);
    features_.backward(ctx, p, g, saved.flat, dfeatures, dflat, saved.dense, arena);
    Matrix<T> d = split_rows(dflat, stage_[stages - 1].output_pixels());
    const bool gaps = dx.stride != dx.cols;
    for (int k = stages; k-- > 0;) {
      const int rows = rows_of_parts(dy.rows, stage_[k].pixels());
      const Matrix<T> below = k > 0 || (gaps && !dx.empty()) ? arena.take(rows, stage_[k].inputs())
                              : dx.empty()                   ? Matrix<T>()
                                                             : split_rows(dx, pixels_);
      stage_[k].backward(ctx, p, g, d, below, saved.stage[k], arena);
      d = below;
    }
    if (gaps && !dx.empty()) detail::from_pixels<Ctx, T>(ctx, d, dx, pixels_);
    arena.rewind(mark);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    Matrix<const T> d = pixels_of(ctx, dx, arena);
    for (int k = 0; k < stages; ++k) d = stage_[k].tangent(ctx, p, d, saved.stage[k], arena);
    d = join_rows(d, stage_[stages - 1].output_pixels());
    const Matrix<T> dfeatures = arena.take(dx.rows, features());
    features_.tangent(ctx, p, d, dfeatures, saved.dense, arena);
    logits_.tangent(ctx, p, dfeatures, dy, {}, arena);
    arena.rewind(mark);
  }

 private:
  /// The images' pixels as rows: a copy only if there are gaps between the images.
  template <class Ctx, class T>
  KOKKOS_FUNCTION Matrix<const T> pixels_of(const Ctx& ctx, Matrix<const T> images,
                                            Arena<T>& arena) const {
    if (images.stride == images.cols) return split_rows(images, pixels_);
    const Matrix<T> copy = arena.take(rows_of_parts(images.rows, pixels_), channels_);
    detail::to_pixels<Ctx, T>(ctx, images, copy, pixels_);
    return copy;
  }

  int pixels_ = 0, channels_ = 0;
  ClassifierStage stage_[stages];
  Dense<Silu> features_;
  Dense<> logits_;
};

/// Names: classifier.*.
struct ClassifierNetworks {
  using Options = ClassifierOptions;
  static constexpr bool host_only = true;  // of activations that no tile's cache holds

  ConvClassifier classifier;

  ClassifierNetworks() = default;
  /// Throws std::invalid_argument naming the first impossible option.
  ClassifierNetworks(ParameterList& list, const Options& options)
      : classifier(list, "classifier", options) {}

  /// Labels, which the objective asks for.
  ModelInputs inputs() const { return {.classes = classifier.outputs()}; }
};

}  // namespace vrfm
