// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Conv: y(p, o) = b(o) + sum_{k,c} W(o, c, k) x(p stride - padding + k, c), p and k of one, two or three
// axes. Signals, images and volumes are channels-last, weights are stored as PyTorch's nn.Conv1d, nn.Conv2d
// and nn.Conv3d store them: W of shape [outputs, inputs, the kernel's extents], b of shape [outputs]. It is a
// product of patches (linalg/patches.hpp) with the weights in the order of the patches' columns. A
// convolution of one tap is Dense on rows that are pixels. The parameters, x and y may be of types of
// their own, such as BFloat16; sums and gradients of parameters are of the arena's.
#pragma once

#include <cmath>
#include <vector>

#include <vrfm/layers/layer.hpp>
#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/linalg/epilogue.hpp>

namespace vrfm {

namespace detail {

/// Element: out(o, tap * inputs + c) = W[o][c][tap].
template <class T, class P>
struct WeightsByTap {
  const P* weight;
  int inputs, taps;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int o, int column) const {
    const int tap = column / inputs, c = column % inputs;
    out(o, column) = weight[(std::ptrdiff_t(o) * inputs + c) * taps + tap];
  }
};

/// Element: out(c, tap * outputs + o) = W[o][c][tap].
template <class T, class P>
struct TransposedWeightsByTap {
  const P* weight;
  int inputs, outputs, taps;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int c, int column) const {
    const int tap = column / outputs, o = column % outputs;
    out(c, column) = weight[(std::ptrdiff_t(o) * inputs + c) * taps + tap];
  }
};

/// Element: W[o][c][tap] (+)= by_tap(o, tap * inputs + c).
template <class T>
struct StoreWeightGradient {
  ConstMatrix<T> by_tap;
  int inputs, taps;
  T* gradient;
  bool accumulate;
  KOKKOS_INLINE_FUNCTION void operator()(int o, int element) const {
    const int c = element / taps, tap = element % taps;
    T& out = gradient[std::ptrdiff_t(o) * inputs * taps + element];
    const T value = by_tap(o, tap * inputs + c);
    out = accumulate ? out + value : value;
  }
};

/// In what weights are ordered beside an image of X: as they are stored if both are so, else in the type of sums.
template <class T, class P, class X>
using weights_beside = std::conditional_t<std::is_same_v<P, X>, P, T>;

}  // namespace detail

/// The product alone, without b: what convolutions are made of, whatever comes behind it.
class ConvWeights {
 public:
  ConvWeights() = default;

  /// Adds `name`.weight to `list`. Throws std::invalid_argument for extents below 1, a negative padding, or a
  /// window larger than the padded image.
  ConvWeights(ParameterList& list, const std::string& name, const Window& window, int inputs,
              int outputs, const Initializer& weight)
      : window_(window), inputs_(inputs), outputs_(outputs) {
    const PerAxis kernel = window.kernel, padding = window.padding;
    expect(window.axes >= 1 && window.axes <= 3, "convolution '", name,
           "' needs a window of 1 to 3 axes, got ", window.axes);
    const PixelGrid image = window.along(window.depth, window.height, window.width),
                    taps = window.along(window.kernel_z, kernel.y, kernel.x),
                    border = window.along(window.padding_z, padding.y, padding.x);
    const bool flat = window.depth == 1 && window.kernel_z == 1 && window.padding_z == 0,
               thin = window.height == 1 && kernel.y == 1 && padding.y == 0;
    expect((window.axes == 3 || flat) && (window.axes > 1 || thin), "convolution '", name,
           "' has extents along axes that its window of ", window.axes, " lacks");
    expect(window.behind == 0 || window.axes == 2, "convolution '", name,
           "' pads behind alone, which only images are, got ", window.axes, " axes");
    expect(inputs > 0 && outputs > 0, "convolution '", name,
           "' needs at least one input and one output, got ", inputs, " and ", outputs);
    const bool padded = window.padding_z >= 0 && padding.y >= 0 && padding.x >= 0;
    expect(taps.shortest() > 0 && window.stride > 0 && padded && window.behind >= 0,
           "convolution '", name, "' needs kernel >= 1, stride >= 1 and padding >= 0, got ", taps,
           ", ", window.stride, " and ", border);
    const auto holds = [&](int extent, int padding_of, int taps_of) {
      return extent > 0 && extent + 2 * padding_of + window.behind >= taps_of;
    };
    expect(holds(window.depth, window.padding_z, window.kernel_z) &&
               holds(window.height, padding.y, kernel.y) &&
               holds(window.width, padding.x, kernel.x),
           "convolution '", name, "': the kernel of ", taps, " is larger than the image of ", image,
           " padded by ", border);
    std::vector<std::size_t> shape;
    const auto append = [&](int extent) { shape.push_back(static_cast<std::size_t>(extent)); };
    append(outputs);
    append(inputs);
    if (window.axes > 2) append(window.kernel_z);
    if (window.axes > 1) append(kernel.y);
    append(kernel.x);
    weight_ = list.add(name + ".weight", shape, weight);
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return inputs_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return outputs_; }
  KOKKOS_INLINE_FUNCTION const Window& window() const { return window_; }

