// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LatentDraws: the latents of images, with their labels, as a distribution that kernels draw from, in the order of
// ImageDraws. On hosts kernels read the mapped files themselves, so that these may be larger than memory; devices
// get a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/core/distribution.hpp>
#include <vrfm/data/image_draws.hpp>
#include <vrfm/io/latents.hpp>

namespace vrfm {

struct LatentDrawsOptions {
  int batch = 1;        ///< samples of a step, over all its parts
  bool mirror = false;  ///< whether each image is mirrored with probability 1/2, anew in each epoch
  int classes = 0;      ///< labels are 0 ... classes - 1; 0: labels are not written
  double factor = 1;    ///< of all numbers
};

namespace detail {

/// A file's tensors as kernels read them; null: there is none.
struct ReadableShard {
  int first;  // index of its first latent
  const float *latents, *flipped, *deviations, *flipped_deviations;
  const std::int32_t* labels;
};

}  // namespace detail

template <ExecutionSpace Exec>
class LatentDraws {
  using Shard = detail::ReadableShard;

 public:
  /// On a host it keeps pointers into `files`, which must outlive it. Throws std::invalid_argument for an option that
  /// does not fit the files, and for labels out of range.
  LatentDraws(const Exec& exec, const LatentFiles& files, const LatentDrawsOptions& options)
      : o_(options),
        count_(narrow<int>(files.count(), "the number of latents")),
        pixels_(narrow<int>(files.height() * files.width(), "the pixels of a latent")),
        channels_(narrow<int>(files.channels(), "the channels of a latent")) {
    narrow<int>(files.dimension(), "the numbers of a latent");
    expect(o_.batch > 0, "latents are drawn in batches of at least 1, got ", o_.batch);
    expect(!o_.mirror || files.flipped(), files.name(),
           ": expected a tensor 'latents_flip', because half of the images are to be mirrored; "
           "found none");
    expect(o_.classes >= 0, "latents need classes >= 0, got ", o_.classes);
    expect(o_.classes == 0 || files.classes() > 0, files.name(), ": expected labels of ",
           o_.classes, " classes, found no tensor 'labels'");
    expect(o_.classes == 0 || files.classes() <= o_.classes, files.name(),
           ": expected labels below ", o_.classes, " in all files, found ", files.classes() - 1);
    shards_ = Array<Shard, Exec>("vrfm::LatentDraws::shards", files.shards().size());
    const auto host = Kokkos::create_mirror_view(shards_);
    if constexpr (!is_host_space<Exec>) {
      std::size_t bytes = 0;
      for (const LatentShard& shard : files.shards()) {
        bytes += shard.latents.size_bytes() + shard.deviations.size_bytes() +
                 shard.latents_flip.size_bytes() + shard.deviations_flip.size_bytes() +
                 shard.labels.size() * sizeof(std::int32_t);
      }
      memory_ = Array<unsigned char, Exec>(
          Kokkos::view_alloc("vrfm::LatentDraws::memory", exec, Kokkos::WithoutInitializing),
          bytes);
    }
    std::size_t begin = 0;
    int first = 0;
    for (std::size_t k = 0; k < files.shards().size(); ++k) {
      const LatentShard& shard = files.shards()[k];
      Shard& s = host(k) = {};
      s.first = first;
      s.latents = readable(exec, shard.latents, begin);
      s.deviations = readable(exec, shard.deviations, begin);
      if (o_.mirror) s.flipped = readable(exec, shard.latents_flip, begin);
      if (o_.mirror) s.flipped_deviations = readable(exec, shard.deviations_flip, begin);
      if (o_.classes > 0)
        s.labels = readable(exec, std::span<const std::int32_t>(shard.labels), begin);
      first += static_cast<int>(shard.count);
    }
    copy_elements(exec, shards_, host);
    exec.fence();
  }

  KOKKOS_FUNCTION int dimension() const { return pixels_ * channels_; }
  KOKKOS_FUNCTION ConditionShape condition() const { return {.classes = o_.classes}; }

