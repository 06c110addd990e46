// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ImageDraws: the training images as a distribution that kernels draw from, with their labels if these are asked for.
// Batches take the images one after the other, in an order that is shuffled anew in each epoch. Which image comes at a
// (sample, step), and whether it is mirrored, is computed from that address and the seed, so the
// batch may be split in any way, and the step is the only position to save.
#pragma once

#include <cstdint>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/distribution.hpp>
#include <vrfm/data/detail/epoch_order.hpp>
#include <vrfm/data/image_set.hpp>
#include <vrfm/data/pixels.hpp>

namespace vrfm {

/// What is drawn at one address.
struct ImageDraw {
  int index;      ///< of the image in its set
  bool mirrored;  ///< left and right exchanged
};

/// What the draw at (sample, step) of `stream` gives of a set of `count` images in steps of `batch`. Position
/// n = step * batch + sample runs through the set again and again; each image comes once in an epoch of `count`
/// positions, in an order that depends on (seed, epoch) alone, and with `mirror` is mirrored with probability 1/2.
/// Uses the stream's blocks 0 ... 8.
KOKKOS_INLINE_FUNCTION ImageDraw image_draw(int count, std::uint32_t batch, bool mirror,
                                            std::uint64_t sample, std::uint32_t step,
                                            const RandomStream& stream) {
  const auto images = static_cast<std::uint32_t>(count);
  const auto [epoch, position] = detail::epoch_place(images, batch, step, sample);
  const std::uint32_t index = shuffled(position, images, epoch, stream);
  constexpr std::uint32_t coin = detail::shuffle_rounds;  // the order uses the blocks before it
  const bool mirrored = mirror && stream.words(epoch, index, coin).word[0] >> 31 != 0;
  return {static_cast<int>(index), mirrored};
}

template <ExecutionSpace Exec>
class ImageDraws {
 public:
  /// batch: samples of a step, over all its parts. mirror: whether each image is mirrored with
  /// probability 1/2, anew in each epoch. classes: labels are 0 ... classes - 1; 0: they are not written.
  /// Throws std::invalid_argument unless batch is positive and the images have such labels.
  ImageDraws(const ImageSet<Exec>& images, int batch, bool mirror = false, int classes = 0)
      : images_(images),
        batch_(static_cast<std::uint32_t>(batch)),
        mirror_(mirror),
        classes_(classes) {
    expect(batch > 0, "ImageDraws: batch must be positive, but is ", batch);
    expect(classes >= 0, "ImageDraws: classes must be >= 0, got ", classes);
    expect(classes == 0 || images.classes() > 0, "ImageDraws: expected images with labels of ",
           classes, " classes, got images without labels");
    expect(classes == 0 || images.classes() <= classes, "ImageDraws: expected labels below ",
           classes, ", got ", images.classes() - 1);
  }

  KOKKOS_FUNCTION int dimension() const { return images_.dimension(); }
  KOKKOS_FUNCTION ConditionShape condition() const { return {.classes = classes_}; }

  /// Throws std::invalid_argument unless a step draws `batch` samples.
  void check(int batch) const {
    expect(batch == static_cast<int>(batch_), "these images are drawn in batches of ", batch_,
           ", but a step draws ", batch);
  }
  const ImageSet<Exec>& images() const { return images_; }

  /// What the draw at (sample, step) of `stream` gives.
  KOKKOS_FUNCTION ImageDraw which(std::uint64_t sample, std::uint32_t step,
                                  const RandomStream& stream) const {
    return image_draw(images_.count(), batch_, mirror_, sample, step, stream);
  }

  /// Writes the image at (sample, step) of `stream`, scaled to [-1, 1], to x [dimension()].
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            T* x) const {
    write(which(sample, step, stream), x);
  }
  /// The same to the slot's x1, and the image's label.
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            const Slot<T>& slot) const {
    const ImageDraw drawn = which(sample, step, stream);
    write(drawn, slot.x1);
    if (classes_ > 0) *slot.label = images_.label(drawn.index);
  }

 private:
  template <class T>
  KOKKOS_FUNCTION void write(const ImageDraw& drawn, T* x) const {
    const std::uint8_t* image = images_.image(drawn.index);
    if (!drawn.mirrored) {
      const int numbers = dimension();
      for (int d = 0; d < numbers; ++d) x[d] = from_pixel<T>(image[d]);
      return;
    }
    const int width = images_.width(), channels = images_.channels();
    for (int row = 0; row < images_.height(); ++row)
      for (int column = 0; column < width; ++column, x += channels) {
        const std::uint8_t* from = image + (row * width + width - 1 - column) * channels;
        for (int c = 0; c < channels; ++c) x[c] = from_pixel<T>(from[c]);
      }
  }

  ImageSet<Exec> images_;
  std::uint32_t batch_;
  bool mirror_;
  int classes_;
};

}  // namespace vrfm
