// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TransformerTrunk: what the transformers of images share: patches of an image become tokens, positions are
// added, blocks follow, and a last norm, whose scale and shift are a linear function of the embedding e
// (Peebles and Xie 2023). Names as in SiT: <prefix>x_embedder.proj, pos_embed, blocks.<k>,
// final_layer.adaLN_modulation.1. With `recompute` forward keeps the blocks' inputs alone, and backward makes
// the rest anew: the same bits in less memory.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <vrfm/layers/conv.hpp>
#include <vrfm/models/transformer/block.hpp>

namespace vrfm {

struct TransformerOptions {
  int height = 32, width = 32, channels = 4;  ///< of the images
  int patch = 2;                              ///< pixels of a token's side
  int embedding = 1152;  ///< columns of tokens, and of what conditions the blocks
  int depth = 28, heads = 16;
  int hidden = 4;          ///< of a block's MLP, in units of embedding
  bool recompute = false;  ///< less memory in training, for one more forward pass of the blocks

  int tokens() const { return height / patch * (width / patch); }
  /// Throws std::invalid_argument naming the first impossible option.
  void check() const {
    expect(height >= 1 && width >= 1 && channels >= 1,
           "a transformer needs images of at least one pixel and channel, got ", height, " x ",
           width, " x ", channels);
    constexpr std::int64_t most = (std::numeric_limits<int>::max)();
    expect(std::int64_t{height} * width <= most / channels,
           "a transformer needs images whose numbers an int counts, got ", height, " x ", width,
           " x ", channels);
    expect(patch >= 1 && height % patch == 0 && width % patch == 0,
           "a transformer needs patches that divide its images of ", height, " x ", width, ", got ",
           patch);
    expect(embedding >= 4 && embedding % 4 == 0,
           "a transformer needs an embedding that 4 divides, for its positions, got ", embedding);
    expect(heads >= 1 && embedding % heads == 0, "a transformer needs heads that divide its ",
           embedding, " columns, got ", heads);
    expect(hidden >= 1 && hidden <= most / 6 / embedding, "a transformer needs hidden >= 1, got ",
           hidden);
    expect(depth >= 1 && depth <= most_depth, "a transformer needs 1 to ", most_depth,
           " blocks, got ", depth);
  }

  /// Because a step's list of what each has is of this length: a step allocates nothing.
  static constexpr int most_depth = 64;
};

/// SiT's sizes (Ma et al. 2024, table 1) for `patch`: S, B, L and XL.
inline TransformerOptions sit_size(const std::string& name, int patch) {
  struct Size {
    const char* name;
    int depth, embedding, heads;
  };
  for (const Size& size : {Size{"S", 12, 384, 6}, Size{"B", 12, 768, 12}, Size{"L", 24, 1024, 16},
                           Size{"XL", 28, 1152, 16}}) {
    if (name != size.name) continue;
    TransformerOptions o;
    o.patch = patch;
    o.depth = size.depth;
    o.embedding = size.embedding;
    o.heads = size.heads;
    return o;
  }
  throw std::invalid_argument("vrfm: SiT has the sizes S, B, L and XL, not '" + name + "'");
}

namespace detail {

/// Element: the token's position is added.
template <class T, class P>
struct AddPosition {
  const P* positions;
  Matrix<T> x;
  int tokens;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    x(i, j) += positions[std::ptrdiff_t(i % tokens) * x.cols + j];
  }
};

}  // namespace detail

class TransformerTrunk {
 public:
  template <class T, class P = T>
  struct Saved {
    ConstMatrix<T> image, e;
    std::array<Matrix<T>, TransformerOptions::most_depth + 1>
        tokens;  // inputs of the blocks, output
    /// Made anew by backward and tangent where they are recomputed.
    mutable std::array<TransformerBlock::Saved<T, P>, TransformerOptions::most_depth> blocks;
    Matrix<T> modulation;
    LayerNorm::Saved<T, T, P> norm;
  };

  TransformerTrunk() = default;

  /// For images of `channels`, which may be more than the options'. Throws std::invalid_argument naming the
  /// first impossible option.
  TransformerTrunk(ParameterList& list, const std::string& prefix, const TransformerOptions& o,
                   int channels)
      : o_(o), norm_(o.embedding) {
    o.check();
    const int n = o.embedding;
    const auto zero = Initializer::constant(0);
    patches_ =
        Conv(list, prefix + "x_embedder.proj", Window{o.height, o.width, o.patch, o.patch, 0},
             channels, n, xavier(o.patch * o.patch * channels, n), zero);
    positions_ = list.add(prefix + "pos_embed",
                          {1, static_cast<std::size_t>(o.tokens()), static_cast<std::size_t>(n)},
                          Initializer::positions(n, o.width / o.patch), true);
    for (int k = 0; k < o.depth; ++k) {
      blocks_.emplace_back(list, prefix + "blocks." + std::to_string(k),
                           TransformerBlockOptions{o.tokens(), n, o.heads, o.hidden * n});
    }
    modulation_ = Dense<>(list, prefix + "final_layer.adaLN_modulation.1", n, 2 * n, zero, zero);
  }

  int tokens() const { return o_.tokens(); }