  /// y = W x, or y += W x; then the epilogue for each element of y.
  template <class Ctx, class P, class X, class Y, class T, class Epilogue>
  KOKKOS_FUNCTION void multiply(const Ctx& ctx, const P* p, Matrix<X> x, Matrix<Y> y, Update update,
                                const Epilogue& epilogue, Arena<T>& arena) const {
    using XT = std::remove_const_t<X>;
    using W = detail::weights_beside<T, P, XT>;
    const auto mark = arena.used();
    const int taps = window_.taps();
    const Matrix<W> weights = arena.template take_as<W>(outputs_, taps * inputs_);
    ctx.map(outputs_, taps * inputs_,
            detail::WeightsByTap<W, P>{p + weight_, inputs_, taps, weights});
    ctx.template gemm<Op::none, Op::transpose>(Patches<XT>{x, window_}, weights, y, update,
                                               epilogue);
    arena.rewind(mark);
  }

  /// The gradient of W, into `g`, which is not ignored.
  template <class Ctx, class T, class X, class D>
  KOKKOS_FUNCTION void weight_gradient(const Ctx& ctx, Gradient<T> g, Matrix<X> x, Matrix<D> dy,
                                       Arena<T>& arena) const {
    const auto mark = arena.used();
    const int taps = window_.taps();
    const Matrix<T> by_tap = arena.take(outputs_, taps * inputs_);
    ctx.template gemm<Op::transpose, Op::none>(dy, Patches<std::remove_const_t<X>>{x, window_},
                                               by_tap, Update::overwrite);
    ctx.map(
        outputs_, taps * inputs_,
        detail::StoreWeightGradient<T>{by_tap, inputs_, taps, g.values + weight_, g.accumulate});
    g.done(weight_, static_cast<std::size_t>(outputs_) * static_cast<std::size_t>(taps * inputs_));
    arena.rewind(mark);
  }

  /// dx = W^T dy
  template <class Ctx, class P, class D, class DX, class T>
  KOKKOS_FUNCTION void transposed(const Ctx& ctx, const P* p, Matrix<D> dy, Matrix<DX> dx,
                                  Arena<T>& arena) const {
    using DT = std::remove_const_t<D>;
    using W = detail::weights_beside<T, P, DT>;
    const auto mark = arena.used();
    const int taps = window_.taps();
    const Matrix<W> weights = arena.template take_as<W>(inputs_, taps * outputs_);
    ctx.map(inputs_, taps * outputs_,
            detail::TransposedWeightsByTap<W, P>{p + weight_, inputs_, outputs_, taps, weights});
    ctx.template gemm<Op::none, Op::transpose>(Patches<DT>{dy, window_, true}, weights, dx,
                                               Update::overwrite);
    arena.rewind(mark);
  }

