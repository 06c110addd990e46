// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TimeConditioning: the embedding that conditions the blocks of an image network, e = silu(W2 silu(W1
// s(t) + b1) + b2 + other), s the sinusoidal embedding of t with periods up to 1e4 and `other` what
// else each sample has (its z). Names as in torchcfm: <name>.0 and <name>.2.
#pragma once

#include <vrfm/layers/dense.hpp>
#include <vrfm/layers/sinusoidal_embedding.hpp>
#include <vrfm/linalg/elementwise.hpp>

namespace vrfm {

namespace detail {

/// Element: e = silu(e + other), and its slope if wanted.
template <class T>
struct SiluOfSum {
  ConstMatrix<T> other;  // may be empty
  Matrix<T> e, slope;    // slope may be empty
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const auto result = Silu::evaluate(other.empty() ? e(i, j) : e(i, j) + other(i, j));
    e(i, j) = result.value;
    if (!slope.empty()) slope(i, j) = result.slope;
  }
};

}  // namespace detail

class TimeConditioning {
 public:
  template <class T>
  struct Saved {
    Matrix<T> features, hidden, slope;
    Dense<Silu>::Saved<T> first;
  };

  TimeConditioning() = default;

  /// `features`: of the sinusoidal embedding; `width`: of e. Throws std::invalid_argument for
  /// impossible extents.
  TimeConditioning(ParameterList& list, const std::string& name, int features, int width)
      : embedding_(1, features, 1, 1e4),
        first_(list, name + ".0", features, width),
        last_(list, name + ".2", width, width) {}

  KOKKOS_INLINE_FUNCTION int outputs() const { return last_.outputs(); }

  /// t: rows x 1; other: rows x outputs() or empty; e: rows x outputs().
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> t, ConstMatrix<T> other,
                               Matrix<T> e, Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> features = arena.take(e.rows, embedding_.outputs()),
                    hidden = arena.take(e.rows, outputs());
    Matrix<T> slope;
    if (saved != nullptr) slope = arena.take(e.rows, outputs());
    embedding_.forward(ctx, p, t.row_range(0, e.rows), features,
                       static_cast<SinusoidalEmbedding::Saved<T>*>(nullptr), arena);
    first_.forward(ctx, p, features, hidden, saved != nullptr ? &saved->first : nullptr, arena);
    last_.forward(ctx, p, hidden, e, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
    ctx.map(e.rows, e.cols, detail::SiluOfSum<T>{other, e, slope});
    if (saved == nullptr) {
      arena.rewind(mark);
      return;
    }
    saved->features = features;
    saved->hidden = hidden;
    saved->slope = slope;
  }

  /// de becomes the gradient of `other`.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, Matrix<T> de,
                                const Saved<T>& saved, Arena<T>& arena) const {
    ctx.map(de.rows, de.cols, Multiply<T>{saved.slope, de});
    if (g.ignored()) return;
    const auto mark = arena.used();
    const Matrix<T> dhidden = arena.take(de.rows, outputs());
    last_.backward(ctx, p, g, saved.hidden, de, dhidden, {}, arena);
    first_.backward(ctx, p, g, saved.features, dhidden, Matrix<T>(), saved.first, arena);
    arena.rewind(mark);
  }

 private:
  SinusoidalEmbedding embedding_;
  Dense<Silu> first_;
  Dense<> last_;
};

}  // namespace vrfm
