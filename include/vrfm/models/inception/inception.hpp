// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Inception: the features of images that the Frechet inception distance compares (Heusel et al. 2017), and the logits
// that the inception score is of (Salimans et al. 2016). Images of any size are resized to 299 x 299 as
// torch.nn.functional.interpolate(mode='bilinear', align_corners=False) does it, and scaled to [-1, 1]. Weights are
// pytorch-fid's (pt_inception-2015-12-05), as a safetensors file that training/weights.hpp loads; once, in Python:
//   safetensors.torch.save_file(torch.load('pt_inception-2015-12-05-6726825d.pth'), 'inception.safetensors')
#pragma once

#include <cstdint>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/parts.hpp>
#include <vrfm/models/inception/networks.hpp>

namespace vrfm {

namespace detail {

/// Where an output line or column lies between two of the input's: a share of `second` and the rest of `first`.
template <class T>
struct BetweenPixels {
  int first, second;
  T share;

  KOKKOS_INLINE_FUNCTION BetweenPixels(int out, int extent, int out_extent) {
    const T scale = static_cast<T>(extent) / static_cast<T>(out_extent);
    const T at = math::maximum(T(0), scale * (static_cast<T>(out) + T(0.5)) - T(0.5));
    first = math::minimum(static_cast<int>(at), extent - 1);
    second = math::minimum(first + 1, extent - 1);
    share = math::minimum(T(1), at - static_cast<T>(first));
  }
};

/// Element: channel j of pixel i, 2 x - 1 of what lies there in [0, 1]. One channel stands for three.
template <class T, class U>
struct ResizedPixel {
  Matrix<const U> images;  // samples x (height width channels), bytes or numbers in [0, 1]
  int height, width, channels, extent;
  Matrix<T> out;  // (samples extent^2) x 3

  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const int sample = i / (extent * extent), pixel = i % (extent * extent);
    const U* const image = images.row(sample) + (channels == 1 ? 0 : j);
    const BetweenPixels<T> y(pixel / extent, height, extent), x(pixel % extent, width, extent);
    const T value =
        (T(1) - y.share) * across(image, y.first, x) + y.share * across(image, y.second, x);
    out(i, j) = T(2) * value - T(1);
  }

 private:
  KOKKOS_INLINE_FUNCTION T across(const U* image, int line, const BetweenPixels<T>& x) const {
    return (T(1) - x.share) * number(image[(line * width + x.first) * channels]) +
           x.share * number(image[(line * width + x.second) * channels]);
  }
  KOKKOS_INLINE_FUNCTION static T number(T value) { return value; }
  KOKKOS_INLINE_FUNCTION static T number(std::uint8_t value) {
    return static_cast<T>(value) / T(255);
  }
};

/// Row i becomes its softmax.
template <class T>
struct SoftmaxOfRow {
  Matrix<T> x;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    T most = x(i, 0), sum = 0;
    for (int j = 1; j < x.cols; ++j) most = math::maximum(most, x(i, j));
    for (int j = 0; j < x.cols; ++j) sum += x(i, j) = math::exp(x(i, j) - most);
    for (int j = 0; j < x.cols; ++j) x(i, j) /= sum;
  }
};

}  // namespace detail

struct InceptionOptions {
  enum class Scores {
    none,
    logits,
    logits_without_bias,  ///< of which the published inception scores are
    probabilities         ///< softmax of the logits
  };
  Scores scores = Scores::none;
  int batch = 8;  ///< images at a time, which bounds the memory: about 30 MB each in float
};

/// Of images: rows x 2048, and rows x 1008 or without columns.
template <Real T, ExecutionSpace Exec>
struct InceptionOutput {
  Table<T, Exec> features, scores;
};

template <Real T, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace,
          Compute precision = Compute::float32, class List = DefaultEngines>
class Inception {
 public:
  using value_type = T;
  using execution_space = Exec;
  using products = Products<precision, List>;

