// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TimeConditioning: what conditions the blocks of an image network, e = silu(embedding of t + embedding
// of s - t + other), each where there is one; `other` is what else each sample has (its z and c). The
// embedding of s - t is zero at first, so that a network without it loads as a flow map's start.
// Parameters: <prefix>time_embed as in torchcfm, <prefix>span_embed.
#pragma once

#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/models/blocks/embedding.hpp>
#include <vrfm/models/blocks/time_span.hpp>

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

struct TimeConditioningOptions {
  int features = 128;  ///< of a time's sinusoidal encoding
  int width = 512;     ///< of e
  bool time = true;    ///< whether t is seen
  bool span = false;   ///< whether s - t is
  const char* name = "time_embed";
  double deviation = 0;  ///< of t's weights at first; 0: as PyTorch's nn.Linear
};

class TimeConditioning {
 public:
  template <class T>
  struct Saved {
    TimeEmbedding::Saved<T> time, span;
    ConstMatrix<T> t;
    Matrix<T> span_input, slope;
    bool asked_s = false;  ///< for a second time
  };

  TimeConditioning() = default;

  /// Throws std::invalid_argument for impossible extents.
  TimeConditioning(ParameterList& list, const std::string& prefix, const TimeConditioningOptions& o)
      : o_(o) {
    const auto encoding = time_encoding(o.features);
    if (o.time && o.deviation > 0) {
      time_ = TimeEmbedding(encoding, make_normal_embedding(list, prefix + o.name, o.features,
                                                            o.width, o.width, o.deviation));
    } else if (o.time) {
      time_ = TimeEmbedding(encoding,
                            make_embedding(list, prefix + o.name, o.features, o.width, o.width));
    }
    if (o.span) {
      span_ = TimeEmbedding(encoding, make_embedding(list, prefix + "span_embed", o.features,
                                                     o.width, o.width, true));
    }
  }

  KOKKOS_INLINE_FUNCTION int outputs() const { return o_.width; }

  /// t, s: rows x 1, s empty: s = t; other: rows x outputs() or empty; e: rows x outputs().
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, ConstMatrix<T> t, ConstMatrix<T> s,
                               ConstMatrix<T> other, Matrix<T> e, Saved<T>* saved,
                               Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool save = saved != nullptr;
    const Matrix<T> slope = save ? arena.take(e.rows, e.cols) : Matrix<T>();
    if (o_.time) {
      time_.forward(ctx, p, t.row_range(0, e.rows), e, save ? &saved->time : nullptr, arena);
    } else {
      ctx.map(e.rows, e.cols, Fill<T>{e, T(0)});
    }
    if (o_.span) {
      const Matrix<T> span = arena.take(e.rows, 1), more = arena.take(e.rows, e.cols);
      ctx.each_row(e.rows, detail::TimeSpan<T>{t, s, !s.empty(), span});
      span_.forward(ctx, p, span, more, save ? &saved->span : nullptr, arena);
      ctx.map(e.rows, e.cols, AddScaled<T>{T(1), more, e});
      if (save) saved->span_input = span;
    }
    ctx.map(e.rows, e.cols, detail::SiluOfSum<T>{other, e, slope});
    if (!save) {
      arena.rewind(mark);
      return;
    }
    saved->t = t.row_range(0, e.rows);
    saved->slope = slope;
    saved->asked_s = !s.empty();
  }

  /// de becomes the gradient of `other`; overwrites dt and ds unless they are empty.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, Matrix<T> de,
                                Matrix<T> dt, Matrix<T> ds, const Saved<T>& saved,
                                Arena<T>& arena) const {
    ctx.map(de.rows, de.cols, Multiply<T>{saved.slope, de});
    if (o_.time && !(g.ignored() && dt.empty())) {
      time_.backward(ctx, p, g, saved.t, de, dt, saved.time, arena);
    }
    const bool wanted = !(dt.empty() && ds.empty());
    if (!o_.span || (g.ignored() && !wanted)) return;
    const auto mark = arena.used();
    const Matrix<T> dspan = wanted && saved.asked_s ? arena.take(de.rows, 1) : Matrix<T>();
    span_.backward(ctx, p, g, saved.span_input, de, dspan, saved.span, arena);
    if (wanted) ctx.each_row(de.rows, detail::TimeSpanBackward<T>{dspan, dt, ds});
    arena.rewind(mark);
  }

  /// de from the rates of t and s; what is empty does not vary.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P* p, ConstMatrix<T> dt, ConstMatrix<T> ds,
                               Matrix<T> de, const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    if (o_.time && !dt.empty()) {
      time_.tangent(ctx, p, dt.row_range(0, de.rows), de, saved.time, arena);
    } else {
      ctx.map(de.rows, de.cols, Fill<T>{de, T(0)});
    }
    if (o_.span) {
      const Matrix<T> dspan = arena.take(de.rows, 1), more = arena.take(de.rows, de.cols);
      ctx.each_row(de.rows, detail::TimeSpan<T>{dt, ds, saved.asked_s, dspan});
      span_.tangent(ctx, p, dspan, more, saved.span, arena);
      ctx.map(de.rows, de.cols, AddScaled<T>{T(1), more, de});
    }
    ctx.map(de.rows, de.cols, Multiply<T>{saved.slope, de});
    arena.rewind(mark);
  }

 private:
  TimeConditioningOptions o_ = {};
  TimeEmbedding time_, span_;
};

}  // namespace vrfm
