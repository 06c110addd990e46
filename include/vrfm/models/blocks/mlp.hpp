// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mlp: a stack of dense layers, `Hidden` after all but the last and `Last` after the last.
// Parameters are named <name>.0.weight, <name>.0.bias, <name>.1.weight, ...
#pragma once

#include <vector>

#include <vrfm/layers/dense.hpp>
#include <vrfm/linalg/elementwise.hpp>

namespace vrfm {

template <Activation Hidden, Activation Last = Identity>
class Mlp {
 public:
  static constexpr bool has_parameters = true;

  /// The deepest stack. A fixed bound keeps the layer a plain value that kernels can carry.
  static constexpr int max_depth = 8;

  template <class T>
  struct Saved {
    typename Dense<Hidden>::template Saved<T> hidden[max_depth - 1];
    typename Dense<Last>::template Saved<T> last;
    Matrix<T> y[max_depth - 1];  ///< outputs of the hidden layers
  };

  Mlp() = default;

  /// Layers widths[0] -> widths[1] -> ..., the last of them zero at first if `zero`. Throws
  /// std::invalid_argument unless there are 1 to max_depth layers.
  Mlp(ParameterList& list, const std::string& name, const std::vector<int>& widths,
      bool zero = false)
      : depth_(narrow<int>(widths.size(), "the number of a stack's widths") - 1) {
    expect(depth_ >= 1 && depth_ <= max_depth, "network '", name, "' needs 1 to ", max_depth,
           " layers, got ", depth_);
    for (int i = 0; i < depth_ - 1; ++i) {
      const auto k = static_cast<std::size_t>(i);
      hidden_[i] = Dense<Hidden>(list, text(name, '.', i), widths[k], widths[k + 1]);
    }
    const auto k = static_cast<std::size_t>(depth_ - 1);
    last_ = Dense<Last>(list, text(name, '.', depth_ - 1), widths[k], widths[k + 1], 0, zero);
  }

  KOKKOS_INLINE_FUNCTION int inputs() const {
    return depth_ > 1 ? hidden_[0].inputs() : last_.inputs();
  }
  KOKKOS_INLINE_FUNCTION int outputs() const { return last_.outputs(); }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    forward_from(0, ctx, p, x, y, saved, arena);
    if (saved == nullptr) arena.rewind(mark);
  }

  /// Columns of the first layer's output.
  KOKKOS_INLINE_FUNCTION int first_outputs() const {
    return depth_ > 1 ? hidden_[0].outputs() : last_.outputs();
  }

