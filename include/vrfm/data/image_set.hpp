// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ImageSet: a whole set of images in an execution space's memory, one byte for each channel of a
// pixel. A training step draws its batch from there and waits for no file and no copy.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/io/images.hpp>

namespace vrfm {

/// A light value that kernels copy. Pixels are [count][height * width * channels], channels-last.
template <ExecutionSpace Exec>
class ImageSet {
 public:
  /// Copies the images of a reader (io/mnist.hpp, io/cifar10.hpp). Throws std::invalid_argument if
  /// there are none, if pixels or labels are not as many as the extents say, or if an image has
  /// 2^31 elements or more. Fences `exec`.
  ImageSet(const Exec& exec, const Images& images)
      : height_(narrow<int>(images.height, "ImageSet: the height")),
        width_(narrow<int>(images.width, "ImageSet: the width")),
        channels_(narrow<int>(images.channels, "ImageSet: the number of channels")) {
    narrow<int>(images.count, "ImageSet: the number of images");
    expect(images.count > 0 && height_ > 0 && width_ > 0 && channels_ > 0,
           "ImageSet: extents must be positive, but are ", images.count, " images of ",
           images.height, " x ", images.width, " x ", images.channels);
    const double product = static_cast<double>(images.height) * static_cast<double>(images.width) *
                           static_cast<double>(images.channels);
    expect(product <= 0x7fff'ffff,
           "ImageSet: expected images of fewer than 2^31 elements, but got ", images.height, " x ",
           images.width, " x ", images.channels);
    const std::size_t each = images.height * images.width * images.channels;
    expect(images.pixels.size() / each == images.count && images.pixels.size() % each == 0,
           "ImageSet: expected pixels for ", images.count, " images of ", each,
           " numbers, but got ", images.pixels.size());
    expect(images.labels.empty() || images.labels.size() == images.count,
           "ImageSet: expected none or ", images.count, " labels, but got ", images.labels.size());

    using Host = Kokkos::View<const std::uint8_t**, Kokkos::LayoutRight, Kokkos::HostSpace,
                              Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
    using HostLabels = Kokkos::View<const std::uint8_t*, Kokkos::HostSpace,
                                    Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
    const auto pixels = Table<std::uint8_t, Exec>(
        Kokkos::view_alloc("vrfm::ImageSet::pixels", exec, Kokkos::WithoutInitializing),
        images.count, each);
    const auto labels = Array<std::uint8_t, Exec>(
        Kokkos::view_alloc("vrfm::ImageSet::labels", exec, Kokkos::WithoutInitializing),
        images.labels.size());
    copy_elements(exec, pixels, Host(images.pixels.data(), images.count, each));
    copy_elements(exec, labels, HostLabels(images.labels.data(), images.labels.size()));
    exec.fence();
    for (const std::uint8_t label : images.labels) classes_ = (std::max)(classes_, label + 1);
    pixels_ = pixels;
    labels_ = labels;
  }

  KOKKOS_FUNCTION int count() const { return static_cast<int>(pixels_.extent(0)); }
  KOKKOS_FUNCTION int height() const { return height_; }
  KOKKOS_FUNCTION int width() const { return width_; }
  KOKKOS_FUNCTION int channels() const { return channels_; }
  /// Elements of an image.
  KOKKOS_FUNCTION int dimension() const { return static_cast<int>(pixels_.extent(1)); }

  /// One more than the largest label; 0 without labels.
  KOKKOS_FUNCTION int classes() const { return classes_; }

  /// The elements of image i.
  KOKKOS_FUNCTION const std::uint8_t* image(int i) const { return &pixels_(i, 0); }
  /// The label of image i of a set that has labels.
  KOKKOS_FUNCTION int label(int i) const { return labels_(i); }
  const Table<const std::uint8_t, Exec>& pixels() const { return pixels_; }
  /// [count], or empty.
  const Array<const std::uint8_t, Exec>& labels() const { return labels_; }

 private:
  Table<const std::uint8_t, Exec> pixels_;
  Array<const std::uint8_t, Exec> labels_;
  int height_, width_, channels_, classes_ = 0;
};

}  // namespace vrfm