  /// Throws std::invalid_argument unless a step draws `batch` samples.
  void check(int batch) const {
    expect(batch == o_.batch, "these latents are drawn in batches of ", o_.batch,
           ", but a step draws ", batch);
  }

  /// What the draw at (sample, step) of `stream` gives.
  KOKKOS_FUNCTION ImageDraw which(std::uint64_t sample, std::uint32_t step,
                                  const RandomStream& stream) const {
    return image_draw(count_, static_cast<std::uint32_t>(o_.batch), o_.mirror, sample, step,
                      stream);
  }

  /// Writes the latent at (sample, step) of `stream`, pixels row by row, channels last, and its label.
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            const Slot<T>& slot) const {
    const ImageDraw drawn = which(sample, step, stream);
    const Shard& shard = shard_of(drawn.index);
    const auto row = static_cast<std::size_t>(drawn.index - shard.first);
    const std::size_t begin = row * static_cast<std::size_t>(dimension());
    const float* const latent = (drawn.mirrored ? shard.flipped : shard.latents) + begin;
    const float* const deviation = drawn.mirrored ? shard.flipped_deviations : shard.deviations;
    const T factor = static_cast<T>(o_.factor);
    for (int p = 0; p < pixels_; ++p) {
      for (int c = 0; c < channels_; ++c) {
        slot.x1[p * channels_ + c] = factor * static_cast<T>(latent[c * pixels_ + p]);
      }
    }
    if (deviation != nullptr) add_noise(sample, step, stream, factor, deviation + begin, slot.x1);
    if (o_.classes > 0) *slot.label = shard.labels[row];
  }

 private:
  /// Where kernels read the numbers of a span; null if it is empty. On a device they are copied to `begin` in the
  /// memory, which moves behind them.
  template <class V>
  const V* readable(const Exec& exec, std::span<const V> span, std::size_t& begin) const {
    if (span.empty()) return nullptr;
    if constexpr (is_host_space<Exec>) {
      return span.data();
    } else {
      using Unmanaged = Kokkos::MemoryTraits<Kokkos::Unmanaged>;
      using Bytes = Kokkos::View<unsigned char*, typename Exec::memory_space, Unmanaged>;
      using HostBytes = Kokkos::View<const unsigned char*, Kokkos::HostSpace, Unmanaged>;
      unsigned char* const place = memory_.data() + begin;
      copy_elements(
          exec, Bytes(place, span.size_bytes()),
          HostBytes(reinterpret_cast<const unsigned char*>(span.data()), span.size_bytes()));
      begin += span.size_bytes();
      return reinterpret_cast<const V*>(place);
    }
  }

  KOKKOS_FUNCTION const Shard& shard_of(int index) const {
    int low = 0, high = static_cast<int>(shards_.extent(0));
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (shards_(middle).first <= index ? low : high) = middle;
    }
    return shards_(low);
  }

  /// x += factor deviation N(0, 1), of blocks that are not the order's.
  template <class T>
  KOKKOS_FUNCTION void add_noise(std::uint64_t sample, std::uint32_t step,
                                 const RandomStream& stream, T factor, const float* deviation,
                                 T* x) const {
    constexpr std::uint32_t first_element = 1u << 22;
    for (int d = 0; d < dimension(); d += 4) {
      T normal[4];
      const int n = math::minimum(4, dimension() - d);
      stream.normal(sample, step, first_element + static_cast<std::uint32_t>(d), n, normal);
      for (int k = 0; k < n; ++k) {
        const int p = (d + k) / channels_, c = (d + k) % channels_;
        x[d + k] += factor * static_cast<T>(deviation[c * pixels_ + p]) * normal[k];
      }
    }
  }

  LatentDrawsOptions o_;
  int count_, pixels_, channels_;
  Array<Shard, Exec> shards_;
  Array<unsigned char, Exec> memory_;  // a device's copy
};

}  // namespace vrfm
