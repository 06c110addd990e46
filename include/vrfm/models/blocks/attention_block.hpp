// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AttentionBlock: y = x + proj(attention(qkv(norm(x)))) over the pixels of an image, of the U-Nets of
// Dhariwal and Nichol 2021; q, k and v are of one layer, or of a layer each. Names are those of AttentionNames.
#pragma once

#include <vrfm/layers/attention.hpp>
#include <vrfm/layers/dense.hpp>
#include <vrfm/layers/group_norm.hpp>

namespace vrfm {

/// What a block's layers are called behind its name; as torchcfm does by default. With a q, queries, keys and
/// values have layers of their own.
struct AttentionNames {
  const char *norm = ".norm", *qkv = ".qkv", *projection = ".proj_out";
  int trailing = 1;  ///< extents of 1 of the weights, see Dense
  const char *q = nullptr, *k = nullptr, *v = nullptr;
};

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
                 int groups, double eps = 1e-5, bool zero = true, const AttentionNames& names = {})
      : channels_(channels),
        joined_(names.q == nullptr),
        norm_(list, name + names.norm, pixels, channels, groups, eps),
        attention_(pixels, channels, heads,
                   joined_ ? AttentionColumns::by_head : AttentionColumns::by_part) {
    if (joined_) {
      qkv_[0] = Dense<>(list, name + names.qkv, channels, 3 * channels, names.trailing);
    } else {
      for (int k = 0; k < 3; ++k) {
        const char* const part = k == 0 ? names.q : k == 1 ? names.k : names.v;
        qkv_[k] = Dense<>(list, name + part, channels, channels, names.trailing);
      }
    }
    projection_ = Dense<>(list, name + names.projection, channels, channels, names.trailing, zero);
    list.note(name, "heads", heads);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> normed = arena.take(x.rows, channels_), qkv = arena.take(x.rows, 3 * channels_),
                    mixed = arena.take(x.rows, channels_);
    norm_.forward(ctx, p, x, normed, saved != nullptr ? &saved->norm : nullptr, arena);
    for (int k = 0; k < layers(); ++k) {
      qkv_[k].forward(ctx, p, normed, part(qkv, k), static_cast<Dense<>::Saved<T>*>(nullptr),
                      arena);
    }
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
    const Matrix<T> more = joined_ ? Matrix<T>() : arena.take(dy.rows, channels_);
    for (int k = 0; k < layers(); ++k) {
      qkv_[k].backward(ctx, p, g, saved.normed, part(dqkv, k), k == 0 ? dmixed : more, {}, arena);
      if (k > 0) ctx.map(dy.rows, channels_, AddScaled<T>{T(1), more, dmixed});
    }
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
    for (int k = 0; k < layers(); ++k) qkv_[k].tangent(ctx, p, dmixed, part(dqkv, k), {}, arena);
    attention_.tangent(ctx, p, dqkv, dmixed, saved.attention, arena);
    projection_.tangent(ctx, p, dmixed, dy, {}, arena);
    ctx.map(dx.rows, channels_, AddScaled<T>{T(1), dx, dy});
    arena.rewind(mark);
  }

 private:
  KOKKOS_INLINE_FUNCTION int layers() const { return joined_ ? 1 : 3; }
  /// What layer k writes.
  template <class T>
  KOKKOS_INLINE_FUNCTION Matrix<T> part(const Matrix<T>& qkv, int k) const {
    return joined_ ? qkv : qkv.col_range(k * channels_, channels_);
  }

  int channels_ = 0;
  bool joined_ = true;
  GroupNorm<> norm_;
  Dense<> qkv_[3];
  MultiHeadAttention attention_;
  Dense<> projection_;
};

}  // namespace vrfm
