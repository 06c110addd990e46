// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualMlp: a residual network of dense layers, for rows of many columns (the ResNet of Gorishniy et al. 2021,
// "Revisiting deep learning models for tabular data", with layer norms):
//   h = W_in x + b,   h += W_b f(W_a norm(h) + b_a + m_k) + b_b for every block k,   y = W_out norm(h) + b.
// m_k, columns k width ... of matrices with a row a row of x, is how times and conditions enter. A block adds nothing at
// first. Parameters: <name>.in, .blocks.<k>.norm, .blocks.<k>.in, .blocks.<k>.out, .norm, .out.
#pragma once

#include <vrfm/layers/dense.hpp>
#include <vrfm/layers/layer_norm.hpp>
#include <vrfm/linalg/elementwise.hpp>

namespace vrfm {

struct ResidualMlpShape {
  int width = 256;  ///< of all layers
  int blocks = 4;
};

template <Activation Act>
class ResidualMlp {
 public:
  /// Because a step's list of what each block has is of this length, and kernels carry the blocks.
  static constexpr int most_blocks = 16;

  template <class T>
  struct SavedBlock {
    LayerNorm::Saved<T> norm;
    typename Dense<Act>::template Saved<T> in;
    Matrix<T> h, normed, hidden;
  };

  template <class T>
  struct Saved {
    SavedBlock<T> blocks[most_blocks];
    LayerNorm::Saved<T> norm;
    Matrix<T> h, normed;
  };

  ResidualMlp() = default;

  /// Throws std::invalid_argument naming the first impossible extent.
  ResidualMlp(ParameterList& list, const std::string& name, int inputs,
              const ResidualMlpShape& shape, int outputs)
      : width_(shape.width), depth_(shape.blocks) {
    expect(depth_ >= 0 && depth_ <= most_blocks, "network '", name, "' needs 0 to ", most_blocks,
           " blocks, got ", depth_);
    in_ = Dense<>(list, name + ".in", inputs, width_);
    for (int k = 0; k < depth_; ++k) {
      const std::string block = text(name, ".blocks.", k);
      blocks_[k].norm = LayerNorm(list, block + ".norm", width_);
      blocks_[k].in = Dense<Act>(list, block + ".in", width_, width_);
      blocks_[k].out = Dense<>(list, block + ".out", width_, width_, 0, true);
    }
    norm_ = LayerNorm(list, name + ".norm", width_);
    out_ = Dense<>(list, name + ".out", width_, outputs);
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return in_.inputs(); }
  KOKKOS_INLINE_FUNCTION int outputs() const { return out_.outputs(); }
  /// Columns of each part of m.
  KOKKOS_INLINE_FUNCTION int modulations() const { return depth_ * width_; }

  /// parts: their sum is m.
  template <class Ctx, class P, class T, class... Parts>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena, const Parts&... parts) const {
    const auto mark = arena.used();
    Matrix<T> h = arena.take(x.rows, width_);
    in_.forward(ctx, p, x, h, none<Dense<>, T>(), arena);
    for (int k = 0; k < depth_; ++k) {
      const auto& [norm, in, out] = blocks_[k];
      SavedBlock<T>* const kept = saved == nullptr ? nullptr : &saved->blocks[k];
      const auto block_mark = arena.used();
      const Matrix<T> next = saved == nullptr ? h : arena.take(x.rows, width_);
      const Matrix<T> normed = arena.take(x.rows, width_), hidden = arena.take(x.rows, width_);
      norm.forward(ctx, p, h, normed, kept == nullptr ? nullptr : &kept->norm, arena);
      in.complete(ctx, p, 0, normed, hidden, kept == nullptr ? nullptr : &kept->in, arena,
                  parts.col_range(k * width_, width_)...);
      if (saved == nullptr) {
        out.forward(ctx, p, hidden, normed, none<Dense<>, T>(), arena);
        ctx.map(x.rows, width_, AddScaled<T>{T(1), normed, h});
        arena.rewind(block_mark);
      } else {
        out.complete(ctx, p, 0, hidden, next, none<Dense<>, T>(), arena, h);
        kept->h = h;
        kept->normed = normed;
        kept->hidden = hidden;
        h = next;
      }
    }
    const Matrix<T> normed = arena.take(x.rows, width_);
    norm_.forward(ctx, p, h, normed, saved == nullptr ? nullptr : &saved->norm, arena);
    out_.forward(ctx, p, normed, y, none<Dense<>, T>(), arena);
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->h = h;
      saved->normed = normed;
    }
  }

  /// dm: rows x modulations(), overwritten with the gradient of m; empty: not wanted.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> x,
                                ConstMatrix<T> dy, Matrix<T> dx, Matrix<T> dm,
                                const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dy.rows;
    const Matrix<T> dh = arena.take(rows, width_), d = arena.take(rows, width_);
    const Matrix<T> own = dm.empty() ? arena.take(rows, width_) : Matrix<T>();
    out_.backward_from_sum(ctx, p, g, saved.normed, dy, dh, NoEpilogue{});
    norm_.backward(ctx, p, g, saved.h, dh, dh, saved.norm, arena);
    for (int k = depth_ - 1; k >= 0; --k) {
      const auto& [norm, in, out] = blocks_[k];
      const SavedBlock<T>& kept = saved.blocks[k];
      const Matrix<T> dsum = dm.empty() ? own : dm.col_range(k * width_, width_);
      out.backward_from_sum(ctx, p, g, kept.hidden, dh, dsum, in.slope_epilogue(kept.in, dsum));
      in.backward_from_sum(ctx, p, g, kept.normed, dsum, d, NoEpilogue{});
      norm.backward(ctx, p, g, kept.h, d, d, kept.norm, arena);
      ctx.map(rows, width_, AddScaled<T>{T(1), d, dh});
    }
    in_.backward_from_sum(ctx, p, g, x, dh, dx, NoEpilogue{});
    arena.rewind(mark);
  }

  /// dx or dm may be empty: they do not vary.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P* p, ConstMatrix<T> dx, ConstMatrix<T> dm,
                               Matrix<T> dy, const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dy.rows;
    const Matrix<T> dh = arena.take(rows, width_), d = arena.take(rows, width_),
                    hidden = arena.take(rows, width_);
    if (dx.empty()) {
      ctx.map(rows, width_, Fill<T>{dh, T(0)});
    } else {
      in_.contribute(ctx, p, 0, dx, dh);
    }
    for (int k = 0; k < depth_; ++k) {
      const auto& [norm, in, out] = blocks_[k];
      norm.tangent(ctx, p, dh, d, saved.blocks[k].norm, arena);
      in.contribute(ctx, p, 0, d, hidden);
      if (!dm.empty()) {
        ctx.map(rows, width_, AddScaled<T>{T(1), dm.col_range(k * width_, width_), hidden});
      }
      ctx.map(rows, width_, in.slope_epilogue(saved.blocks[k].in, hidden));
      out.contribute(ctx, p, 0, hidden, dh, Update::accumulate);
    }
    norm_.tangent(ctx, p, dh, d, saved.norm, arena);
    out_.contribute(ctx, p, 0, d, dy);
    arena.rewind(mark);
  }

 private:
  struct Block {
    LayerNorm norm;
    Dense<Act> in;
    Dense<> out;
  };

  template <class Layer, class T>
  KOKKOS_INLINE_FUNCTION static typename Layer::template Saved<T>* none() {
    return nullptr;
  }

  int width_ = 0, depth_ = 0;
  Dense<> in_, out_;
  Block blocks_[most_blocks];
  LayerNorm norm_;
};

}  // namespace vrfm
