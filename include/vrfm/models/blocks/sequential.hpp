// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sequential: y = second(first(x)), itself a Layer, so that chains of any length nest:
// Sequential<A, Sequential<B, C>>. Members keep the names they were given; there is no list of
// types to index, because std::tuple cannot be used in device code.
#pragma once

#include <vrfm/layers/layer.hpp>

namespace vrfm {

template <class First, class Second>
class Sequential {
  static_assert(RequireLayer<First>::ok && RequireLayer<Second>::ok);

 public:
  static constexpr bool has_parameters = First::has_parameters || Second::has_parameters;

  template <class T>
  struct Saved {
    typename First::template Saved<T> first;
    typename Second::template Saved<T> second;
    Matrix<T> between;
  };

  Sequential() = default;

  /// Throws std::invalid_argument unless first's outputs are second's inputs.
  Sequential(const First& first, const Second& second) : first_(first), second_(second) {
    expect_same("the first layer's output", static_cast<std::size_t>(first.outputs()),
                "the second layer's input", static_cast<std::size_t>(second.inputs()), "columns");
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return first_.inputs(); }
  KOKKOS_INLINE_FUNCTION int outputs() const { return second_.outputs(); }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> between = arena.take(x.rows, first_.outputs());
    first_.forward(ctx, p, x, between, saved == nullptr ? nullptr : &saved->first, arena);
    second_.forward(ctx, p, between, y, saved == nullptr ? nullptr : &saved->second, arena);
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->between = between;
    }
  }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> x,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    // A first layer without parameters needs no gradient from above unless dx is wanted.
    const bool needed = !dx.empty() || First::has_parameters;
    const Matrix<T> dbetween = needed ? arena.take(x.rows, first_.outputs()) : Matrix<T>();
    second_.backward(ctx, p, g, saved.between, dy, dbetween, saved.second, arena);
    if (needed) first_.backward(ctx, p, g, x, dbetween, dx, saved.first, arena);
    arena.rewind(mark);
  }

  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P* p, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> between = arena.take(dx.rows, first_.outputs());
    first_.tangent(ctx, p, dx, between, saved.first, arena);
    second_.tangent(ctx, p, between, dy, saved.second, arena);
    arena.rewind(mark);
  }

 private:
  First first_;
  Second second_;
};

}  // namespace vrfm
