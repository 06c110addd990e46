// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// UnetVelocity: u(x, t, s | z, c) of images by the U-Net of Dhariwal and Nichol 2021 as torchcfm sets it
// up (Tong et al. 2024), with a latent variable (Guo and Schwing 2025) and a condition: z's embedding is
// added to that of t, or to the features of the bottleneck, 0.9 latent + 0.1 feature; those of a label
// and a vector are added to that of t, a field lies beside the image's channels, and for a second time
// an embedding of s - t is added, too. Names as in torchcfm: time_embed, label_emb, input_blocks,
// middle_block, output_blocks, out; and latent_embed, vector_emb, span_embed. Signals and volumes have the same
// blocks with kernels of one and three axes.
#pragma once

#include <limits>

#include <vrfm/models/blocks/image_condition.hpp>
#include <vrfm/models/blocks/image_rows.hpp>
#include <vrfm/models/blocks/time_conditioning.hpp>
#include <vrfm/models/unet/trunk.hpp>
#include <vrfm/models/velocity_model.hpp>

namespace vrfm {

struct UnetOptions {
  DownPathOptions path = {};  ///< its embedding is set to 4 base
  int latent = 0;             ///< columns of z; 0: rectified flow
  Fusion fusion = Fusion::adaptive_norm;
  int latent_width = 512;     ///< hidden width of z's embedding
  int classes = 0;            ///< of labels; 0: no label
  int condition_columns = 0;  ///< of the vector; 0: no vector
  int field_channels = 0;     ///< of a field on the image's grid; 0: no field
  bool second_time = false;   ///< a flow map
};

class UnetVelocity {
 public:
  static constexpr bool host_only = true;

  template <class T>
  using PreparedSaved = ImageCondition::Saved<T>;

  template <class T>
  struct Saved {
    TimeConditioning::Saved<T> time;
    UnetTrunk::Saved<T> trunk;
  };

  UnetVelocity() = default;

  /// `name` may be empty. Throws std::invalid_argument naming the first impossible option.
  UnetVelocity(ParameterList& list, const std::string& name, const UnetOptions& options)
      : o_(options) {
    const std::string prefix = name.empty() ? name : name + '.';
    DownPathOptions& path = o_.path;
    path.embedding = 4 * path.base;
    expect(path.conditioning != Conditioning::none, "a U-Net's blocks must be conditioned on t");
    expect(o_.latent >= 0, "a U-Net needs latent >= 0, got ", o_.latent);
    expect(o_.field_channels >= 0, "a U-Net needs field_channels >= 0, got ", o_.field_channels);
    path.check();
    expect(o_.field_channels <= (std::numeric_limits<int>::max)() / pixels() - path.channels,
           "a U-Net needs a field whose numbers an int counts, got ", path.grid, " x ",
           o_.field_channels, " beside ", path.channels, " channels");
    time_ = TimeConditioning(
        list, prefix, {.features = path.base, .width = path.embedding, .span = o_.second_time});
    DownPathOptions with_field = path;
    with_field.channels += o_.field_channels;
    int number = 0;
    const DownPath down(list, prefix + "input_blocks", with_field, number);
    condition_ = ImageCondition(list, prefix,
                                {.inputs = {.latent = o_.latent,
                                            .classes = o_.classes,
                                            .condition_columns = o_.condition_columns,
                                            .field_columns = pixels() * o_.field_channels,
                                            .second_time = o_.second_time},
                                 .fusion = o_.fusion,
                                 .latent_width = o_.latent_width,
                                 .embedding = path.embedding,
                                 .bottleneck = down.channels()});
    trunk_ = UnetTrunk(list, prefix, path, down, condition_.sums(), number);
  }

  const UnetOptions& options() const { return o_; }
  KOKKOS_INLINE_FUNCTION int dimension() const { return pixels() * o_.path.channels; }
  KOKKOS_INLINE_FUNCTION ModelInputs inputs() const { return condition_.inputs(); }
  /// Columns [embedding of z and c | z's features in the bottleneck | field], as far as there are any.
  KOKKOS_INLINE_FUNCTION int prepared_cols() const { return condition_.cols(); }

  template <class Ctx, class T>
  void prepare(const Ctx& ctx, const T* p, const Condition<T>& condition, Matrix<T> prepared,
               PreparedSaved<T>* saved, Arena<T>& arena) const {
    condition_.forward(ctx, p, condition, prepared, saved, arena);
  }

  template <class Ctx, class T>
  void prepare_backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dprepared,
                        const ConditionGradient<T>& dcondition, const PreparedSaved<T>& saved,
                        Arena<T>& arena) const {
    condition_.backward(ctx, p, g, dprepared, dcondition, saved, arena);
  }

