// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualBlock: y = skip(x) + conv(dropout(silu(norm(h)))), h = conv(silu(norm(x))), of the U-Nets of
// Dhariwal and Nichol 2021 ("Diffusion models beat GANs"). The embedding e of each sample (of its
// time) enters as h + Le, or as scale and shift of the second norm, (scale, shift) = Le. Names are those of
// ResidualNames, and <name>.emb_layers.1.
#pragma once

#include <vrfm/layers/conv.hpp>
#include <vrfm/layers/dense.hpp>
#include <vrfm/layers/dropout.hpp>
#include <vrfm/layers/group_norm.hpp>

namespace vrfm {

/// How an embedding conditions a residual block.
enum class Conditioning { none, additive, adaptive_norm };

/// What a block's layers are called behind its name; as torchcfm does by default.
struct ResidualNames {
  const char *first_norm = ".in_layers.0", *first_conv = ".in_layers.2",
             *second_norm = ".out_layers.0", *second_conv = ".out_layers.3",
             *skip = ".skip_connection";
};

struct ResidualBlockOptions {
  PixelGrid grid = {1, 1};
  int inputs = 1, outputs = 1;
  int groups = 32;  ///< of the norms
  Conditioning conditioning = Conditioning::none;
  int embedding = 0;   ///< columns of e
  double dropout = 0;  ///< probability
  int number = 0;      ///< of this block in its network: the address of its dropout
  double eps = 1e-5;   ///< of the norms
  bool zero = true;    ///< the second convolution is zero at first
  ResidualNames names = {};
};

namespace detail {

/// Element: x += its sample's row of e.
template <class T>
struct AddToPixels {
  ConstMatrix<T> e;
  Matrix<T> x;
  int pixels;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { x(i, j) += e(i / pixels, j); }
};

/// Tile: row k of out = sum of the pixels of sample k.
template <class T>
struct SumPixels {
  ConstMatrix<T> x;
  Matrix<T> out;
  int pixels;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int k, Arena<T>&) const {
    ctx.column_sum(x.row_range(k * pixels, pixels), out.row(k), Update::overwrite);
  }
};

}  // namespace detail

class ResidualBlock {
 public:
  template <class T>
  struct Saved {
    ConstMatrix<T> x, e;
    /// Inputs of the first convolution, second norm, second convolution.
    Matrix<T> first, h, second;
    typename GroupNorm<Silu>::template Saved<T> first_norm, second_norm;
    DrawAddress draws;
    bool drew = false;  ///< whether dropout was, at `draws`
  };

  ResidualBlock() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  ResidualBlock(ParameterList& list, const std::string& name, const ResidualBlockOptions& o)
      : o_(o),
        first_norm_(list, name + o.names.first_norm, o.grid.pixels(), o.inputs, o.groups, o.eps),
        first_conv_(list, name + o.names.first_conv, Window::over(o.grid, 3, 1, 1), o.inputs,
                    o.outputs),
        second_norm_(list, name + o.names.second_norm, o.grid.pixels(), o.outputs, o.groups, o.eps),
        dropout_(o.dropout, o.grid.pixels(), o.outputs, o.number),
        second_conv_(list, name + o.names.second_conv, Window::over(o.grid, 3, 1, 1), o.outputs,
                     o.outputs, o.zero) {
    if (o.conditioning != Conditioning::none) {
      embedding_ = Dense<>(list, name + ".emb_layers.1", o.embedding, embedding_cols());
    }
    if (o.inputs != o.outputs) {
      skip_ = Dense<>(list, name + o.names.skip, o.inputs, o.outputs, o.grid.axes);
    }
  }

  const ResidualBlockOptions& options() const { return o_; }

