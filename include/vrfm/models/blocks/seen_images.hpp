// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SeenImages: what a posterior or prior of images sees, side by side as channels of one image: those of x0, x1
// and x_t that it was made for, then a field.
#pragma once

#include <vrfm/models/blocks/image_rows.hpp>
#include <vrfm/models/latent_model.hpp>

namespace vrfm {

class SeenImages {
 public:
  SeenImages() = default;

  /// channels: of one image. Throws std::invalid_argument if none is seen.
  SeenImages(EncoderInput input, int pixels, int channels, int field_channels)
      : input_(input), pixels_(pixels), channels_(channels), field_channels_(field_channels) {
    expect(field_channels >= 0, "the posterior needs field_channels >= 0, got ", field_channels);
    expect(images() > 0, "the posterior needs at least one image of {x0, x1, x_t}");
  }

  bool sees(EncoderInput one) const { return contains(input_, one); }
  int channels() const { return images() * channels_ + field_channels_; }

  /// The field's columns.
  template <class T>
  Matrix<T> field(Matrix<T> seen) const {
    return seen.col_range(seen.cols - field_channels_, field_channels_);
  }

  /// seen: (rows pixels) x channels(); field: rows x (pixels field_channels), or empty.
  template <class Ctx, class T>
  void gather(const Ctx& ctx, const LatentInputs<T>& inputs, ConstMatrix<T> field_rows,
              Matrix<T> seen) const {
    int channel = 0;
    for (const auto one : all) {
      if (!sees(one)) continue;
      const ConstMatrix<T> from = one == EncoderInput::x0   ? inputs.x0
                                  : one == EncoderInput::x1 ? inputs.x1
                                                            : inputs.x_t;
      detail::to_pixels<Ctx, T>(ctx, from, seen.col_range(channel, channels_), pixels_);
      channel += channels_;
    }
    if (field_channels_ > 0) detail::to_pixels<Ctx, T>(ctx, field_rows, field(seen), pixels_);
  }

 private:
  static constexpr EncoderInput all[] = {EncoderInput::x0, EncoderInput::x1, EncoderInput::x_t};

  int images() const {
    int count = 0;
    for (const auto one : all) count += sees(one);
    return count;
  }

  EncoderInput input_ = EncoderInput::none;
  int pixels_ = 1, channels_ = 0, field_channels_ = 0;
};

}  // namespace vrfm
