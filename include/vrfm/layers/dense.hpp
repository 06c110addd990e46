// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Dense: y = activation(x W^T + b), W of shape [outputs, inputs], b of shape [outputs] (PyTorch's
// nn.Linear followed by an activation). Forward stores the activation's slope, so that backward
// and tangent need no transcendental function.
#pragma once

#include <cmath>

#include <vrfm/layers/activation.hpp>
#include <vrfm/layers/layer.hpp>
#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/linalg/epilogue.hpp>

namespace vrfm {

namespace detail {

/// What a row of outputs is given besides x W^T: the bias, ...
template <class T>
struct Bias {
  const T* bias;
  KOKKOS_INLINE_FUNCTION T operator()(int, int j) const { return bias[j]; }
};

/// ... or two parts that were computed before, the bias in one of them.
template <class T>
struct TwoParts {
  ConstMatrix<T> first, second;
  KOKKOS_INLINE_FUNCTION T operator()(int i, int j) const { return first(i, j) + second(i, j); }
};

/// Epilogue: y = activation(y + rest).
template <class T, class Act, class Rest>
struct Activate {
  Rest rest;
  Matrix<T> y;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    y(i, j) = value_of<Act>(y(i, j) + rest(i, j));
  }
  BiasEpilogue<T> built_in() const
    requires(std::is_same_v<Rest, Bias<T>> &&
             (std::is_same_v<Act, Identity> || std::is_same_v<Act, GeluTanh>))
  {
    return {std::is_same_v<Act, GeluTanh>, rest.bias};
  }
};

/// Epilogue: y = activation(y + rest), slope = activation'(y + rest).
template <class T, class Act, class Rest>
struct ActivateSlope {
  Rest rest;
  Matrix<T> y;
  Matrix<T> slope;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const auto result = Act::evaluate(y(i, j) + rest(i, j));
    y(i, j) = result.value;
    slope(i, j) = result.slope;
  }
};

/// out = slope * d
template <class T>
struct ApplySlope {
  ConstMatrix<T> slope;
  ConstMatrix<T> d;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { out(i, j) = slope(i, j) * d(i, j); }
};

}  // namespace detail

template <Activation Act = Identity>
class Dense {
 public:
  static constexpr bool has_parameters = true;

  template <class T>
  struct Saved {
    Matrix<T> slope;  ///< activation'(x W^T + b); unused for Identity
  };

  Dense() = default;