  /// x: (samples pixels) x inputs; e: samples x embedding, after its activation. Dropout draws at
  /// `draws`; null: there is none.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, const DrawAddress* draws,
                               ConstMatrix<T> x, ConstMatrix<T> e, Matrix<T> y, Saved<T>* saved,
                               Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool adaptive = o_.conditioning == Conditioning::adaptive_norm;
    const int pixels = o_.grid.pixels();
    const Matrix<T> first = arena.take(x.rows, o_.inputs), h = arena.take(x.rows, o_.outputs),
                    second = saved != nullptr ? arena.take(x.rows, o_.outputs) : h;
    Matrix<T> modulation;
    if (o_.conditioning != Conditioning::none) {
      modulation = arena.take(e.rows, embedding_cols());
      embedding_.forward(ctx, p, e, modulation, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
    }
    first_norm_.forward(ctx, p, x, first, saved != nullptr ? &saved->first_norm : nullptr, arena);
    first_conv_.forward(ctx, p, first, h, static_cast<Conv::Saved<T>*>(nullptr), arena);
    if (o_.conditioning == Conditioning::additive) {
      ctx.map(h.rows, h.cols, detail::AddToPixels<T>{modulation, h, pixels});
    }
    second_norm_.forward(ctx, p, h, adaptive ? modulation : Matrix<T>(), second,
                         saved != nullptr ? &saved->second_norm : nullptr, arena);
    if (draws != nullptr) dropout_.forward(ctx, *draws, second, second);
    if (o_.inputs == o_.outputs) {
      ctx.map(x.rows, x.cols, Copy<T>{x, y});
    } else {
      skip_.forward(ctx, p, x, y, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
    }
    second_conv_.add_forward(ctx, p, second, y, arena);
    if (saved == nullptr) {
      arena.rewind(mark);
      return;
    }
    saved->x = x;
    saved->e = e;
    saved->first = first;
    saved->h = h;
    saved->second = second;
    saved->drew = draws != nullptr;
    if (saved->drew) saved->draws = *draws;
  }

  /// dx unless empty; adds the gradient of e to `de`.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dy,
                                Matrix<T> dx, Matrix<T> de, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool adaptive = o_.conditioning == Conditioning::adaptive_norm;
    const int rows = dy.rows, pixels = o_.grid.pixels();
    const Matrix<T> dh = arena.take(rows, o_.outputs), dfirst = arena.take(rows, o_.inputs);
    second_conv_.backward(ctx, p, g, saved.second, dy, dh, {}, arena);
    if (saved.drew) dropout_.backward(ctx, saved.draws, dh, dh);
    Matrix<T> dmodulation;
    if (o_.conditioning != Conditioning::none) {
      dmodulation = arena.take(rows / pixels, embedding_cols());
    }
    second_norm_.backward(ctx, p, g, saved.h, dh, dh, adaptive ? dmodulation : Matrix<T>(),
                          saved.second_norm, arena);
    if (o_.conditioning != Conditioning::none) {
      if (!adaptive) {
        ctx.each_tile(rows / pixels, detail::SumPixels<T>{dh, dmodulation, pixels}, arena);
      }
      const Matrix<T> more = arena.take(de.rows, de.cols);
      embedding_.backward(ctx, p, g, saved.e, dmodulation, more, {}, arena);
      ctx.map(de.rows, de.cols, AddScaled<T>{T(1), more, de});
    }
    first_conv_.backward(ctx, p, g, saved.first, dh, dfirst, {}, arena);
    if (o_.inputs == o_.outputs) {
      first_norm_.backward(ctx, p, g, saved.x, dfirst, dx, saved.first_norm, arena);
      if (!dx.empty()) ctx.map(rows, o_.inputs, AddScaled<T>{T(1), dy, dx});
    } else {
      first_norm_.backward(ctx, p, g, saved.x, dfirst, dx.empty() ? dx : dfirst, saved.first_norm,
                           arena);
      skip_.backward(ctx, p, g, saved.x, dy, dx, {}, arena);
      if (!dx.empty()) ctx.map(rows, o_.inputs, AddScaled<T>{T(1), dfirst, dx});
    }
    arena.rewind(mark);
  }

  /// dy from the rates of x and e; an empty de does not vary.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, ConstMatrix<T> de,
                               Matrix<T> dy, const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> dfirst = arena.take(dx.rows, o_.inputs), dh = arena.take(dx.rows, o_.outputs);
    first_norm_.tangent(ctx, p, dx, dfirst, saved.first_norm, arena);
    first_conv_.tangent(ctx, p, dfirst, dh, {}, arena);
    Matrix<T> dmodulation;
    if (o_.conditioning != Conditioning::none && !de.empty()) {
      dmodulation = arena.take(de.rows, embedding_cols());
      embedding_.tangent(ctx, p, de, dmodulation, {}, arena);
      if (o_.conditioning == Conditioning::additive) {
        ctx.map(dh.rows, dh.cols, detail::AddToPixels<T>{dmodulation, dh, o_.grid.pixels()});
        dmodulation = Matrix<T>();
      }
    }
    second_norm_.tangent(ctx, p, dh, dmodulation, dh, saved.second_norm, arena);
    if (saved.drew) dropout_.forward(ctx, saved.draws, dh, dh);
    if (o_.inputs == o_.outputs) {
      ctx.map(dx.rows, dx.cols, Copy<T>{dx, dy});
    } else {
      skip_.tangent(ctx, p, dx, dy, {}, arena);
    }
    second_conv_.add_tangent(ctx, p, dh, dy, arena);
    arena.rewind(mark);
  }

 private:
  KOKKOS_INLINE_FUNCTION int embedding_cols() const {
    return o_.conditioning == Conditioning::adaptive_norm ? 2 * o_.outputs : o_.outputs;
  }

  ResidualBlockOptions o_;
  GroupNorm<Silu> first_norm_;
  Conv first_conv_;
  Dense<> embedding_;
  GroupNorm<Silu> second_norm_;
  Dropout dropout_;
  Conv second_conv_;
  Dense<> skip_;
};

}  // namespace vrfm
