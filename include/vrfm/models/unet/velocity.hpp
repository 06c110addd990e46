// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Unet: the velocity v(x, t, z) of images by the U-Net of Dhariwal and Nichol 2021 as torchcfm sets it
// up (Tong et al. 2024), with a latent variable (Guo and Schwing 2025): z's embedding is added to that
// of t, or to the features of the bottleneck, 0.9 latent + 0.1 feature. Names as in torchcfm:
// time_embed, input_blocks, middle_block, output_blocks, out; and latent_embed.
#pragma once

#include <vrfm/models/blocks/time_conditioning.hpp>
#include <vrfm/models/blocks/up_path.hpp>

namespace vrfm {

/// Where z enters a U-Net.
enum class Fusion { adaptive_norm, bottleneck_sum };

struct UnetOptions {
  DownPathOptions path = {};  ///< its embedding is set to 4 base
  int latent = 0;             ///< columns of z; 0: rectified flow
  Fusion fusion = Fusion::adaptive_norm;
  int latent_width = 512;  ///< hidden width of z's embedding
};

namespace detail {

/// Element: h = 0.9 l + 0.1 h, l the sample's row.
template <class T>
struct BottleneckSum {
  ConstMatrix<T> l;
  Matrix<T> h;
  int pixels;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    h(i, j) = T(0.9) * l(i / pixels, j) + T(0.1) * h(i, j);
  }
};

}  // namespace detail

class Unet {
 public:
  static constexpr bool host_only = true;

  template <class T>
  struct Saved {
    DrawAddress draws;
    Matrix<T> hidden, part;
    ConstMatrix<T> z;
    Dense<Silu>::Saved<T> latent;
    TimeConditioning::Saved<T> time;
    DownPath::Saved<T> down;
    Stage::Saved<T> middle[2];
    UpPath::Saved<T> up;
    Matrix<T> last, normed;
    GroupNorm<Silu>::Saved<T> norm;
  };

  Unet() = default;

  /// `name` may be empty. Throws std::invalid_argument naming the first impossible option.
  Unet(ParameterList& list, const std::string& name, const UnetOptions& options) : o_(options) {
    const std::string prefix = name.empty() ? name : name + '.';
    DownPathOptions& path = o_.path;
    path.embedding = 4 * path.base;
    expect(path.conditioning != Conditioning::none, "a U-Net's blocks must be conditioned on t");
    expect(o_.latent >= 0, "a U-Net needs latent >= 0, got ", o_.latent);
    int number = 0;
    time_ = TimeConditioning(list, prefix + "time_embed", path.base, path.embedding);
    down_ = DownPath(list, prefix + "input_blocks", path, number);
    const Stage bottom = down_.stages().back();
    if (o_.latent > 0) {
      latent_first_ = Dense<Silu>(list, prefix + "latent_embed.0", o_.latent, o_.latent_width);
      latent_last_ = Dense<>(list, prefix + "latent_embed.2", o_.latent_width,
                             sums() ? bottom.channels : path.embedding);
    }
    middle_[0] = Stage::residual(list, prefix + "middle_block", path, bottom.height, bottom.width,
                                 bottom.channels, bottom.channels, true, number);
    middle_[1].block = ResidualBlock(list, prefix + "middle_block.2", [&] {
      auto block = middle_[0].block.options();
      block.number = number++;
      return block;
    }());
    up_ = UpPath(list, prefix + "output_blocks", path, down_, number);
    norm_ = GroupNorm<Silu>(list, prefix + "out.0", pixels(), up_.channels(),
                            path.groups(up_.channels(), pixels()));
    out_ = Conv2d(list, prefix + "out.2", Window{path.height, path.width, 3, 1, 1}, up_.channels(),
                  path.channels, true);
  }

  const UnetOptions& options() const { return o_; }
  KOKKOS_INLINE_FUNCTION int dimension() const { return pixels() * o_.path.channels; }
  int latent() const { return o_.latent; }
  /// Columns of z's embedding.
  int part_cols() const { return o_.latent > 0 ? latent_last_.outputs() : 0; }

  /// Writes z's embedding to `part`: rows x part_cols().
  template <class Ctx, class T>
  void encode_latent(const Ctx& ctx, const T* p, ConstMatrix<T> z, Matrix<T> part,
                     Arena<T>& arena) const {
    if (o_.latent > 0) embed_latent(ctx, p, z, part, static_cast<Saved<T>*>(nullptr), arena);
  }

