// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AttentionBlock: y = x + proj(attention(qkv(norm(x)))) over the pixels of an image, of the U-Nets of
// Dhariwal and Nichol 2021. Names as in torchcfm: <name>.norm, .qkv, .proj_out.
#pragma once

#include <vrfm/layers/attention.hpp>
#include <vrfm/layers/dense.hpp>
#include <vrfm/layers/group_norm.hpp>

namespace vrfm {

class AttentionBlock {
 public:
  template <class T>
  struct Saved {
    ConstMatrix<T> x;
    Matrix<T> normed, qkv, mixed;
    typename GroupNorm<>::template Saved<T> norm;
    typename MultiHeadAttention::template Saved<T> attention;
  };

  AttentionBlock() = default;

  /// Throws std::invalid_argument naming the first impossible extent.
  AttentionBlock(ParameterList& list, const std::string& name, int pixels, int channels, int heads,
                 int groups)
      : channels_(channels),
        norm_(list, name + ".norm", pixels, channels, groups),
        qkv_(list, name + ".qkv", channels, 3 * channels, 1),
        attention_(pixels, channels, heads),
        projection_(list, name + ".proj_out", channels, channels, 1, true) {
    list.note(name, "heads", heads);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> normed = arena.take(x.rows, channels_), qkv = arena.take(x.rows, 3 * channels_),
                    mixed = arena.take(x.rows, channels_);
    norm_.forward(ctx, p, x, normed, saved != nullptr ? &saved->norm : nullptr, arena);
    qkv_.forward(ctx, p, normed, qkv, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
    attention_.forward(ctx, p, qkv, mixed, saved != nullptr ? &saved->attention : nullptr, arena);
    projection_.forward(ctx, p, mixed, y, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
    ctx.map(x.rows, channels_, AddScaled<T>{T(1), x, y});
    if (saved == nullptr) {
      arena.rewind(mark);
      return;
    }
    saved->x = x;
    saved->normed = normed;
    saved->qkv = qkv;
    saved->mixed = mixed;
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dy,
                                Matrix<T> dx, const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> dmixed = arena.take(dy.rows, channels_),
                    dqkv = arena.take(dy.rows, 3 * channels_);
    projection_.backward(ctx, p, g, saved.mixed, dy, dmixed, {}, arena);
    attention_.backward(ctx, p, g, saved.qkv, dmixed, dqkv, saved.attention, arena);
    qkv_.backward(ctx, p, g, saved.normed, dqkv, dmixed, {}, arena);
    norm_.backward(ctx, p, g, saved.x, dmixed, dx, saved.norm, arena);
    ctx.map(dx.rows, channels_, AddScaled<T>{T(1), dy, dx});
    arena.rewind(mark);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> dmixed = arena.take(dx.rows, channels_),
                    dqkv = arena.take(dx.rows, 3 * channels_);
    norm_.tangent(ctx, p, dx, dmixed, saved.norm, arena);
    qkv_.tangent(ctx, p, dmixed, dqkv, {}, arena);
    attention_.tangent(ctx, p, dqkv, dmixed, saved.attention, arena);
    projection_.tangent(ctx, p, dmixed, dy, {}, arena);
    ctx.map(dx.rows, channels_, AddScaled<T>{T(1), dx, dy});
    arena.rewind(mark);
  }

 private:
  int channels_ = 0;
  GroupNorm<> norm_;
  Dense<> qkv_;
  MultiHeadAttention attention_;
  Dense<> projection_;
};

}  // namespace vrfm
