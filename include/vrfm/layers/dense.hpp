// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Dense: y = activation(x W^T + b), W of shape [outputs, inputs], b of shape [outputs] (PyTorch's
// nn.Linear followed by an activation). Forward saves the activation's slope, so that backward and
// tangent need no transcendental function. In a stack of layers, backward multiplies by the slope
// in the epilogue of the layer above. p, x, y and what is saved may be of types of their own, such as
// BFloat16; sums and gradients of parameters are of the arena's type.
#pragma once

#include <cmath>

#include <vrfm/core/activation.hpp>
#include <vrfm/core/bfloat16.hpp>
#include <vrfm/layers/layer.hpp>
#include <vrfm/linalg/epilogue.hpp>
#include <vrfm/linalg/weight_gradient.hpp>

namespace vrfm {

namespace detail {

/// Epilogue: y = activation(y + bias + parts), the parts sums that were computed before; and what is kept of it.
template <bool keeps, class Act, class T, class P, int n>
struct PartsThen {
  Matrix<T> y;
  const P* bias;
  Matrix<T> kept;
  ConstMatrix<T> part[std::size_t(n)];
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    T rest = part[0](i, j) + bias[j];
    VRFM_UNROLL
    for (int k = 1; k < n; ++k) rest += part[k](i, j);
    const T sum = y(i, j) + rest;
    if constexpr (keeps) {
      const auto result = Act::evaluate(sum);
      y(i, j) = result.value;
      kept(i, j) = keeps_sum<Act> ? sum : result.slope;
    } else {
      y(i, j) = value_of<Act>(sum);
    }
  }
};

}  // namespace detail

/// U(-b, b), b = sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010; PyTorch's xavier_uniform_).
inline Initializer xavier(int inputs, int outputs) {
  return Initializer::uniform(std::sqrt(6.0 / (double(inputs) + double(outputs))));
}

template <Activation Act = Identity>
class Dense {
 public:
  static constexpr bool has_parameters = true;

  template <class T>
  struct Saved {
    Matrix<T> kept;  ///< activation'(x W^T + b), or see keeps_sum; unused for Identity
  };

  Dense() = default;

  /// Adds `name`.weight and `name`.bias to `list`. On rows that are pixels this is a 1 x 1 convolution, whose
  /// weight in PyTorch has `trailing` more extents of 1. Throws std::invalid_argument for extents below 1.
  Dense(ParameterList& list, const std::string& name, int inputs, int outputs,
        const Initializer& weight, const Initializer& bias, int trailing = 0)
      : inputs_(inputs), outputs_(outputs) {
    expect(inputs > 0 && outputs > 0, "dense layer '", name,
           "' needs at least one input and one output, got ", inputs, " and ", outputs);
    const auto rows = static_cast<std::size_t>(outputs), cols = static_cast<std::size_t>(inputs);
    std::vector<std::size_t> shape{rows, cols};
    shape.resize(static_cast<std::size_t>(2 + trailing), 1);
    weight_ = list.add(name + ".weight", shape, weight);
    list.add(name + ".bias", {rows}, bias);  // right behind
    if (!linear) list.note(name, "activation", Act::name);
  }

  /// The same, drawn as PyTorch's nn.Linear draws them from U(-1/sqrt(inputs), 1/sqrt(inputs)), or zero.
  Dense(ParameterList& list, const std::string& name, int inputs, int outputs, int trailing = 0,
        bool zero = false)
      : Dense(list, name, inputs, outputs, Initializer::uniform(zero ? 0.0 : bound_of(inputs)),
              Initializer::uniform(zero ? 0.0 : bound_of(inputs)), trailing) {}

