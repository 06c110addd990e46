// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the Inception network is made of: ConvNorm, y = max(0, s (W x) + b) with s = gamma / sqrt(variance + eps)
// and b = beta - s mean, a convolution without bias and a batch norm (Ioffe and Szegedy 2015) that no longer
// learns; and pools over windows. Forward alone.
#pragma once

#include <string>

#include <vrfm/layers/conv.hpp>

namespace vrfm {

namespace detail {

/// Element: scale and shift of channel j by a norm's statistics.
template <class T>
struct NormOfStatistics {
  const T *gamma, *beta, *mean, *variance;
  T eps;
  T *scale, *shift;
  KOKKOS_INLINE_FUNCTION void operator()(int, int j) const {
    scale[j] = gamma[j] / math::sqrt(variance[j] + eps);
    shift[j] = beta[j] - scale[j] * mean[j];
  }
};

/// c = max(0, scale c + shift)
template <class T>
struct NormThenRelu {
  Matrix<T> c;
  const T *scale, *shift;  // of the columns
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    c(i, j) = value_of<Relu>(scale[j] * c(i, j) + shift[j]);
  }
};

/// y = max(y, x); what is no number stays.
template <class T>
struct Larger {
  ConstMatrix<T> x;
  Matrix<T> y;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const T before = y(i, j);
    y(i, j) = before >= x(i, j) || before != before ? before : x(i, j);
  }
};

/// y *= a
template <class T>
struct Scale {
  T a;
  Matrix<T> y;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { y(i, j) *= a; }
};

/// A tile is one output pixel.
template <class T>
struct PoolPixel {
  Patches<T> x;
  Matrix<T> y;
  bool maximum;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    const int channels = y.cols;
    const auto pixel = x.pixel(k);
    const Matrix<T> out = y.row_range(k, 1);
    int inside = 0;
    for (int tap = 0; tap < x.window.taps(); ++tap) {
      const T* segment = x.segment(pixel, tap / x.window.kernel.x, tap % x.window.kernel.x);
      if (segment == nullptr) continue;
      const Matrix<const T> in(segment, 1, channels, channels);
      if (inside++ == 0) {
        ctx.map(1, channels, Copy<T>{in, out});
      } else if (maximum) {
        ctx.map(1, channels, Larger<T>{in, out});
      } else {
        ctx.map(1, channels, AddScaled<T>{T(1), in, out});
      }
    }
    if (!maximum) ctx.map(1, channels, Scale<T>{T(1) / static_cast<T>(inside), out});
  }
};

}  // namespace detail

class ConvNorm {
 public:
  ConvNorm() = default;

  /// Adds `name`.conv.weight and `name`.bn.* to `list`, of zeros and of variances of 1: they are those of a file.
  /// Throws as Conv.
  ConvNorm(ParameterList& list, const std::string& name, const Window& window, int inputs,
           int outputs, double eps)
      : weights_(list, name + ".conv", window, inputs, outputs, Initializer::constant(0)),
        eps_(eps) {
    const auto add = [&](const char* what, double value) {
      return list.add(name + ".bn." + what, {static_cast<std::size_t>(outputs)},
                      Initializer::constant(value));
    };
    gamma_ = add("weight", 1);
    beta_ = add("bias", 0);
    mean_ = add("running_mean", 0);
    variance_ = add("running_var", 1);
    list.disregard(name + ".bn.num_batches_tracked");
  }

  const Window& window() const { return weights_.window(); }

  /// x: (samples pixels) x inputs; y: (samples output pixels) x outputs, whose rows may have gaps.
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int channels = weights_.outputs();
    T *const scale = arena.take(1, channels).data, *const shift = arena.take(1, channels).data;
    ctx.map(1, channels,
            detail::NormOfStatistics<T>{p + gamma_, p + beta_, p + mean_, p + variance_,
                                        static_cast<T>(eps_), scale, shift});
    weights_.multiply(ctx, p, x, y, Update::overwrite, detail::NormThenRelu<T>{y, scale, shift},
                      arena);
    arena.rewind(mark);
  }

 private:
  ConvWeights weights_;
  double eps_ = 0;
  std::size_t gamma_ = 0, beta_ = 0, mean_ = 0, variance_ = 0;
};

/// The mean, or the maximum, of the pixels of each channel under a window; pixels outside the image do not count.
class WindowPool {
 public:
  WindowPool() = default;
  WindowPool(const Window& window, bool maximum) : window_(window), maximum_(maximum) {}

  const Window& window() const { return window_; }

  /// As of ConvNorm, with as many channels.
  template <class Ctx, class T>
  void forward(const Ctx& ctx, ConstMatrix<T> x, Matrix<T> y, Arena<T>& arena) const {
    ctx.each_tile(y.rows, detail::PoolPixel<T>{{x, window_}, y, maximum_}, arena);
  }

 private:
  Window window_;
  bool maximum_ = false;
};

}  // namespace vrfm
