// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GroupNorm: y = activation(n), n = w (x - mean) / sqrt(variance + eps) + b, with mean and biased
// variance over the pixels of a sample and the channels of a group (Wu and He 2018, "Group
// normalization"; PyTorch's nn.GroupNorm: w and b of shape [channels]). With adaptive scale and
// shift, y = activation(n (1 + scale) + shift), where each sample and channel has its own scale and
// shift (Dhariwal and Nichol 2021, "Diffusion models beat GANs", section 3.1). Besides x, backward
// needs only the groups' moments; it computes the rest anew. x, y and the parameters may be of types of their own,
// such as BFloat16; moments, modulation and sums are of the arena's.
#pragma once

#include <vrfm/layers/detail/group_norm_tangent.hpp>

namespace vrfm {

/// How many groups to make of `channels`: at most 32, which divide the channels, each of at least
/// `least`. A norm takes every group's mean away. If a group were a single channel, that mean would
/// be everything that was added equally to the channel's pixels, such as what the network knows of
/// t and z.
inline int group_count(int channels, int least = 4) {
  int groups = math::maximum(1, math::minimum(32, channels / least));
  while (channels % groups != 0) --groups;
  return groups;
}

template <Activation Act = Identity>
class GroupNorm {
 public:
  static constexpr bool has_parameters = true;

  template <class T, class X = T, class P = T>
  struct Saved {
    detail::NormOperands<T, X, P> operands;
  };

  GroupNorm() = default;

  /// For images of `pixels` pixels. Adds `name`.weight (1 at first) and `name`.bias (0) to `list`.
  /// Throws std::invalid_argument for extents below 1, for eps <= 0, or if the groups do not divide
  /// the channels.
  GroupNorm(ParameterList& list, const std::string& name, int pixels, int channels, int groups,
            double eps = 1e-5)
      : pixels_(pixels), channels_(channels), groups_(groups), eps_(eps) {
    expect(pixels > 0 && channels > 0, "group norm '", name,
           "' needs at least one pixel and one channel, got ", pixels, " and ", channels);
    expect(groups > 0 && channels % groups == 0, "group norm '", name,
           "' needs groups that divide its ", channels, " channels, got ", groups);
    expect(eps > 0, "group norm '", name, "' needs eps > 0, got ", eps);
    const std::vector<std::size_t> shape{static_cast<std::size_t>(channels)};
    weight_ = list.add(name + ".weight", shape, Initializer::constant(1));
    bias_ = list.add(name + ".bias", shape, Initializer::constant(0));
    list.note(name, "groups", groups);
  }

  KOKKOS_INLINE_FUNCTION int inputs() const { return channels_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return channels_; }
  KOKKOS_INLINE_FUNCTION int input_pixels() const { return pixels_; }
  KOKKOS_INLINE_FUNCTION int output_pixels() const { return pixels_; }

  /// y may be x if `saved` is null.
  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, Matrix<X> x, Matrix<Y> y,
                               Saved<T, std::remove_const_t<X>, P>* saved, Arena<T>& arena) const {
    forward(ctx, p, x, Matrix<const T>(), y, saved, arena);
  }

  /// With adaptive scale and shift: row s of `modulation` is sample s's scale of each channel, then
  /// its shift. The caller keeps it until the last backward or tangent.
  template <class Ctx, class P, class X, class Y, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, Matrix<X> x, ConstMatrix<T> modulation,
                               Matrix<Y> y, Saved<T, std::remove_const_t<X>, P>* saved,
                               Arena<T>& arena) const {
    using XT = std::remove_const_t<X>;
    const auto mark = arena.used();
    const int samples = x.rows / pixels_;
    const detail::NormOperands<T, XT, P> operands{
        x, modulation, arena.take(samples, 2 * groups_), p + weight_, p + bias_, pixels_, groups_};
    ctx.each_tile(samples,
                  detail::NormForwardTile<T, XT, P, Act, Y>{operands, y, static_cast<T>(eps_)},
                  arena);
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->operands = operands;
    }
  }

  /// dx may be dy.
  template <class Ctx, class P, class T, class X, class D, class DX>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, Matrix<X> x,
                                Matrix<D> dy, Matrix<DX> dx,
                                const Saved<T, std::remove_const_t<X>, P>& saved,
                                Arena<T>& arena) const {
    backward(ctx, p, g, x, dy, dx, Matrix<T>(), saved, arena);
  }

  /// Writes the gradient of scale and shift, one row a sample, to `dmodulation`; empty: not wanted.
  template <class Ctx, class P, class T, class X, class D, class DX>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P*, Gradient<T> g, Matrix<X> x, Matrix<D> dy,
                                Matrix<DX> dx, Matrix<T> dmodulation,
                                const Saved<T, std::remove_const_t<X>, P>& saved,
                                Arena<T>& arena) const {
    using XT = std::remove_const_t<X>;
    using DT = std::remove_const_t<D>;
    if (g.ignored() && dx.empty() && dmodulation.empty()) return;
    const auto mark = arena.used();
    const int samples = x.rows / pixels_;
    const Matrix<T> dweight = arena.take(samples, channels_),
                    dbias = arena.take(samples, channels_);
    ctx.each_tile(samples,
                  detail::NormBackwardTile<T, XT, P, Act, DT, DX>{saved.operands, dy, dx, dweight,
                                                                  dbias, dmodulation},
                  arena);
    if (!g.ignored()) {
      const auto update = g.accumulate ? Update::accumulate : Update::overwrite;
      ctx.column_sum(dweight, g.values + weight_, update);
      ctx.column_sum(dbias, g.values + bias_, update);
      g.done(weight_, static_cast<std::size_t>(channels_));
      g.done(bias_, static_cast<std::size_t>(channels_));
    }
    arena.rewind(mark);
  }

  /// Scale and shift are constants here. dy may be dx.
  template <class Ctx, class P, class DX, class D, class T, class X>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P* p, Matrix<DX> dx, Matrix<D> dy,
                               const Saved<T, X, P>& saved, Arena<T>& arena) const {
    tangent(ctx, p, dx, Matrix<const T>(), dy, saved, arena);
  }

  /// With rates of scale and shift, one row for each sample; empty: they do not vary. dy may be dx.
  template <class Ctx, class P, class DX, class D, class T, class X>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const P*, Matrix<DX> dx, ConstMatrix<T> dmodulation,
                               Matrix<D> dy, const Saved<T, X, P>& saved, Arena<T>& arena) const {
    ctx.each_tile(dx.rows / pixels_,
                  detail::NormTangentTile<T, X, P, Act, std::remove_const_t<DX>, D>{
                      saved.operands, dx, dmodulation, dy},
                  arena);
  }

 private:
  int pixels_ = 1;
  int channels_ = 0;
  int groups_ = 1;
  double eps_ = 1e-5;
  std::size_t weight_ = 0;
  std::size_t bias_ = 0;
};

}  // namespace vrfm
