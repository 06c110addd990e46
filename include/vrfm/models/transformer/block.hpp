// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TransformerBlock: h = x + g1 attention(m1(x)), y = h + g2 mlp(m2(h)), each m(x) = norm(x) (1 + scale) + shift;
// the gates g, scales and shifts of each sample are a linear function of its embedding e, zero at first, so that
// the block begins as the identity (adaLN-Zero: Peebles and Xie 2023; SiT: Ma et al. 2024). Names as in SiT:
// <name>.attn.qkv, .attn.proj, .mlp.fc1, .mlp.fc2, .adaLN_modulation.1. What it computes between x, h and y is
// stored in the type of the parameters, which may be BFloat16; x, h, y, e and the modulation are of the arena's.
#pragma once

#include <vrfm/layers/attention.hpp>
#include <vrfm/layers/dense.hpp>
#include <vrfm/layers/layer_norm.hpp>
#include <vrfm/linalg/elementwise.hpp>

namespace vrfm {

struct TransformerBlockOptions {
  int tokens = 256, width = 1152, heads = 16, hidden = 4608;
};

namespace detail {

/// Element: y = x + gate h, or gate h without x; the gate is that of its sample.
template <class T, class H, class Y>
struct Gated {
  Matrix<const T> gate;
  Matrix<const H> h;
  Matrix<const T> x;  // may be empty
  Matrix<Y> y;
  int tokens;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const T gated = gate(i / tokens, j) * h(i, j);
    y(i, j) = x.empty() ? gated : x(i, j) + gated;
  }
};

/// Element: y += rate h, the rate that of its sample.
template <class T, class H>
struct AddGateRate {
  Matrix<const T> rate;
  Matrix<const H> h;
  Matrix<T> y;
  int tokens;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    y(i, j) += rate(i / tokens, j) * h(i, j);
  }
};

template <class T, class H>
struct RowsProduct {
  Matrix<const T> x;
  Matrix<const H> y;
  int first;
  KOKKOS_INLINE_FUNCTION T operator()(int i, int j) const {
    return x(first + i, j) * y(first + i, j);
  }
};

/// Tile: one sample's gradient of a gate.
template <class T, class H>
struct GateGradient {
  Matrix<const T> dy;
  Matrix<const H> h;
  Matrix<T> dgate;
  int tokens;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    ctx.column_sum(tokens, dy.cols, RowsProduct<T, H>{dy, h, k * tokens}, dgate.row(k),
                   Update::overwrite);
  }
};

}  // namespace detail

class TransformerBlock {
 public:
  template <class T, class P = T>
  struct Saved {
    ConstMatrix<T> x, e;
    Matrix<T> modulation, middle;
    Matrix<P> first, qkv, mixed, attended, second, hidden, out;
    LayerNorm::Saved<T, T, P> first_norm, second_norm;
    MultiHeadAttention::Saved<T, P> attention;
    Dense<GeluTanh>::Saved<P> fc1;
  };

  TransformerBlock() = default;

  /// Throws std::invalid_argument naming the first impossible extent.
  TransformerBlock(ParameterList& list, const std::string& name, const TransformerBlockOptions& o)
      : o_(o), norm_(o.width), attention_(o.tokens, o.width, o.heads, AttentionColumns::by_part) {
    const auto zero = Initializer::constant(0);
    qkv_ =
        Dense<>(list, name + ".attn.qkv", o.width, 3 * o.width, xavier(o.width, 3 * o.width), zero);
    projection_ =
        Dense<>(list, name + ".attn.proj", o.width, o.width, xavier(o.width, o.width), zero);
    fc1_ = Dense<GeluTanh>(list, name + ".mlp.fc1", o.width, o.hidden, xavier(o.width, o.hidden),
                           zero);
    fc2_ = Dense<>(list, name + ".mlp.fc2", o.hidden, o.width, xavier(o.hidden, o.width), zero);
    modulation_ = Dense<>(list, name + ".adaLN_modulation.1", o.width, 6 * o.width, zero, zero);
    list.note(name, "heads", o.heads);
  }