  /// Dense::contribute of the first layer.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void contribute(const Ctx& ctx, const P* p, int first, ConstMatrix<T> x,
                                  Matrix<T> y, Update update = Update::overwrite) const {
    if (depth_ > 1) {
      hidden_[0].contribute(ctx, p, first, x, y, update);
    } else {
      last_.contribute(ctx, p, first, x, y, update);
    }
  }

  /// Dense::contribute_backward of the first layer.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void contribute_backward(const Ctx& ctx, const P* p, Gradient<T> g, int first,
                                           ConstMatrix<T> x, ConstMatrix<T> dy,
                                           Matrix<T> dx) const {
    if (depth_ > 1) {
      hidden_[0].contribute_backward(ctx, p, g, first, x, dy, dx);
    } else {
      last_.contribute_backward(ctx, p, g, first, x, dy, dx);
    }
  }

  /// forward where parts of the first layer's sum are known: see Dense::complete.
  template <class Ctx, class P, class T, class... Parts>
  KOKKOS_FUNCTION void complete(const Ctx& ctx, const P* p, int first, ConstMatrix<T> x,
                                Matrix<T> y, Saved<T>* saved, Arena<T>& arena,
                                const Parts&... parts) const {
    if (depth_ == 1) {
      static_assert(std::is_same_v<Last, Identity>, "parts are added behind a linear layer");
      last_.complete(ctx, p, first, x, y, saved == nullptr ? nullptr : &saved->last, arena);
      (ctx.map(y.rows, y.cols, AddScaled<T>{T(1), parts, y}), ...);
      return;
    }
    const auto mark = arena.used();
    const Matrix<T> next = arena.take(x.rows, hidden_[0].outputs());
    hidden_[0].complete(ctx, p, first, x, next, saved == nullptr ? nullptr : &saved->hidden[0],
                        arena, parts...);
    if (saved != nullptr) saved->y[0] = next;
    forward_from(1, ctx, p, next, y, saved, arena);
    if (saved == nullptr) arena.rewind(mark);
  }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> x,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    const ConstMatrix<T> dsum = backward_to_sum(ctx, p, g, dy, saved, arena);
    backward_from_sum(ctx, p, g, 0, x, dsum, dx);
    arena.rewind(mark);
  }

  /// backward of all layers but the first: returns the gradient of the first layer's sum, in memory of
  /// the arena (or dy's), which the caller gives back.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION Matrix<const T> backward_to_sum(const Ctx& ctx, const P* p, Gradient<T> g,
                                                  ConstMatrix<T> dy, const Saved<T>& saved,
                                                  Arena<T>& arena) const {
    // What passes from layer to layer is the gradient of the sums below the activations.
    Matrix<const T> d = last_.sum_gradient(ctx, dy, saved.last, arena);
    for (int i = depth_ - 1; i > 0; --i) {
      const Matrix<T> below = arena.take(dy.rows, hidden_[i - 1].outputs());
      backward_layer(i, ctx, p, g, saved.y[i - 1], d, below,
                     hidden_[i - 1].slope_epilogue(saved.hidden[i - 1], below), 0);
      d = below;
    }
    return d;
  }

  /// backward of the first layer, whose inputs from `first` on were x: gradients of these columns of
  /// its weight and of its bias, and dx unless it is empty.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward_from_sum(const Ctx& ctx, const P* p, Gradient<T> g, int first,
                                         ConstMatrix<T> x, ConstMatrix<T> dsum,
                                         Matrix<T> dx) const {
    backward_layer(0, ctx, p, g, x, dsum, dx, NoEpilogue{}, first);
  }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P* p, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>& saved, Arena<T>& arena) const {
    tangent_of(ctx, p, 0, dx, dy, saved, arena);
  }

  /// tangent where only the inputs from `first` on vary.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void tangent_of(const Ctx& ctx, const P* p, int first, ConstMatrix<T> dx,
                                  Matrix<T> dy, const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    for (int i = 0; i < depth_ - 1; ++i) {
      const Matrix<T> next = arena.take(dx.rows, hidden_[i].outputs());
      hidden_[i].tangent_of(ctx, p, i == 0 ? first : 0, dx, next, saved.hidden[i], arena);
      dx = next;
    }
    last_.tangent_of(ctx, p, depth_ == 1 ? first : 0, dx, dy, saved.last, arena);
    arena.rewind(mark);
  }

 private:
  /// forward from layer `i` on; memory is not given back.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void forward_from(int i, const Ctx& ctx, const P* p, ConstMatrix<T> x,
                                    Matrix<T> y, Saved<T>* saved, Arena<T>& arena) const {
    for (; i < depth_ - 1; ++i) {
      const Matrix<T> next = arena.take(x.rows, hidden_[i].outputs());
      hidden_[i].forward(ctx, p, x, next, saved == nullptr ? nullptr : &saved->hidden[i], arena);
      if (saved != nullptr) saved->y[i] = next;
      x = next;
    }
    last_.forward(ctx, p, x, y, saved == nullptr ? nullptr : &saved->last, arena);
  }

  template <class Ctx, class P, class T, class Epilogue>
  KOKKOS_FUNCTION void backward_layer(int i, const Ctx& ctx, const P* p, Gradient<T> g,
                                      ConstMatrix<T> x, ConstMatrix<T> dsum, Matrix<T> dx,
                                      const Epilogue& epilogue, int first) const {
    if (i == depth_ - 1) {
      last_.backward_from_sum(ctx, p, g, x, dsum, dx, epilogue, first);
    } else {
      hidden_[i].backward_from_sum(ctx, p, g, x, dsum, dx, epilogue, first);
    }
  }

  int depth_ = 0;
  Dense<Hidden> hidden_[max_depth - 1];
  Dense<Last> last_;
};

}  // namespace vrfm
