// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TimeEncoder: the encoding of t, and of a flow map (Geng et al. 2025, "Mean Flows") that of s - t, which is added to
// it. It is zero at first, so that a flow map may start from the weights of a flow without it.
#pragma once

#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/models/blocks/encoder.hpp>
#include <vrfm/models/blocks/time_span.hpp>

namespace vrfm {

template <Activation Act>
class TimeEncoder {
 public:
  template <class T>
  struct Saved {
    typename Encoder<Act>::template Saved<T> time, span;
    ConstMatrix<T> t;
    Matrix<T> span_input;
    bool asked_s = false;  ///< for a second time
  };

  TimeEncoder() = default;
  /// Adds the encoder of t under `name`.
  TimeEncoder(ParameterList& list, const std::string& name, const EncoderOptions& options)
      : time_(make_encoder<Act>(list, name, 1, options)) {}

  /// Adds the encoder of s - t. Throws std::invalid_argument for an activation by which it could not leave 0.
  void add_span(ParameterList& list, const std::string& name, const EncoderOptions& options) {
    expect(Act::evaluate(0.0f).slope != 0, "a second time needs an activation whose slope at 0 is ",
           "not 0, or its encoder could not leave 0; got ", Act::name);
    span_ = make_encoder<Act>(list, name, 1, options, true);
    has_span_ = true;
  }

  KOKKOS_INLINE_FUNCTION int outputs() const { return time_.outputs(); }

  /// t, s: rows x 1, s empty: s = t; out: rows x outputs().
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> t, ConstMatrix<T> s,
                               Matrix<T> out, Saved<T>* saved, Arena<T>& arena) const {
    time_.forward(ctx, p, t, out, saved == nullptr ? nullptr : &saved->time, arena);
    if (saved != nullptr) {
      saved->t = t;
      saved->asked_s = !s.empty();
    }
    if (!has_span_) return;
    const auto mark = arena.used();
    const Matrix<T> span = arena.take(out.rows, 1), more = arena.take(out.rows, out.cols);
    ctx.each_row(out.rows, detail::TimeSpan<T>{t, s, !s.empty(), span});
    span_.forward(ctx, p, span, more, saved == nullptr ? nullptr : &saved->span, arena);
    ctx.map(out.rows, out.cols, AddScaled<T>{T(1), more, out});
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->span_input = span;
    }
  }

  /// Overwrites dt unless it is empty, and ds, likewise, where there is an encoder of s - t.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> d,
                                Matrix<T> dt, Matrix<T> ds, const Saved<T>& saved,
                                Arena<T>& arena) const {
    time_.backward(ctx, p, g, saved.t, d, dt, saved.time, arena);
    if (!has_span_) return;
    const auto mark = arena.used();
    const bool wanted = !(dt.empty() && ds.empty());
    const Matrix<T> dspan = wanted && saved.asked_s ? arena.take(d.rows, 1) : Matrix<T>();
    span_.backward(ctx, p, g, saved.span_input, d, dspan, saved.span, arena);
    if (wanted) ctx.each_row(d.rows, detail::TimeSpanBackward<T>{dspan, dt, ds});
    arena.rewind(mark);
  }

  /// out from the rates of t and s; what is empty does not vary.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dt, ConstMatrix<T> ds,
                               Matrix<T> out, const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    if (dt.empty()) {
      ctx.map(out.rows, out.cols, Fill<T>{out, T(0)});
    } else {
      time_.tangent(ctx, p, dt, out, saved.time, arena);
    }
    if (has_span_) {
      const Matrix<T> dspan = arena.take(out.rows, 1), more = arena.take(out.rows, out.cols);
      ctx.each_row(out.rows, detail::TimeSpan<T>{dt, ds, saved.asked_s, dspan});
      span_.tangent(ctx, p, dspan, more, saved.span, arena);
      ctx.map(out.rows, out.cols, AddScaled<T>{T(1), more, out});
    }
    arena.rewind(mark);
  }

 private:
  Encoder<Act> time_, span_;
  bool has_span_ = false;
};

}  // namespace vrfm
