// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Images drawn from a flow as pixels: independent ones, the manifold of a two-dimensional latent
// variable, and grids that share one z (Guo and Schwing 2025). Ranks draw shares of them, to the same bits;
// the root has the pictures, and the other ranks have empty ones.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <vrfm/data/draw.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/data/pixels.hpp>
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/integrators/step_control.hpp>
#include <vrfm/io/image_grid.hpp>
#include <vrfm/sampling/encode.hpp>
#include <vrfm/sampling/sample.hpp>

#include <examples/common/ranks.hpp>
#include <examples/images/options.hpp>

namespace images {

using Exec = Kokkos::DefaultExecutionSpace;
using Numbers = vrfm::Table<float, Exec>;

/// Pixels [count][height][width][channels].
struct Picture {
  std::vector<std::size_t> shape;
  std::vector<std::uint8_t> pixels;

  void append(const Numbers& images) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), images);
    for (std::size_t i = 0; i < host.extent(0); ++i) {
      for (std::size_t d = 0; d < host.extent(1); ++d) {
        pixels.push_back(vrfm::to_pixel(host(i, d)));
      }
    }
    shape[0] += host.extent(0);
  }

  /// Its first images, `columns` a row (0: a square), as one.
  vrfm::GridImage grid(std::size_t most, std::size_t columns, std::size_t scale) const {
    auto shown = shape;
    shown[0] = std::min(most, shape[0]);
    const std::size_t each = shape[1] * shape[2] * shape[3];
    return vrfm::image_grid(shown, std::span(pixels).first(shown[0] * each),
                            {.columns = columns, .scale = scale, .border_value = 128});
  }
};

/// Calls use(solver, grid) with what the options name.
template <class Use>
void with_solver(const SamplingOptions& options, const Use& use) {
  if (options.solver == "dopri5") {
    use(vrfm::DormandPrince{.absolute = options.tolerance, .relative = options.tolerance},
        vrfm::TimeGrid{});
  } else {
    use(vrfm::Euler{}, vrfm::TimeGrid::uniform(0, 1, options.steps));
  }
}

template <class FlowType>
class Painter {
 public:
  /// shape: height, width and channels of an image.
  Painter(const FlowType& flow, const std::vector<int>& shape, const SamplingOptions& options)
      : flow_(flow),
        shape_(shape),
        options_(options),
        source_(vrfm::standard_normal<float>(flow.exec(), flow.dimension())) {}

  /// Independent images. `progress` is told how many are done, here or on ranks like this one.
  Picture draw(int count, std::uint32_t seed, const std::function<void(int)>& progress = {}) const {
    Picture picture = empty();
    const auto field = vrfm::velocity_of(flow_);
    const vrfm::Share share = share_of(static_cast<std::size_t>(count));
    const auto batch = static_cast<std::size_t>(options_.batch);
    with_solver(options_, [&](const auto& solver, const vrfm::TimeGrid& grid) {
      for (std::size_t done = 0; done < share.count;) {
        const std::size_t these = std::min(batch, share.count - done);
        picture.append(vrfm::sample(
            flow_.exec(), field, source_, solver,
            {.count = these, .grid = grid, .seed = seed, .first_id = share.first + done}));
        done += these;
        if (progress)
          progress(static_cast<int>(done * static_cast<std::size_t>(count) / share.count));
      }
    });
    return gathered(picture);
  }

  /// One x0, number `which` of `seed`, and in row i and column j of side x side images the z that the
  /// inverse normal distribution has at ((j + 1/2), (i + 1/2)) / side.
  Picture manifold(int side, std::uint32_t seed, int which) const {
    const auto one = vrfm::draw_all(flow_.exec(), source_, 1, seed,
                                    vrfm::purpose_of(vrfm::Use::sampling, vrfm::Purpose::source),
                                    static_cast<std::uint64_t>(which));
    const vrfm::Share share =
        share_of(static_cast<std::size_t>(side) * static_cast<std::size_t>(side));
    const Numbers x("images::x", share.count, one.extent(1)), z("images::z", share.count, 2);
    const auto host_one = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), one);
    const auto host_x = Kokkos::create_mirror_view(x);
    const auto host_z = Kokkos::create_mirror_view(z);
    for (std::size_t i = 0; i < share.count; ++i) {
      const std::size_t place = share.first + i;
      const auto row = static_cast<double>(place / static_cast<std::size_t>(side));
      const auto column = static_cast<double>(place % static_cast<std::size_t>(side));
      host_z(i, 0) = static_cast<float>(inverse_normal((column + 0.5) / side));
      host_z(i, 1) = static_cast<float>(inverse_normal((row + 0.5) / side));
      for (std::size_t d = 0; d < one.extent(1); ++d) host_x(i, d) = host_one(0, d);
    }
    Kokkos::deep_copy(x, host_x);
    Kokkos::deep_copy(z, host_z);
    Picture picture = empty();
    if (share.count == 0) return gathered(picture);
    with_solver(options_, [&](const auto& solver, const vrfm::TimeGrid& grid) {
      vrfm::integrate_all(flow_.exec(), vrfm::velocity_of(flow_, {.latents = z}), x, solver,
                          {.grid = grid, .launch = {.batch = options_.batch}})
          .expect_finished();
    });
    picture.append(x);
    return gathered(picture);
  }

  /// `count` images that share z number `which` of `seed`; the same x0 at the same place for each z.
  Picture shared(int count, std::uint32_t seed, int which) const {
    const auto z =
        vrfm::draw_latents(flow_, 1, {.seed = seed, .first_id = static_cast<std::uint64_t>(which)});
    Picture picture = empty();
    const vrfm::Share share = share_of(static_cast<std::size_t>(count));
    if (share.count == 0) return gathered(picture);
    with_solver(options_, [&](const auto& solver, const vrfm::TimeGrid& grid) {
      picture.append(vrfm::sample(flow_.exec(), vrfm::velocity_of(flow_, {.latents = z}), source_,
                                  solver,
                                  {.count = share.count,
                                   .grid = grid,
                                   .seed = seed,
                                   .first_id = share.first,
                                   .launch = {.batch = options_.batch}}));
    });
    return gathered(picture);
  }

 private:
  /// x with P(N(0, 1) < x) = p, by bisection.
  static double inverse_normal(double p) {
    double lower = -9, upper = 9;
    while (upper - lower > 1e-12) {
      const double middle = (lower + upper) / 2;
      (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? lower : upper) = middle;
    }
    return lower;
  }

  static vrfm::Share share_of(std::size_t count) {
    return vrfm::share_of(count, common::communicator().rank(), common::communicator().size());
  }

  static Picture gathered(Picture mine) {
    mine.pixels = vrfm::gather(common::communicator(), std::span<const std::uint8_t>(mine.pixels));
    mine.shape[0] = mine.pixels.size() / (mine.shape[1] * mine.shape[2] * mine.shape[3]);
    return mine;
  }

  Picture empty() const {
    return {{0, static_cast<std::size_t>(shape_[0]), static_cast<std::size_t>(shape_[1]),
             static_cast<std::size_t>(shape_[2])},
            {}};
  }

  FlowType flow_;
  std::vector<int> shape_;
  SamplingOptions options_;
  vrfm::GaussianMixture<float, Exec> source_;
};

}  // namespace images