  /// Adds `name`.weight and `name`.bias to `list`, initialised as PyTorch's nn.Linear:
  /// both U(-1/sqrt(inputs), 1/sqrt(inputs)), or zero. On rows that are pixels this is a 1 x 1
  /// convolution, whose weight PyTorch gives `trailing` more extents of 1. Throws
  /// std::invalid_argument for extents below 1.
  Dense(ParameterList& list, const std::string& name, int inputs, int outputs, int trailing = 0,
        bool zero = false)
      : inputs_(inputs), outputs_(outputs) {
    expect(inputs > 0 && outputs > 0, "dense layer '", name,
           "' needs at least one input and one output, got ", inputs, " and ", outputs);
    const auto rows = static_cast<std::size_t>(outputs), cols = static_cast<std::size_t>(inputs);
    const double bound_of_inputs = 1.0 / std::sqrt(static_cast<double>(inputs));
    const auto bound = Initializer::uniform(zero ? 0.0 : bound_of_inputs);
    std::vector<std::size_t> shape{rows, cols};
    shape.resize(static_cast<std::size_t>(2 + trailing), 1);
    weight_ = list.add(name + ".weight", shape, bound);
    bias_ = list.add(name + ".bias", {rows}, bound);
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return inputs_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return outputs_; }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    activate(ctx, x, weight(p), detail::Bias<T>{p + bias_}, y, saved, arena);
  }

  /// y = x V^T, V the columns of W from `first` on: the part of the layer's sum that a part of its
  /// input contributes, before bias and activation.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void contribute(const Ctx& ctx, const T* p, int first, ConstMatrix<T> x,
                                  Matrix<T> y) const {
    ctx.template gemm<Op::none, Op::transpose>(x, weight(p).col_range(first, x.cols), y,
                                               Update::overwrite);
  }

  /// The bias as each of `rows` rows.
  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<const T> bias_rows(const T* p, int rows) const {
    return Matrix<const T>(p + bias_, rows, outputs_, 0);
  }

  /// forward where the other inputs' contributions and the bias are known: y = activation(x V^T +
  /// one + other).
  template <class Ctx, class T>
  KOKKOS_FUNCTION void complete(const Ctx& ctx, const T* p, int first, ConstMatrix<T> x,
                                ConstMatrix<T> one, ConstMatrix<T> other, Matrix<T> y,
                                Saved<T>* saved, Arena<T>& arena) const {
    activate(ctx, x, weight(p).col_range(first, x.cols), detail::TwoParts<T>{one, other}, y, saved,
             arena);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> x,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    const ConstMatrix<T> dpre = before_activation(ctx, dy, saved, arena);
    if (!g.ignored()) {
      const auto update = g.accumulate ? Update::accumulate : Update::overwrite;
      const Matrix<T> dweight(g.values + weight_, outputs_, inputs_, inputs_);
      ctx.template gemm<Op::transpose, Op::none>(dpre, x, dweight, update);
      ctx.column_sum(dpre, g.values + bias_, update);
    }
    if (!dx.empty()) {
      ctx.template gemm<Op::none, Op::none>(dpre, weight(p), dx, Update::overwrite);
    }
    arena.rewind(mark);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>& saved, Arena<T>& arena) const {
    tangent_of(ctx, p, 0, dx, dy, saved, arena);
  }

  /// tangent where only the inputs from `first` on vary.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent_of(const Ctx& ctx, const T* p, int first, ConstMatrix<T> dx,
                                  Matrix<T> dy, const Saved<T>& saved, Arena<T>&) const {
    const ConstMatrix<T> columns = weight(p).col_range(first, dx.cols);
    if constexpr (linear) {
      ctx.template gemm<Op::none, Op::transpose>(dx, columns, dy, Update::overwrite);
    } else {
      const Multiply<T> epilogue{saved.slope, dy};
      ctx.template gemm<Op::none, Op::transpose>(dx, columns, dy, Update::overwrite, epilogue);
    }
  }

 private:
  static constexpr bool linear = std::is_same_v<Act, Identity>;

  template <class T>
  KOKKOS_INLINE_FUNCTION ConstMatrix<T> weight(const T* p) const {
    return ConstMatrix<T>(p + weight_, outputs_, inputs_, inputs_);
  }

  /// y = activation(x V^T + rest)
  template <class Ctx, class T, class Rest>
  KOKKOS_FUNCTION void activate(const Ctx& ctx, ConstMatrix<T> x, Matrix<const T> v,
                                const Rest& rest, Matrix<T> y, Saved<T>* saved,
                                Arena<T>& arena) const {
    if (saved == nullptr || linear) {
      const detail::Activate<T, Act, Rest> epilogue{rest, y};
      ctx.template gemm<Op::none, Op::transpose>(x, v, y, Update::overwrite, epilogue);
    } else {
      saved->slope = arena.take(x.rows, outputs_);
      const detail::ActivateSlope<T, Act, Rest> epilogue{rest, y, saved->slope};
      ctx.template gemm<Op::none, Op::transpose>(x, v, y, Update::overwrite, epilogue);
    }
  }

  template <class Ctx, class T>
  KOKKOS_INLINE_FUNCTION ConstMatrix<T> before_activation(const Ctx& ctx, ConstMatrix<T> dy,
                                                          const Saved<T>& saved,
                                                          Arena<T>& arena) const {
    if constexpr (linear) {
      return dy;
    } else {
      const Matrix<T> dpre = arena.take(dy.rows, outputs_);
      ctx.map(dy.rows, outputs_, detail::ApplySlope<T>{saved.slope, dy, dpre});
      return dpre;
    }
  }

  int inputs_ = 0;
  int outputs_ = 0;
  std::size_t weight_ = 0;
  std::size_t bias_ = 0;
};

}  // namespace vrfm