  KOKKOS_INLINE_FUNCTION int inputs() const { return inputs_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return outputs_; }

  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, Matrix<X> x, Matrix<Y> y,
                               Saved<Y>* saved, Arena<T>& arena) const {
    activate(ctx, p, x, weight(p), y, saved, arena);
  }

  /// Forward of a linear layer whose outputs h are added to x, times the gate of a row's sample: y = x + gate h.
  template <class Ctx, class P, class X, class H, class T>
  KOKKOS_FUNCTION void forward_gated(const Ctx& ctx, const P* p, Matrix<X> in, Matrix<H> h,
                                     ConstMatrix<T> gate, ConstMatrix<T> x, Matrix<T> y,
                                     int tokens) const {
    static_assert(linear);
    ctx.template gemm<Op::none, Op::transpose>(
        in, weight(p), h, Update::overwrite,
        GatedResidual<T, H, P>{h, p + bias(), gate, x, y, tokens});
  }

  /// y = x V^T, or y += x V^T, where V is the columns of W from `first` on: what a part of the
  /// input contributes to the layer's sum, before bias and activation.
  template <class Ctx, class P, class X, class T>
  KOKKOS_FUNCTION void contribute(const Ctx& ctx, const P* p, int first, Matrix<X> x, Matrix<T> y,
                                  Update update = Update::overwrite) const {
    ctx.template gemm<Op::none, Op::transpose>(x, weight(p).col_range(first, x.cols), y, update);
  }

  /// Gradients of contribute from dy: of those columns of W (as `g` says), and dx unless it is
  /// empty.
  template <class Ctx, class P, class T, class X, class D, class DX>
  KOKKOS_FUNCTION void contribute_backward(const Ctx& ctx, const P* p, Gradient<T> g, int first,
                                           Matrix<X> x, Matrix<D> dy, Matrix<DX> dx) const {
    if (!g.ignored()) {
      ctx.template gemm<Op::transpose, Op::none>(
          dy, x, weight_gradient_of(g).col_range(first, x.cols), update_of(g));
      g.done(weight_, bias() - weight_);
    }
    if (!dx.empty()) {
      ctx.template gemm<Op::none, Op::none>(dy, weight(p).col_range(first, dx.cols), dx,
                                            Update::overwrite);
    }
  }

  /// Forward where the contributions of the other inputs are known: y = activation(x V^T + bias +
  /// parts), V the columns of W from `first` on.
  template <class Ctx, class P, class X, class T, class... Parts>
  KOKKOS_FUNCTION void complete(const Ctx& ctx, const P* p, int first, Matrix<X> x, Matrix<T> y,
                                Saved<T>* saved, Arena<T>& arena, const Parts&... parts) const {
    const Matrix<const P> columns = weight(p).col_range(first, x.cols);
    if constexpr (sizeof...(parts) == 0) {
      activate(ctx, p, x, columns, y, saved, arena);
    } else if (saved == nullptr || linear) {
      ctx.template gemm<Op::none, Op::transpose>(
          x, columns, y, Update::overwrite,
          detail::PartsThen<false, Act, T, P, sizeof...(parts)>{y, p + bias(), {}, {parts...}});
    } else {
      saved->kept = arena.take(x.rows, outputs_);
      ctx.template gemm<Op::none, Op::transpose>(
          x, columns, y, Update::overwrite,
          detail::PartsThen<true, Act, T, P, sizeof...(parts)>{
              y, p + bias(), saved->kept, {parts...}});
    }
  }

  template <class Ctx, class P, class T, class X, class D, class DX>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, Matrix<X> x,
                                Matrix<D> dy, Matrix<DX> dx,
                                const Saved<std::remove_const_t<D>>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    backward_from_sum(ctx, p, g, x, sum_gradient(ctx, dy, saved, arena), dx, NoEpilogue{});
    arena.rewind(mark);
  }

  /// The gradient of x W^T + b from dy, the gradient of y.
  template <class Ctx, class D, class T>
  KOKKOS_INLINE_FUNCTION Matrix<const D> sum_gradient(const Ctx& ctx, Matrix<D> dy,
                                                      const Saved<std::remove_const_t<D>>& saved,
                                                      Arena<T>& arena) const {
    if constexpr (linear) {
      return dy;
    } else {
      using Y = std::remove_const_t<D>;
      const Matrix<Y> dsum = arena.template take_as<Y>(dy.rows, outputs_);
      ctx.map(dy.rows, outputs_, TimesSlope<Act, Y>{saved.kept, dy, dsum});
      return dsum;
    }
  }

  /// The same as an epilogue, in place of dy.
  template <class T>
  KOKKOS_INLINE_FUNCTION auto slope_epilogue(const Saved<T>& saved, Matrix<T> dy) const {
    if constexpr (linear) {
      return NoEpilogue{};
    } else {
      return TimesSlope<Act, T>{saved.kept, dy, dy};
    }
  }

  /// Backward from dsum, the gradient of x W^T + b, with an epilogue on dx. x may be only the
  /// inputs from `first` on, as in complete.
  template <class Ctx, class P, class T, class X, class D, class DX, class Epilogue>
  KOKKOS_FUNCTION void backward_from_sum(const Ctx& ctx, const P* p, Gradient<T> g, Matrix<X> x,
                                         Matrix<D> dsum, Matrix<DX> dx, const Epilogue& epilogue,
                                         int first = 0) const {
    if (!g.ignored()) {
      weight_gradient(ctx, dsum, x, weight_gradient_of(g).col_range(first, x.cols),
                      g.values + bias(), update_of(g));
      g.done(weight_, bias() - weight_ + static_cast<std::size_t>(outputs_));
    }
    if (!dx.empty()) {
      ctx.template gemm<Op::none, Op::none>(dsum, weight(p).col_range(first, dx.cols), dx,
                                            Update::overwrite, epilogue);
    }
  }

  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P* p, Matrix<X> dx, Matrix<Y> dy,
                               const Saved<Y>& saved, Arena<T>& arena) const {
    tangent_of(ctx, p, 0, dx, dy, saved, arena);
  }

  /// Tangent where only the inputs from `first` on vary.
  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void tangent_of(const Ctx& ctx, const P* p, int first, Matrix<X> dx, Matrix<Y> dy,
                                  const Saved<Y>& saved, Arena<T>&) const {
    const Matrix<const P> columns = weight(p).col_range(first, dx.cols);
    ctx.template gemm<Op::none, Op::transpose>(dx, columns, dy, Update::overwrite,
                                               slope_epilogue(saved, dy));
  }

 private:
  static constexpr bool linear = std::is_same_v<Act, Identity>;

  static double bound_of(int inputs) { return 1.0 / std::sqrt(static_cast<double>(inputs)); }

  template <class P>
  KOKKOS_INLINE_FUNCTION Matrix<const P> weight(const P* p) const {
    return Matrix<const P>(p + weight_, outputs_, inputs_, inputs_);
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<T> weight_gradient_of(const Gradient<T>& g) const {
    return Matrix<T>(g.values + weight_, outputs_, inputs_, inputs_);
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION static Update update_of(const Gradient<T>& g) {
    return g.accumulate ? Update::accumulate : Update::overwrite;
  }

  /// y = activation(x V^T + bias)
  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void activate(const Ctx& ctx, const P* p, Matrix<X> x, Matrix<const P> v,
                                Matrix<Y> y, Saved<Y>* saved, Arena<T>& arena) const {
    if constexpr (linear) {
      ctx.template gemm<Op::none, Op::transpose>(x, v, y, Update::overwrite,
                                                 AddBias<Y, P>{y, p + bias()});
    } else if (saved == nullptr) {
      ctx.template gemm<Op::none, Op::transpose>(x, v, y, Update::overwrite,
                                                 BiasThen<Act, Y, P>{y, p + bias()});
    } else {
      saved->kept = arena.template take_as<Y>(x.rows, outputs_);
      ctx.template gemm<Op::none, Op::transpose>(
          x, v, y, Update::overwrite, BiasThenKept<Act, Y, P>{y, p + bias(), saved->kept});
    }
  }

  /// Where the bias begins. It is no member: networks of many layers travel into kernels by value.
  KOKKOS_INLINE_FUNCTION std::size_t bias() const {
    return weight_ + static_cast<std::size_t>(inputs_) * static_cast<std::size_t>(outputs_);
  }

  int inputs_ = 0;
  int outputs_ = 0;
  std::size_t weight_ = 0;
};

}  // namespace vrfm
