// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ClassifierStage: a 3 x 3 convolution, group norm, SiLU, and the mean of each block of 2 x 2 pixels; last rows and
// columns that fill no block are left out.
#pragma once

#include <string>

#include <vrfm/layers/conv.hpp>
#include <vrfm/layers/group_norm.hpp>
#include <vrfm/layers/resample.hpp>

namespace vrfm {

class ClassifierStage {
 public:
  template <class T>
  struct Saved {
    ConstMatrix<T> x;
    Matrix<T> convolved, normed;
    typename GroupNorm<Silu>::template Saved<T> norm;
  };

  ClassifierStage() = default;
  /// Adds `name`.conv.* and `name`.norm.* to `list`. Throws as its layers do.
  ClassifierStage(ParameterList& list, const std::string& name, int height, int width, int inputs,
                  int outputs)
      : conv_(list, name + ".conv", Window{height, width, 3, 1, 1}, inputs, outputs),
        norm_(list, name + ".norm", height * width, outputs, group_count(outputs)),
        pool_({height, width}, outputs, 2) {}

  KOKKOS_INLINE_FUNCTION int inputs() const { return conv_.inputs(); }
  KOKKOS_INLINE_FUNCTION int outputs() const { return conv_.outputs(); }
  KOKKOS_INLINE_FUNCTION int pixels() const { return conv_.input_pixels(); }
  KOKKOS_INLINE_FUNCTION int output_pixels() const { return pool_.output_pixels(); }

  /// Returns (samples output_pixels()) x outputs(), of the arena.
  template <class Ctx, class T>
  KOKKOS_FUNCTION Matrix<T> forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Saved<T>* saved,
                                    Arena<T>& arena) const {
    const Matrix<T> y = arena.take(x.rows / pixels() * output_pixels(), outputs());
    const auto mark = arena.used();
    const Matrix<T> convolved = arena.take(x.rows, outputs());
    const Matrix<T> normed = saved != nullptr ? arena.take(x.rows, outputs()) : convolved;
    conv_.forward(ctx, p, x, convolved, static_cast<Conv::Saved<T>*>(nullptr), arena);
    norm_.forward(ctx, p, convolved, normed, saved != nullptr ? &saved->norm : nullptr, arena);
    pool_.forward(ctx, p, normed, y, static_cast<AveragePool::Saved<T>*>(nullptr), arena);
    if (saved == nullptr) {
      arena.rewind(mark);
      return y;
    }
    saved->x = x;
    saved->convolved = convolved;
    saved->normed = normed;
    return y;
  }

  /// dx unless empty.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dy,
                                Matrix<T> dx, const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> d = arena.take(saved.convolved.rows, outputs());
    pool_.backward(ctx, p, g, saved.normed, dy, d, {}, arena);
    norm_.backward(ctx, p, g, saved.convolved, d, d, saved.norm, arena);
    conv_.backward(ctx, p, g, saved.x, d, dx, {}, arena);
    arena.rewind(mark);
  }

  /// Returns the rates of y, of the arena.
  template <class Ctx, class T>
  KOKKOS_FUNCTION Matrix<T> tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx,
                                    const Saved<T>& saved, Arena<T>& arena) const {
    const Matrix<T> dy = arena.take(dx.rows / pixels() * output_pixels(), outputs());
    const auto mark = arena.used();
    const Matrix<T> d = arena.take(dx.rows, outputs());
    conv_.tangent(ctx, p, dx, d, {}, arena);
    norm_.tangent(ctx, p, d, d, saved.norm, arena);
    pool_.tangent(ctx, p, d, dy, {}, arena);
    arena.rewind(mark);
    return dy;
  }

 private:
  Conv conv_;
  GroupNorm<Silu> norm_;
  AveragePool pool_;
};

}  // namespace vrfm