  /// v = v(x, t, z) where `part` is z's, from encode_latent. x and v: rows x dimension(), pixels row by
  /// row, channels last; t: rows x 1. Without dropout.
  template <class Ctx, class T>
  void forward_encoded(const Ctx& ctx, const T* p, ConstMatrix<T> t, ConstMatrix<T> x,
                       ConstMatrix<T> part, Matrix<T> v, Saved<T>* saved, Arena<T>& arena) const {
    evaluate(ctx, p, t, x, part, v, saved, arena);
  }

  /// v = v(x, t, z) with dropout drawn at `draws`, keeping what backward needs. z: rows x latent.
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, const DrawAddress& draws, ConstMatrix<T> t,
               ConstMatrix<T> x, ConstMatrix<T> z, Matrix<T> v, Saved<T>& saved,
               Arena<T>& arena) const {
    saved.draws = draws;
    if (o_.latent > 0) {
      saved.part = arena.take(x.rows, part_cols());
      embed_latent(ctx, p, z, saved.part, &saved, arena);
    }
    evaluate(ctx, p, t, x, ConstMatrix<T>(saved.part), v, &saved, arena);
  }

  /// Gradients of sum(dv * v): of the parameters into `g`, of x and z into dx and dz unless empty.
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dv, Matrix<T> dx,
                Matrix<T> dz, const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dv.rows;
    const Matrix<T> de = arena.take(rows, time_.outputs());
    ctx.map(de.rows, de.cols, Fill<T>{de, T(0)});
    const Matrix<T> dpixels = compact(ctx, dv, arena),
                    dlast = arena.take(rows * pixels(), up_.channels());
    out_.backward(ctx, p, g, saved.normed, dpixels, dlast, {}, arena);
    norm_.backward(ctx, p, g, saved.last, dlast, dlast, saved.norm, arena);

    const auto djoined = take_joined<T>(rows, arena);
    up_.backward(ctx, p, g, djoined, dlast, de, saved.up, arena);

    const Matrix<T> dmiddle = djoined[0].col_range(0, down_.channels());
    Matrix<T> dpart = de;
    if (sums()) {
      dpart = arena.take(rows, part_cols());
      const int bottom = down_.stages().back().pixels();
      ctx.each_tile(rows, detail::SumPixels<T>{dmiddle, dpart, bottom}, arena);
      ctx.map(dpart.rows, dpart.cols, detail::ScaledCopy<T>{T(0.9), dpart, dpart});
      ctx.map(dmiddle.rows, dmiddle.cols, detail::ScaledCopy<T>{T(0.1), dmiddle, dmiddle});
    }
    const auto across = outputs_across(djoined);
    {
      const auto before = arena.used();
      const Matrix<T> between = arena.take(dmiddle.rows, dmiddle.cols),
                      dbottom = arena.take(dmiddle.rows, dmiddle.cols);
      middle_[1].backward(ctx, p, g, dmiddle, between, de, saved.middle[1], arena);
      middle_[0].backward(ctx, p, g, between, dbottom, de, saved.middle[0], arena);
      ctx.map(dbottom.rows, dbottom.cols, AddScaled<T>{T(1), dbottom, down_.last(across)});
      arena.rewind(before);
    }
    Matrix<T> dimage;
    if (!dx.empty()) dimage = arena.take(rows * pixels(), o_.path.channels);
    down_.backward(ctx, p, g, across, dimage, de, saved.down, arena);
    if (!dx.empty()) {
      ctx.map(rows, dimension(), Copy<T>{join_rows(dimage, pixels()), dx});
    }
    time_.backward(ctx, p, g, de, saved.time, arena);
    if (o_.latent > 0 && (!g.ignored() || !dz.empty())) {
      const Matrix<T> dhidden = arena.take(rows, o_.latent_width);
      latent_last_.backward(ctx, p, g, saved.hidden, dpart, dhidden, {}, arena);
      latent_first_.backward(ctx, p, g, saved.z, dhidden, dz, saved.latent, arena);
    }
    arena.rewind(mark);
  }

 private:
  KOKKOS_INLINE_FUNCTION int pixels() const { return o_.path.height * o_.path.width; }
  bool sums() const { return o_.latent > 0 && o_.fusion == Fusion::bottleneck_sum; }

  template <class Ctx, class T>
  void embed_latent(const Ctx& ctx, const T* p, ConstMatrix<T> z, Matrix<T> part, Saved<T>* saved,
                    Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> hidden = arena.take(part.rows, o_.latent_width);
    latent_first_.forward(ctx, p, z, hidden, saved != nullptr ? &saved->latent : nullptr, arena);
    latent_last_.forward(ctx, p, hidden, part, static_cast<Dense<>::Saved<T>*>(nullptr), arena);
    if (saved == nullptr) {
      arena.rewind(mark);
      return;
    }
    saved->hidden = hidden;
    saved->z = z;
  }

  template <class Ctx, class T>
  void evaluate(const Ctx& ctx, const T* p, ConstMatrix<T> t, ConstMatrix<T> x, ConstMatrix<T> part,
                Matrix<T> v, Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = x.rows;
    const DrawAddress draws = saved != nullptr ? saved->draws : DrawAddress{};
    const Matrix<T> e = arena.take(rows, time_.outputs());
    const auto joined = take_joined<T>(rows, arena);
    const Matrix<T> last = arena.take(rows * pixels(), up_.channels());
    const Matrix<T> image = compact(ctx, x, arena);
    time_.forward(ctx, p, t, o_.latent > 0 && !sums() ? part : Matrix<const T>(), e,
                  saved != nullptr ? &saved->time : nullptr, arena);

    const auto across = outputs_across(joined);
    down_.forward(ctx, p, draws, image, e, across, saved != nullptr ? &saved->down : nullptr,
                  arena);
    const Matrix<T> middle = joined[0].col_range(0, down_.channels());
    const Matrix<T> between = arena.take(middle.rows, middle.cols);
    middle_[0].forward(ctx, p, draws, down_.last(across), e, between,
                       saved != nullptr ? &saved->middle[0] : nullptr, arena);
    middle_[1].forward(ctx, p, draws, between, e, middle,
                       saved != nullptr ? &saved->middle[1] : nullptr, arena);
    if (sums()) {
      ctx.map(middle.rows, middle.cols,
              detail::BottleneckSum<T>{part, middle, down_.stages().back().pixels()});
    }
    up_.forward(ctx, p, draws, e, joined, last, saved != nullptr ? &saved->up : nullptr, arena);

    const Matrix<T> normed = saved != nullptr ? arena.take(last.rows, last.cols) : last;
    norm_.forward(ctx, p, last, normed, saved != nullptr ? &saved->norm : nullptr, arena);
    const Matrix<T> out = arena.take(rows * pixels(), o_.path.channels);
    out_.forward(ctx, p, normed, out, static_cast<Conv2d::Saved<T>*>(nullptr), arena);
    ctx.map(rows, dimension(), Copy<T>{join_rows(out, pixels()), v});
    if (saved == nullptr) {
      arena.rewind(mark);
      return;
    }
    saved->last = last;
    saved->normed = normed;
  }

  /// For each stage of the way up, what it reads.
  template <class T>
  PerStage<Matrix<T>> take_joined(int rows, Arena<T>& arena) const {
    PerStage<Matrix<T>> joined;
    for (std::size_t k = 0; k < up_.stages().size(); ++k) {
      const auto& block = up_.stages()[k].stage.block.options();
      joined[k] = arena.take(rows * block.height * block.width, block.inputs);
    }
    return joined;
  }

  /// For each stage of the way down, its columns of what is read on the way up.
  template <class T>
  PerStage<Matrix<T>> outputs_across(const PerStage<Matrix<T>>& joined) const {
    PerStage<Matrix<T>> across;
    const std::size_t stages = up_.stages().size();
    for (std::size_t k = 0; k < stages; ++k) {
      const int channels = up_.stages()[k].across;
      across[stages - 1 - k] = joined[k].col_range(joined[k].cols - channels, channels);
    }
    return across;
  }

  /// A copy of the images, a row a pixel.
  template <class Ctx, class T>
  Matrix<T> compact(const Ctx& ctx, Matrix<const T> x, Arena<T>& arena) const {
    const Matrix<T> image = arena.take(x.rows * pixels(), o_.path.channels);
    ctx.map(x.rows, x.cols, Copy<T>{x, join_rows(image, pixels())});
    return image;
  }

  UnetOptions o_;
  TimeConditioning time_;
  Dense<Silu> latent_first_;
  Dense<> latent_last_;
  DownPath down_;
  Stage middle_[2];
  UpPath up_;
  GroupNorm<Silu> norm_;
  Conv2d out_;
};

}  // namespace vrfm