  /// x, y: (samples tokens) x width; e: samples x width, after its activation.
  template <class Ctx, class P, class T>
  void forward(const Ctx& ctx, const P* p, ConstMatrix<T> x, ConstMatrix<T> e, Matrix<T> y,
               Saved<T, P>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool save = saved != nullptr;
    const int rows = x.rows, width = o_.width;
    const auto take = [&](int cols) { return arena.template take_as<P>(rows, cols); };
    const Matrix<T> modulation = arena.take(e.rows, 6 * width),
                    middle = save ? arena.take(rows, width) : y;
    modulation_.forward(ctx, p, e, modulation, nothing<T>(), arena);
    const auto half = arena.used();

    const Matrix<P> first = take(width), qkv = take(3 * width), mixed = take(width),
                    attended = save ? take(width) : first;
    norm_.forward(ctx, p, x, modulation_of<const T>(modulation, 0), first,
                  save ? &saved->first_norm : nullptr, arena);
    qkv_.forward(ctx, p, first, qkv, nothing<P>(), arena);
    attention_.forward(ctx, p, qkv, mixed, save ? &saved->attention : nullptr, arena);
    projection_.forward_gated(ctx, p, mixed, attended, part(modulation, 2), x, middle, o_.tokens);

    if (!save) arena.rewind(half);
    const Matrix<P> second = take(width), hidden = take(o_.hidden),
                    out = save ? take(width) : second;
    norm_.forward(ctx, p, middle, modulation_of<const T>(modulation, 3), second,
                  save ? &saved->second_norm : nullptr, arena);
    fc1_.forward(ctx, p, second, hidden, save ? &saved->fc1 : nullptr, arena);
    fc2_.forward_gated(ctx, p, hidden, out, part(modulation, 5), middle, y, o_.tokens);
    if (!save) {
      arena.rewind(mark);
      return;
    }
    saved->x = x;
    saved->e = e;
    saved->modulation = modulation;
    saved->first = first;
    saved->qkv = qkv;
    saved->mixed = mixed;
    saved->attended = attended;
    saved->middle = middle;
    saved->second = second;
    saved->hidden = hidden;
    saved->out = out;
  }

  /// dx may be dy; adds the gradient of e to `de`.
  template <class Ctx, class P, class T>
  void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> dy, Matrix<T> dx,
                Matrix<T> de, const Saved<T, P>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dy.rows, width = o_.width, samples = rows / o_.tokens;
    const auto take = [&](int cols) { return arena.template take_as<P>(rows, cols); };
    const Matrix<T> dmodulation = arena.take(samples, 6 * width), dmiddle = arena.take(rows, width);
    const Matrix<P> d = take(width);
    const auto half = arena.used();

    ctx.each_tile(
        samples, detail::GateGradient<T, P>{dy, saved.out, part(dmodulation, 5), o_.tokens}, arena);
    ctx.map(rows, width, detail::Gated<T, T, P>{part(saved.modulation, 5), dy, {}, d, o_.tokens});
    const Matrix<P> dhidden = take(o_.hidden);
    fc2_.backward(ctx, p, g, saved.hidden, d, dhidden, {}, arena);
    fc1_.backward(ctx, p, g, saved.second, dhidden, d, saved.fc1, arena);
    norm_.backward(ctx, p, g, saved.middle, d, dmiddle, modulation_of<T>(dmodulation, 3),
                   saved.second_norm, arena);
    ctx.map(rows, width, AddScaled<T>{T(1), dy, dmiddle});