  /// Its parameters are zeros until load_weights (training/weights.hpp) fills them.
  explicit Inception(const Exec& exec)
      : exec_(exec), network_(list_), values_("vrfm::Inception::parameters", list_.count()) {}

  const Exec& exec() const { return exec_; }
  const ParameterList& parameters() const { return list_; }
  const Array<T, Exec>& values() const { return values_; }
  const InceptionNetwork& network() const { return network_; }

  /// images: rows x (height width channels), pixels row by row, channels last, in [0, 1]; one channel or three.
  /// Throws std::invalid_argument for other columns.
  InceptionOutput<T, Exec> operator()(const Table<const T, Exec>& images, int height, int width,
                                      const InceptionOptions& options = {}) const {
    return evaluate(images, height, width, options);
  }
  /// The same of bytes, 0 to 255.
  InceptionOutput<T, Exec> operator()(const Table<const std::uint8_t, Exec>& images, int height,
                                      int width, const InceptionOptions& options = {}) const {
    return evaluate(images, height, width, options);
  }

 private:
  using Batch = BatchContextOf<Exec, Inception>;
  using Scores = InceptionOptions::Scores;

  template <class View>
  InceptionOutput<T, Exec> evaluate(const View& images, int height, int width,
                                    const InceptionOptions& o) const {
    expect(height >= 1 && width >= 1, "Inception: expected images of at least one pixel, got ",
           height, " x ", width);
    expect(o.batch >= 1, "Inception: images at a time must be >= 1, got ", o.batch);
    const std::size_t pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
    expect(images.extent(1) == pixels || images.extent(1) == 3 * pixels, "Inception: images of ",
           height, " x ", width, " pixels and 1 or 3 channels have ", pixels, " or ", 3 * pixels,
           " columns, got ", images.extent(1));
    const auto table = [&](const std::string& name, int columns) {
      return Table<T, Exec>(Kokkos::view_alloc(Kokkos::WithoutInitializing, name), images.extent(0),
                            static_cast<std::size_t>(columns));
    };
    const bool scored = o.scores != Scores::none;
    const InceptionOutput<T, Exec> out{
        table("vrfm::Inception::features", network_.features()),
        table("vrfm::Inception::scores", scored ? network_.classes() : 0)};
    const auto x = matrix(images);
    const Matrix<T> features = matrix(out.features);
    const Matrix<T> scores = scored ? matrix(out.scores) : Matrix<T>();
    const int channels = images.extent(1) == pixels ? 1 : 3;
    const auto part = [&](const Batch& ctx, int first, int rows, Arena<T>& arena) {
      run(ctx, x.row_range(first, rows), {height, width, channels}, features.row_range(first, rows),
          scores.row_range(first, rows), o.scores, arena);
    };
    run_in_parts<Batch, T>(exec_, "vrfm::Inception::memory", x.rows, o.batch, part);
    return out;
  }

  struct Shape {
    int height, width, channels;
  };

  template <class U>
  void run(const Batch& ctx, Matrix<const U> images, const Shape& shape, Matrix<T> features,
           Matrix<T> scores, Scores wanted, Arena<T>& arena) const {
    constexpr int extent = InceptionNetwork::extent;
    const T* const p = values_.data();
    const Matrix<T> x = arena.take(
        narrow<int>(std::int64_t{images.rows} * extent * extent, "the pixels of images at a time"),
        3);
    ctx.map(
        x.rows, 3,
        detail::ResizedPixel<T, U>{images, shape.height, shape.width, shape.channels, extent, x});
    network_.forward(ctx, p, x, features, arena);
    if (wanted == Scores::none) return;
    network_.logits(ctx, p, features, scores, wanted != Scores::logits_without_bias);
    if (wanted == Scores::probabilities) {
      ctx.each_row(scores.rows, detail::SoftmaxOfRow<T>{scores});
    }
  }

  Exec exec_;
  ParameterList list_;
  InceptionNetwork network_;
  Array<T, Exec> values_;
};

}  // namespace vrfm
