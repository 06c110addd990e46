// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Autoencoder: images to latents and back, some at a time. x in [-1, 1], latents z ~ scale N(mean(x), deviation(x)^2)
// (Rombach et al. 2022). Weights of diffusers' AutoencoderKL load by training/weights.hpp.
#pragma once

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/parts.hpp>
#include <vrfm/models/autoencoder/networks.hpp>
#include <vrfm/models/blocks/image_rows.hpp>

namespace vrfm {

namespace detail {

/// Element: column j of mean and deviation, pixels row by row, channels last, of moments whose pixels hold (mean |
/// log-variance), the latter limited as in diffusers.
template <class T>
struct LatentOfMoments {
  ConstMatrix<T> moments;  // (samples pixels) x 2 channels
  Matrix<T> mean, deviation;
  T scale;
  int pixels, channels;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const T* const pixel = moments.row(i * pixels + j / channels);
    const T log_variance =
        math::maximum(T(-30), math::minimum(T(20), pixel[channels + j % channels]));
    mean(i, j) = scale * pixel[j % channels];
    deviation(i, j) = scale * math::exp(log_variance / T(2));
  }
};

/// Element: y = a x, a the inverse of the scale.
template <class T>
struct Unscaled {
  T a;
  ConstMatrix<T> x;
  Matrix<T> y;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { y(i, j) = a * x(i, j); }
};

}  // namespace detail

/// Of scaled latents: rows x latents().
template <Real T, ExecutionSpace Exec>
struct LatentMoments {
  Table<T, Exec> mean, deviation;
};

template <Real T, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace,
          Compute precision = Compute::float32, class List = DefaultEngines>
class Autoencoder {
 public:
  using value_type = T;
  using execution_space = Exec;
  using products = Products<precision, List>;

  /// Draws the parameters from `seed`. Throws std::invalid_argument naming the first impossible option.
  Autoencoder(const Exec& exec, const AutoencoderOptions& options, std::uint64_t seed = 0)
      : exec_(exec), networks_(list_, options) {
    values_ = Array<T, Exec>("vrfm::Autoencoder::parameters", list_.count());
    initialize<Exec, T>(exec_, list_, values_, narrow<std::uint32_t>(seed, "the seed"));
  }

  const Exec& exec() const { return exec_; }
  const ParameterList& parameters() const { return list_; }
  const Array<T, Exec>& values() const { return values_; }
  const AutoencoderNetworks& networks() const { return networks_; }
  const AutoencoderOptions& options() const { return networks_.options(); }
  /// Columns of an image and of its latents.
  int dimension() const { return encoder().input_pixels() * encoder().inputs(); }
  int latents() const { return decoder().input_pixels() * decoder().inputs(); }

  /// The scaled means alone. Arguments and errors as of moments().
  Table<T, Exec> encode(const Table<const T, Exec>& images, int batch = 1) const {
    return moments(images, batch).mean;
  }

  /// images: rows x dimension(), pixels row by row, channels last, in [-1, 1]; `batch` at a time. Throws
  /// std::invalid_argument for another number of columns.
  LatentMoments<T, Exec> moments(const Table<const T, Exec>& images, int batch = 1) const {
    expect_same("the images", images.extent(1), "the autoencoder",
                static_cast<std::size_t>(dimension()), "columns");
    const auto table = [&] {
      return Table<T, Exec>("vrfm::Autoencoder::latents", images.extent(0),
                            static_cast<std::size_t>(latents()));
    };
    const LatentMoments<T, Exec> z{table(), table()};
    run(static_cast<int>(images.extent(0)), batch,
        [&](const auto& ctx, int first, int rows, auto& arena) {
          const Matrix<T> x = arena.take(rows * encoder().input_pixels(), encoder().inputs()),
                          y = arena.take(rows * encoder().pixels(), encoder().channels());
          detail::to_pixels<std::decay_t<decltype(ctx)>, T>(
              ctx, matrix(images).row_range(first, rows), x, encoder().input_pixels());
          encoder().forward(ctx, values_.data(), x, y, nothing(), arena);
          ctx.map(rows, latents(),
                  detail::LatentOfMoments<T>{y, matrix(z.mean).row_range(first, rows),
                                             matrix(z.deviation).row_range(first, rows), scale(),
                                             encoder().pixels(), options().latent_channels});
        });
    return z;
  }

  /// Images of scaled latents: rows x dimension(). Throws as above.
  Table<T, Exec> decode(const Table<const T, Exec>& z, int batch = 1) const {
    expect_same("the latents", z.extent(1), "the autoencoder", static_cast<std::size_t>(latents()),
                "columns");
    const Table<T, Exec> images("vrfm::Autoencoder::images", z.extent(0),
                                static_cast<std::size_t>(dimension()));
    run(static_cast<int>(z.extent(0)), batch,
        [&](const auto& ctx, int first, int rows, auto& arena) {
          using Ctx = std::decay_t<decltype(ctx)>;
          const Matrix<T> unscaled = arena.take(rows, latents()),
                          pixels = arena.take(rows * decoder().input_pixels(), decoder().inputs()),
                          y = arena.take(rows * decoder().pixels(), decoder().channels());
          ctx.map(rows, latents(),
                  detail::Unscaled<T>{T(1) / scale(), matrix(z).row_range(first, rows), unscaled});
          detail::to_pixels<Ctx, T>(ctx, unscaled, pixels, decoder().input_pixels());
          decoder().forward(ctx, values_.data(), pixels, y, nothing(), arena);
          detail::from_pixels<Ctx, T>(ctx, y, matrix(images).row_range(first, rows),
                                      decoder().pixels());
        });
    return images;
  }

 private:
  using Batch = BatchContextOf<Exec, Autoencoder>;

  const ImageChain& encoder() const { return networks_.encoder(); }
  const ImageChain& decoder() const { return networks_.decoder(); }
  T scale() const { return static_cast<T>(options().scale); }
  static ImageChain::Saved<T>* nothing() { return nullptr; }

  /// Calls part(ctx, first, rows, arena) for `batch` rows at a time, in memory of its own.
  template <class Part>
  void run(int count, int batch, const Part& part) const {
    expect(batch >= 1, "images at a time must be >= 1, got ", batch);
    run_in_parts<Batch, T>(exec_, "vrfm::Autoencoder::memory", count, batch, part);
  }

  Exec exec_;
  ParameterList list_;
  AutoencoderNetworks networks_;
  Array<T, Exec> values_;
};

}  // namespace vrfm
