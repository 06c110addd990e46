// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Dropout: y = x mask / (1 - p), each mask element 0 with probability p and 1 otherwise (Srivastava
// et al. 2014, scaled in training as PyTorch's nn.Dropout). The mask is a function of (seed, use,
// sample, step, layer, element), so nothing is saved: backward draws it again, and it does not
// depend on how a batch is split. p is rounded to a multiple of 2^-16: a Philox block gives eight
// mask elements of 16 bits each. Inference leaves dropout out. x and y may be of types of their own, such as
// BFloat16.
#pragma once

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/layers/layer.hpp>
#include <vrfm/linalg/elementwise.hpp>

namespace vrfm {

namespace detail {

/// y = x mask / (1 - p) in the eight columns of row i that Philox block b serves. They are as far
/// apart as there are blocks, so that neighbours in a vector are neighbours in memory.
template <class X, class Y>
struct DropElements {
  using T = sum_type<Y>;
  Matrix<const X> x;
  Matrix<Y> y;
  RandomStream stream;
  DrawAddress address;
  int pixels, blocks;
  std::uint32_t first_block, threshold;
  T scale;

  KOKKOS_INLINE_FUNCTION void operator()(int i, int b) const {
    const std::uint64_t sample = address.first_sample + static_cast<std::uint64_t>(i / pixels);
    const auto block = first_block + static_cast<std::uint32_t>(i % pixels * blocks + b);
    const PhiloxBlock words = stream.words(sample, address.step, block);
    VRFM_UNROLL
    for (int k = 0; k < 8; ++k) {
      const int j = k * blocks + b;
      const std::uint32_t number = (words.word[k / 2] >> (16 * (k % 2))) & 0xFFFFu;
      if (j < y.cols) y(i, j) = x(i, j) * (number < threshold ? T(0) : scale);
    }
  }
};

}  // namespace detail

class Dropout {
 public:
  Dropout() = default;

  /// For samples of `pixels` rows. `number` tells a network's dropout layers apart. Throws
  /// std::invalid_argument unless 0 <= probability < 1 (rounded), extents are positive, 0 <= number < 1024 and
  /// a sample that drops needs at most 2^22 blocks of eight.
  Dropout(double probability, int pixels, int channels, int number)
      : pixels_(pixels),
        channels_(channels),
        first_block_(static_cast<std::uint32_t>(number) << block_bits),
        threshold_(probability >= 0 && probability < 1
                       ? static_cast<std::uint32_t>(probability * 65536 + 0.5)
                       : 65536) {
    expect(threshold_ < 65536, "dropout needs a probability in [0, 1), got ", probability);
    expect(pixels > 0 && channels > 0, "dropout needs at least one pixel and one channel, got ",
           pixels, " and ", channels);
    expect(number >= 0 && number < 1024, "dropout layers are numbered from 0 to 1023, got ",
           number);
    expect(threshold_ == 0 || (std::int64_t(pixels) * blocks() <= std::int64_t(1) << block_bits),
           "dropout draws at most 33554432 numbers a sample, got ", pixels, " pixels of ", channels,
           " channels");
  }

  /// The probability after rounding.
  KOKKOS_INLINE_FUNCTION double probability() const { return threshold_ / 65536.0; }

  /// y may be x.
  template <class Ctx, class X, class Y>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const DrawAddress& address, Matrix<X> x,
                               Matrix<Y> y) const {
    using XT = std::remove_const_t<X>;
    if (threshold_ == 0) {
      const void *const from = x.data, *const to = y.data;
      if (to != from) ctx.map(y.rows, y.cols, Copy<Y, XT>{x, y});
      return;
    }
    const detail::DropElements<XT, Y> drop{
        x,
        y,
        address.stream(Purpose::dropout),
        address,
        pixels_,
        blocks(),
        first_block_,
        threshold_,
        static_cast<sum_type<Y>>(65536.0 / (65536.0 - static_cast<double>(threshold_)))};
    ctx.map(y.rows, blocks(), drop);
  }

  /// dx = dy mask / (1 - p); dx may be dy.
  template <class Ctx, class D, class DX>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const DrawAddress& address, Matrix<D> dy,
                                Matrix<DX> dx) const {
    forward(ctx, address, dy, dx);
  }

 private:
  static constexpr int block_bits = 22;

  KOKKOS_INLINE_FUNCTION int blocks() const { return (channels_ + 7) / 8; }

  int pixels_ = 1;
  int channels_ = 1;
  std::uint32_t first_block_ = 0;
  std::uint32_t threshold_ = 0;
};

}  // namespace vrfm