 private:
  Window window_;
  int inputs_ = 0;
  int outputs_ = 0;
  std::size_t weight_ = 0;
};

class Conv {
 public:
  static constexpr bool has_parameters = true;

  template <class T>
  struct Saved {};

  Conv() = default;

  /// Adds `name`.weight and `name`.bias to `list`. Throws std::invalid_argument for extents below 1, a negative
  /// padding, or a window larger than the padded image.
  Conv(ParameterList& list, const std::string& name, const Window& window, int inputs, int outputs,
       const Initializer& weight, const Initializer& bias)
      : weights_(list, name, window, inputs, outputs, weight),
        bias_(list.add(name + ".bias", {static_cast<std::size_t>(outputs)}, bias)) {}

  /// The same, drawn as PyTorch draws them from U(-1/sqrt(n), 1/sqrt(n)) with n = inputs taps,
  /// or zero.
  Conv(ParameterList& list, const std::string& name, const Window& window, int inputs, int outputs,
       bool zero = false)
      : Conv(list, name, window, inputs, outputs, start(window, inputs, zero),
             start(window, inputs, zero)) {}

  KOKKOS_INLINE_FUNCTION int inputs() const { return weights_.inputs(); }
  KOKKOS_INLINE_FUNCTION int outputs() const { return weights_.outputs(); }
  KOKKOS_INLINE_FUNCTION int input_pixels() const { return window().pixels(); }
  KOKKOS_INLINE_FUNCTION int output_pixels() const { return window().out_pixels(); }
  KOKKOS_INLINE_FUNCTION const Window& window() const { return weights_.window(); }

  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, Matrix<X> x, Matrix<Y> y, Saved<T>*,
                               Arena<T>& arena) const {
    weights_.multiply(ctx, p, x, y, Update::overwrite, AddBias<Y, P>{y, p + bias_}, arena);
  }

  /// y += what forward would write, for a residual connection.
  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void add_forward(const Ctx& ctx, const P* p, Matrix<X> x, Matrix<Y> y,
                                   Arena<T>& arena) const {
    weights_.multiply(ctx, p, x, y, Update::accumulate, AddBias<Y, P>{y, p + bias_}, arena);
  }

  template <class Ctx, class P, class T, class X, class D, class DX>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, Matrix<X> x,
                                Matrix<D> dy, Matrix<DX> dx, const Saved<T>&,
                                Arena<T>& arena) const {
    if (!g.ignored()) {
      weights_.weight_gradient(ctx, g, x, dy, arena);
      ctx.column_sum(dy, g.values + bias_, g.accumulate ? Update::accumulate : Update::overwrite);
      g.done(bias_, static_cast<std::size_t>(outputs()));
    }
    if (!dx.empty()) weights_.transposed(ctx, p, dy, dx, arena);
  }

  template <class Ctx, class P, class DX, class D, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P* p, Matrix<DX> dx, Matrix<D> dy,
                               const Saved<T>&, Arena<T>& arena) const {
    weights_.multiply(ctx, p, dx, dy, Update::overwrite, NoEpilogue{}, arena);
  }

  /// dy += what tangent would write.
  template <class Ctx, class P, class DX, class D, class T>
  KOKKOS_FUNCTION void add_tangent(const Ctx& ctx, const P* p, Matrix<DX> dx, Matrix<D> dy,
                                   Arena<T>& arena) const {
    weights_.multiply(ctx, p, dx, dy, Update::accumulate, NoEpilogue{}, arena);
  }

 private:
  static Initializer start(const Window& window, int inputs, bool zero) {
    return Initializer::uniform(zero ? 0.0 : 1.0 / std::sqrt(double(inputs) * window.taps()));
  }

  ConvWeights weights_;
  std::size_t bias_ = 0;
};

}  // namespace vrfm