  /// x and v: rows x dimension(), pixels row by row, channels last.
  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, const Query<T>& query, ConstMatrix<T> prepared,
               const DrawAddress* draws, Matrix<T> v, Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = v.rows;
    const bool save = saved != nullptr;
    const Matrix<T> e = arena.take(rows, time_.outputs()), image = take_image(rows, arena);
    detail::to_pixels<Ctx, T>(ctx, query.x, image_columns(image), pixels());
    if (condition_.has_field()) {
      detail::to_pixels<Ctx, T>(ctx, condition_.field(prepared), field_columns(image), pixels());
    }
    time_.forward(ctx, p, query.t, query.s, condition_.embedding(prepared), e,
                  save ? &saved->time : nullptr, arena);
    // The first convolution alone reads the image; without a backward its place is free.
    const bool own = save || condition_.has_field();
    const Matrix<T> out = own ? arena.take(image.rows, o_.path.channels) : image;
    trunk_.forward(ctx, p, draws, image, e, condition_.bottleneck(prepared), out,
                   save ? &saved->trunk : nullptr, arena);
    detail::from_pixels<Ctx, T>(ctx, out, v, pixels());
    if (!save) arena.rewind(mark);
  }

  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dv,
                const QueryGradient<T>& dquery, Matrix<T> dprepared, const Saved<T>& saved,
                Arena<T>& arena) const {
    const auto mark = arena.used();
    const int rows = dv.rows;
    const bool field = condition_.has_field() && !dprepared.empty();
    const Matrix<T> de = arena.take(rows, time_.outputs()),
                    dout = arena.take(rows * pixels(), o_.path.channels);
    Matrix<T> dimage, dl;
    if (field || !dquery.x.empty()) {
      dimage = condition_.has_field() ? take_image(rows, arena) : dout;
    }
    if (condition_.sums()) dl = arena.take(rows, condition_.bottleneck(dprepared).cols);
    ctx.map(de.rows, de.cols, Fill<T>{de, T(0)});
    detail::to_pixels<Ctx, T>(ctx, dv, dout, pixels());
    trunk_.backward(ctx, p, g, dout, dimage, de, dl, saved.trunk, arena);
    if (!dquery.x.empty()) {
      detail::from_pixels<Ctx, T>(ctx, image_columns(dimage), dquery.x, pixels());
    }
    time_.backward(ctx, p, g, de, dquery.t, dquery.s, saved.time, arena);
    if (!dprepared.empty()) {
      add(ctx, de, condition_.embedding(dprepared));
      add(ctx, dl, condition_.bottleneck(dprepared));
      if (field) {
        ctx.map(
            dimage.rows, o_.field_channels,
            detail::AddFromPixels<T>{field_columns(dimage), condition_.field(dprepared), pixels()});
      }
    }
    arena.rewind(mark);
  }

  template <class Ctx, class T>
  void tangent(const Ctx& ctx, const T* p, const Query<T>& rates, Matrix<T> dv,
               const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> dimage = take_image(dv.rows, arena),
                    dout = arena.take(dimage.rows, o_.path.channels);
    if (rates.x.empty() || condition_.has_field()) {
      ctx.map(dimage.rows, dimage.cols, Fill<T>{dimage, T(0)});
    }
    if (!rates.x.empty()) {
      detail::to_pixels<Ctx, T>(ctx, rates.x, image_columns(dimage), pixels());
    }
    Matrix<T> de;
    if (!rates.t.empty() || !rates.s.empty()) {
      de = arena.take(dv.rows, time_.outputs());
      time_.tangent(ctx, p, rates.t, rates.s, de, saved.time, arena);
    }
    trunk_.tangent(ctx, p, dimage, de, dout, saved.trunk, arena);
    detail::from_pixels<Ctx, T>(ctx, dout, dv, pixels());
    arena.rewind(mark);
  }

 private:
  KOKKOS_INLINE_FUNCTION int pixels() const { return o_.path.grid.pixels(); }

  /// Rows that are pixels, columns [image | field].
  template <class T>
  Matrix<T> take_image(int rows, Arena<T>& arena) const {
    return arena.take(rows * pixels(), o_.path.channels + o_.field_channels);
  }
  template <class T>
  Matrix<T> image_columns(Matrix<T> image) const {
    return image.col_range(0, o_.path.channels);
  }
  template <class T>
  Matrix<T> field_columns(Matrix<T> image) const {
    return image.col_range(o_.path.channels, o_.field_channels);
  }

  /// sum += d, unless there is none.
  template <class Ctx, class T>
  static void add(const Ctx& ctx, Matrix<T> d, Matrix<T> sum) {
    if (!sum.empty()) ctx.map(sum.rows, sum.cols, AddScaled<T>{T(1), d, sum});
  }

  UnetOptions o_ = {};
  TimeConditioning time_;
  ImageCondition condition_;
  UnetTrunk trunk_;
};

}  // namespace vrfm
