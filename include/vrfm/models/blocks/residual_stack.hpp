// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualStack: a convolution of 3 taps along each axis, residual blocks of equal width, and a last
// convolution, all at the image's full resolution. Names: <name>.in, .blocks.<k>, .out.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include <vrfm/models/blocks/residual_block.hpp>

namespace vrfm {

struct ResidualStackOptions {
  PixelGrid grid = {28, 28};
  int inputs = 1, channels = 64, outputs = 64;
  int blocks = 5;
  int out_kernel = 3;  ///< taps of the last convolution along each axis
};

class ResidualStack {
 public:
  /// Because a step's list of what each has is of this length: a step allocates nothing.
  static constexpr int most_blocks = 64;

  template <class T>
  struct Saved {
    ConstMatrix<T> x;
    std::array<ResidualBlock::Saved<T>, most_blocks> blocks;
    Matrix<T> last;
  };

  ResidualStack() = default;

  /// Throws std::invalid_argument naming the first impossible extent.
  ResidualStack(ParameterList& list, const std::string& name, const ResidualStackOptions& o)
      : in_(list, name + ".in", Window::over(o.grid, 3, 1, 1), o.inputs, o.channels) {
    expect(o.blocks <= most_blocks, "a residual stack must have at most ", most_blocks,
           " blocks, got ", o.blocks);
    for (int k = 0; k < o.blocks; ++k) {
      blocks_.emplace_back(list, name + ".blocks." + std::to_string(k),
                           ResidualBlockOptions{.grid = o.grid,
                                                .inputs = o.channels,
                                                .outputs = o.channels,
                                                .groups = group_count(o.channels)});
    }
    out_ = Conv(list, name + ".out", Window::over(o.grid, o.out_kernel, 1, o.out_kernel / 2),
                o.channels, o.outputs);
  }

  int outputs() const { return out_.outputs(); }

  /// x: (samples pixels) x inputs, y: as many rows x outputs.
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y, Saved<T>* saved,
               Arena<T>& arena) const {
    const auto mark = arena.used();
    Conv::Saved<T>* const none = nullptr;
    Matrix<T> from = arena.take(x.rows, in_.outputs());
    Matrix<T> to = arena.take(x.rows, in_.outputs());
    in_.forward(ctx, p, x, from, none, arena);
    for (std::size_t k = 0; k < blocks_.size(); ++k) {
      if (k > 0 && saved != nullptr) to = arena.take(x.rows, in_.outputs());
      blocks_[k].forward(ctx, p, nullptr, from, Matrix<const T>(), to,
                         saved != nullptr ? &saved->blocks[k] : nullptr, arena);
      std::swap(from, to);
    }
    out_.forward(ctx, p, from, y, none, arena);
    if (saved == nullptr) {
      arena.rewind(mark);
      return;
    }
    saved->x = x;
    saved->last = from;
  }

  /// dx unless empty.
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dy, Matrix<T> dx,
                const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    Matrix<T> from = arena.take(dy.rows, in_.outputs()), to = arena.take(dy.rows, in_.outputs());
    out_.backward(ctx, p, g, saved.last, dy, from, {}, arena);
    for (std::size_t k = blocks_.size(); k-- > 0;) {
      blocks_[k].backward(ctx, p, g, from, to, Matrix<T>(), saved.blocks[k], arena);
      std::swap(from, to);
    }
    in_.backward(ctx, p, g, saved.x, from, dx, {}, arena);
    arena.rewind(mark);
  }

  template <class Ctx, class T>
  void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, Matrix<T> dy, const Saved<T>& saved,
               Arena<T>& arena) const {
    const auto mark = arena.used();
    Matrix<T> from = arena.take(dx.rows, in_.outputs()), to = arena.take(dx.rows, in_.outputs());
    in_.tangent(ctx, p, dx, from, {}, arena);
    for (std::size_t k = 0; k < blocks_.size(); ++k) {
      blocks_[k].tangent(ctx, p, from, Matrix<const T>(), to, saved.blocks[k], arena);
      std::swap(from, to);
    }
    out_.tangent(ctx, p, from, dy, {}, arena);
    arena.rewind(mark);
  }

 private:
  Conv in_;
  std::vector<ResidualBlock> blocks_;
  Conv out_;
};

}  // namespace vrfm