    arena.rewind(half);
    ctx.each_tile(
        samples,
        detail::GateGradient<T, P>{dmiddle, saved.attended, part(dmodulation, 2), o_.tokens},
        arena);
    ctx.map(rows, width,
            detail::Gated<T, T, P>{part(saved.modulation, 2), dmiddle, {}, d, o_.tokens});
    const Matrix<P> dmixed = take(width), dqkv = take(3 * width);
    projection_.backward(ctx, p, g, saved.mixed, d, dmixed, {}, arena);
    attention_.backward(ctx, p, g, saved.qkv, dmixed, dqkv, saved.attention, arena);
    qkv_.backward(ctx, p, g, saved.first, dqkv, d, {}, arena);
    norm_.backward(ctx, p, g, saved.x, d, dx, modulation_of<T>(dmodulation, 0), saved.first_norm,
                   arena);
    ctx.map(rows, width, AddScaled<T>{T(1), dmiddle, dx});

    const Matrix<T> more = arena.take(de.rows, de.cols);
    modulation_.backward(ctx, p, g, saved.e, dmodulation, more, {}, arena);
    ctx.map(de.rows, de.cols, AddScaled<T>{T(1), more, de});
    arena.rewind(mark);
  }

  /// dy from the rates of x and e; an empty de does not vary. dy may not be dx.
  template <class Ctx, class P, class T>
  void tangent(const Ctx& ctx, const P* p, ConstMatrix<T> dx, ConstMatrix<T> de, Matrix<T> dy,
               const Saved<T, P>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dx.rows, width = o_.width;
    Matrix<T> rates;
    if (!de.empty()) {
      rates = arena.take(de.rows, 6 * width);
      modulation_.tangent(ctx, p, de, rates, {}, arena);
    }
    const auto rates_of = [&](int k) {
      return rates.empty() ? Modulation<const T>{} : modulation_of<const T>(rates, k);
    };
    const auto gate = [&](int k, Matrix<const P> dh, Matrix<const P> h, ConstMatrix<T> before,
                          Matrix<T> after) {
      ctx.map(rows, width,
              detail::Gated<T, P, T>{part(saved.modulation, k), dh, before, after, o_.tokens});
      if (!rates.empty()) {
        ctx.map(rows, width, detail::AddGateRate<T, P>{part(rates, k), h, after, o_.tokens});
      }
    };
    const auto take = [&](int cols) { return arena.template take_as<P>(rows, cols); };
    const Matrix<P> d = take(width), dqkv = take(3 * width), dmixed = take(width),
                    dhidden = take(o_.hidden);
    const Matrix<T> dmiddle = arena.take(rows, width);
    norm_.tangent(ctx, p, dx, rates_of(0), d, saved.first_norm, arena);
    qkv_.tangent(ctx, p, d, dqkv, {}, arena);
    attention_.tangent(ctx, p, dqkv, dmixed, saved.attention, arena);
    projection_.tangent(ctx, p, dmixed, d, {}, arena);
    gate(2, d, saved.attended, dx, dmiddle);
    norm_.tangent(ctx, p, dmiddle, rates_of(3), d, saved.second_norm, arena);
    fc1_.tangent(ctx, p, d, dhidden, saved.fc1, arena);
    fc2_.tangent(ctx, p, dhidden, d, {}, arena);
    gate(5, d, saved.out, dmiddle, dy);
    arena.rewind(mark);
  }

 private:
  template <class T>
  static Dense<>::Saved<T>* nothing() {
    return nullptr;
  }

  /// Column block k of [shift, scale, gate] of the attention, then of the MLP.
  template <class T>
  Matrix<T> part(const Matrix<T>& modulation, int k) const {
    return modulation.col_range(k * o_.width, o_.width);
  }
  template <class T>
  Modulation<T> modulation_of(const Matrix<std::remove_const_t<T>>& modulation, int first) const {
    return {part(modulation, first), part(modulation, first + 1), o_.tokens};
  }

  TransformerBlockOptions o_ = {};
  LayerNorm norm_;
  Dense<> qkv_;
  MultiHeadAttention attention_;
  Dense<> projection_;
  Dense<GeluTanh> fc1_;
  Dense<> fc2_, modulation_;
};

}  // namespace vrfm
