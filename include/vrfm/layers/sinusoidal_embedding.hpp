// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SinusoidalEmbedding: the positional encoding of Vaswani et al. 2017 for real numbers. Column c of
// x becomes `features` columns [cos(w_0 x_c) ... cos(w_{h-1} x_c), sin(w_0 x_c) ... sin(w_{h-1} x_c)]
// with h = features / 2 and w_k = scale * max_period^(-k / h).
#pragma once

#include <vrfm/core/fast_math.hpp>
#include <vrfm/layers/layer.hpp>

namespace vrfm {

namespace detail {

/// w(0, k) = scale * max_period^(-k / half)
template <class T>
struct EmbeddingFrequency {
  Matrix<T> w;
  T scale;
  T log_max_period;
  KOKKOS_INLINE_FUNCTION void operator()(int, int k) const {
    w(0, k) = scale * math::exp(-log_max_period * static_cast<T>(k) / static_cast<T>(w.cols));
  }
};

/// Both halves of the features of one coordinate.
template <class Math, class T>
struct EmbedCoordinate {
  ConstMatrix<T> w;
  ConstMatrix<T> x;
  Matrix<T> cosines;
  Matrix<T> sines;
  int coordinate;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int k) const {
    const auto wave = Math::sine_cosine(w(0, k) * x(i, coordinate));
    cosines(i, k) = wave.cosine;
    sines(i, k) = wave.sine;
  }
};

/// d cos(w x) = -w sin(w x) dx, d sin(w x) = w cos(w x) dx
template <class T>
struct EmbeddingTangent {
  ConstMatrix<T> w;
  ConstMatrix<T> y;
  ConstMatrix<T> dx;
  Matrix<T> dy;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int column) const {
    const int half = w.cols, features = 2 * half;
    const int first = column / features * features, k = column % half;
    const T d = w(0, k) * dx(i, column / features);
    const bool cosine = column - first < half;
    dy(i, column) = cosine ? -y(i, first + half + k) * d : y(i, first + k) * d;
  }
};

/// The transpose of EmbeddingTangent.
template <class T>
struct EmbeddingBackward {
  ConstMatrix<T> w;
  ConstMatrix<T> y;
  ConstMatrix<T> dy;
  Matrix<T> dx;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int coordinate) const {
    const int half = w.cols, first = 2 * half * coordinate;
    T sum = T(0);
    for (int k = first; k < first + half; ++k) {
      sum += w(0, k - first) * (y(i, k) * dy(i, k + half) - y(i, k + half) * dy(i, k));
    }
    dx(i, coordinate) = sum;
  }
};

}  // namespace detail

template <class Math = FastMath>
class BasicSinusoidalEmbedding {
 public:
  static constexpr bool has_parameters = false;

  template <class T>
  struct Saved {
    Matrix<T> frequencies;  ///< 1 x features/2
    ConstMatrix<T> y;
  };

  BasicSinusoidalEmbedding() = default;

  /// Throws std::invalid_argument unless coordinates >= 1, features is even and >= 2, scale > 0 and
  /// max_period >= 1.
  BasicSinusoidalEmbedding(int coordinates, int features, double scale, double max_period)
      : coordinates_(coordinates), features_(features), scale_(scale), max_period_(max_period) {
    expect(coordinates >= 1, "sinusoidal embedding needs at least 1 coordinate, got ", coordinates);
    expect(features >= 2 && features % 2 == 0,
           "sinusoidal embedding needs an even number of features >= 2, got ", features);
    expect(scale > 0, "sinusoidal embedding needs a positive scale, got ", scale);
    expect(max_period >= 1, "sinusoidal embedding needs max_period >= 1, got ", max_period);
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return coordinates_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return coordinates_ * features_; }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P*, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int half = features_ / 2;
    const Matrix<T> w = arena.take(1, half);
    const detail::EmbeddingFrequency<T> frequency{w, static_cast<T>(scale_),
                                                  math::log(static_cast<T>(max_period_))};
    ctx.map(1, half, frequency);
    for (int c = 0; c < coordinates_; ++c) {
      const detail::EmbedCoordinate<Math, T> embed{w, x, y.col_range(c * features_, half),
                                                   y.col_range(c * features_ + half, half), c};
      ctx.map(x.rows, half, embed);
    }
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      *saved = {w, y};
    }
  }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P*, Gradient<T>, ConstMatrix<T> x,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>&) const {
    if (dx.empty()) return;
    ctx.map(x.rows, coordinates_, detail::EmbeddingBackward<T>{saved.frequencies, saved.y, dy, dx});
  }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P*, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>& saved, Arena<T>&) const {
    ctx.map(dx.rows, outputs(), detail::EmbeddingTangent<T>{saved.frequencies, saved.y, dx, dy});
  }

 private:
  int coordinates_ = 0;
  int features_ = 0;
  double scale_ = 1;
  double max_period_ = 1e4;
};

using SinusoidalEmbedding = BasicSinusoidalEmbedding<>;

}  // namespace vrfm