  /// image: (samples pixels) x channels; e: samples x embedding, after its activation; y: (samples tokens) x
  /// embedding.
  template <class Ctx, class P, class T>
  void forward(const Ctx& ctx, const P* p, ConstMatrix<T> image, ConstMatrix<T> e, Matrix<T> y,
               Saved<T, P>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const bool save = saved != nullptr;
    Matrix<T> x = arena.take(y.rows, o_.embedding);
    Matrix<T> modulation = arena.take(e.rows, 2 * o_.embedding);
    patches_.forward(ctx, p, image, x, static_cast<Conv::Saved<T>*>(nullptr), arena);
    ctx.map(x.rows, x.cols, detail::AddPosition<T, P>{p + positions_, x, tokens()});
    Matrix<T> next = save ? Matrix<T>() : arena.take(y.rows, o_.embedding);
    for (std::size_t k = 0; k < blocks_.size(); ++k) {
      if (save) {
        saved->tokens[k] = x;
        next = arena.take(y.rows, o_.embedding);
      }
      blocks_[k].forward(ctx, p, x, e, next, save && !o_.recompute ? &saved->blocks[k] : nullptr,
                         arena);
      std::swap(x, next);
    }
    modulation_.forward(ctx, p, e, modulation, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
    norm_.forward(ctx, p, x, modulation_of<const T>(modulation), y, save ? &saved->norm : nullptr,
                  arena);
    if (!save) {
      arena.rewind(mark);
      return;
    }
    saved->image = image;
    saved->e = e;
    saved->tokens[blocks_.size()] = x;
    saved->modulation = modulation;
  }

  /// dimage unless empty; adds the gradient of e to `de`. dy is overwritten.
  template <class Ctx, class P, class T>
  void backward(const Ctx& ctx, const P* p, Gradient<T> g, Matrix<T> dy, Matrix<T> dimage,
                Matrix<T> de, const Saved<T, P>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> dmodulation = arena.take(de.rows, 2 * o_.embedding),
                    more = arena.take(de.rows, de.cols);
    norm_.backward(ctx, p, g, saved.tokens[blocks_.size()], dy, dy, modulation_of<T>(dmodulation),
                   saved.norm, arena);
    modulation_.backward(ctx, p, g, saved.e, dmodulation, more, {}, arena);
    ctx.map(de.rows, de.cols, AddScaled<T>{T(1), more, de});
    const auto below = arena.used();
    for (std::size_t k = blocks_.size(); k-- > 0;) {
      if (o_.recompute) {
        const Matrix<T> y = arena.take(dy.rows, o_.embedding);
        blocks_[k].forward(ctx, p, saved.tokens[k], saved.e, y, &saved.blocks[k], arena);
      }
      blocks_[k].backward(ctx, p, g, dy, dy, de, saved.blocks[k], arena);
      arena.rewind(below);
    }
    if (!g.ignored() && !g.accumulate) {
      const Matrix<T> none(g.values + positions_, tokens(), o_.embedding, o_.embedding);
      ctx.map(none.rows, none.cols, Fill<T>{none, T(0)});
    }
    g.done(positions_, static_cast<std::size_t>(tokens()) * static_cast<std::size_t>(o_.embedding));
    patches_.backward(ctx, p, g, saved.image, dy, dimage, {}, arena);
    arena.rewind(mark);
  }

  /// dy from the rates of the image and of e; an empty de does not vary.
  template <class Ctx, class P, class T>
  void tangent(const Ctx& ctx, const P* p, ConstMatrix<T> dimage, ConstMatrix<T> de, Matrix<T> dy,
               const Saved<T, P>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    Matrix<T> dx = arena.take(dy.rows, o_.embedding), next = arena.take(dy.rows, o_.embedding);
    patches_.tangent(ctx, p, dimage, dx, {}, arena);
    const auto below = arena.used();
    for (std::size_t k = 0; k < blocks_.size(); ++k) {
      if (o_.recompute) {
        const Matrix<T> y = arena.take(dy.rows, o_.embedding);
        blocks_[k].forward(ctx, p, saved.tokens[k], saved.e, y, &saved.blocks[k], arena);
      }
      blocks_[k].tangent(ctx, p, dx, de, next, saved.blocks[k], arena);
      std::swap(dx, next);
      arena.rewind(below);
    }
    Modulation<const T> rates{};
    if (!de.empty()) {
      const Matrix<T> dmodulation = arena.take(de.rows, 2 * o_.embedding);
      modulation_.tangent(ctx, p, de, dmodulation, {}, arena);
      rates = modulation_of<const T>(dmodulation);
    }
    norm_.tangent(ctx, p, dx, rates, dy, saved.norm, arena);
    arena.rewind(mark);
  }

 private:
  template <class T>
  Modulation<T> modulation_of(const Matrix<std::remove_const_t<T>>& modulation) const {
    return {modulation.col_range(0, o_.embedding), modulation.col_range(o_.embedding, o_.embedding),
            tokens()};
  }

  TransformerOptions o_ = {};
  Conv patches_;
  std::size_t positions_ = 0;
  std::vector<TransformerBlock> blocks_;
  LayerNorm norm_;
  Dense<> modulation_;
};

}  // namespace vrfm
