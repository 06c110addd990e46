// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SinusoidalEmbedding: the positional encoding of Vaswani et al. 2017 for real numbers. Column c of
// x becomes `features` columns [cos(w_0 x_c) ... cos(w_{h-1} x_c), sin(w_0 x_c) ... sin(w_{h-1} x_c)]
// with h = features / 2 and w_k = scale * max_period^(-k / h). x and y may be of types of their own,
// such as BFloat16; frequencies and angles are of the arena's. Backward and tangent read y, so
// that its roundings are theirs.
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
template <class Math, class T, class X, class Y>
struct EmbedCoordinate {
  ConstMatrix<T> w;
  Matrix<const X> x;
  Matrix<Y> cosines;
  Matrix<Y> sines;
  int coordinate;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int k) const {
    const auto wave = Math::sine_cosine(w(0, k) * x(i, coordinate));
    cosines(i, k) = wave.cosine;
    sines(i, k) = wave.sine;
  }
};

/// d cos(w x) = -w sin(w x) dx, d sin(w x) = w cos(w x) dx
template <class T, class Y, class DX, class D>
struct EmbeddingTangent {
  ConstMatrix<T> w;
  Matrix<const Y> y;
  Matrix<const DX> dx;
  Matrix<D> dy;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int column) const {
    const int half = w.cols, features = 2 * half;
    const int first = column / features * features, k = column % half;
    const T d = w(0, k) * dx(i, column / features);
    const bool cosine = column - first < half;
    dy(i, column) = cosine ? -y(i, first + half + k) * d : y(i, first + k) * d;
  }
};

/// The transpose of EmbeddingTangent.
template <class T, class Y, class D, class DX>
struct EmbeddingBackward {
  ConstMatrix<T> w;
  Matrix<const Y> y;
  Matrix<const D> dy;
  Matrix<DX> dx;
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

  template <class T, class Y = T>
  struct Saved {
    Matrix<T> frequencies;  ///< 1 x features/2
    Matrix<const Y> y;
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

  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P*, Matrix<X> x, Matrix<Y> y,
                               Saved<T, Y>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int half = features_ / 2;
    const Matrix<T> w = arena.take(1, half);
    const detail::EmbeddingFrequency<T> frequency{w, static_cast<T>(scale_),
                                                  math::log(static_cast<T>(max_period_))};
    ctx.map(1, half, frequency);
    for (int c = 0; c < coordinates_; ++c) {
      const detail::EmbedCoordinate<Math, T, std::remove_const_t<X>, Y> embed{
          w, x, y.col_range(c * features_, half), y.col_range(c * features_ + half, half), c};
      ctx.map(x.rows, half, embed);
    }
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      *saved = {w, y};
    }
  }

  template <class Ctx, class P, class T, class X, class D, class DX, class Y>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P*, Gradient<T>, Matrix<X> x, Matrix<D> dy,
                                Matrix<DX> dx, const Saved<T, Y>& saved, Arena<T>&) const {
    if (dx.empty()) return;
    ctx.map(x.rows, coordinates_,
            detail::EmbeddingBackward<T, Y, std::remove_const_t<D>, DX>{saved.frequencies, saved.y,
                                                                        dy, dx});
  }

  template <class Ctx, class P, class DX, class D, class T, class Y>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P*, Matrix<DX> dx, Matrix<D> dy,
                               const Saved<T, Y>& saved, Arena<T>&) const {
    ctx.map(dx.rows, outputs(),
            detail::EmbeddingTangent<T, Y, std::remove_const_t<DX>, D>{saved.frequencies, saved.y,
                                                                       dx, dy});
  }

 private:
  int coordinates_ = 0;
  int features_ = 0;
  double scale_ = 1;
  double max_period_ = 1e4;
};

using SinusoidalEmbedding = BasicSinusoidalEmbedding<>;

}  // namespace vrfm
