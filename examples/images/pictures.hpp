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
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/integrators/step_control.hpp>
#include <vrfm/integrators/stochastic.hpp>
#include <vrfm/integrators/stochastic_velocity.hpp>
#include <vrfm/io/image_grid.hpp>
#include <vrfm/sampling/encode.hpp>
#include <vrfm/sampling/flow_map.hpp>
#include <vrfm/sampling/sample.hpp>

#include <examples/common/ranks.hpp>
#include <examples/images/data.hpp>
#include <examples/images/options.hpp>

namespace images {

/// Pixels [count][height][width][channels].
struct Picture {
  std::vector<std::size_t> shape;
  std::vector<std::uint8_t> pixels;
  std::size_t scale;  ///< pixels of one pixel, where it is shown

  /// Its first images, `columns` a row (0: a square), as one.
  vrfm::GridImage grid(std::size_t most, std::size_t columns) const {
    auto shown = shape;
    shown[0] = std::min(most, shape[0]);
    const std::size_t each = shape[1] * shape[2] * shape[3];
    return vrfm::image_grid(shown, std::span(pixels).first(shown[0] * each),
                            {.columns = columns, .scale = scale, .border_value = 128});
  }
};

/// Calls use(field, solver, grid) with what the options name, for a velocity field.
template <class Field, class Use>
void with_solver(const SamplingOptions& options, const Field& field, const Use& use) {
  const int steps = options.steps;
  if (options.solver == "dopri5") {
    use(field, vrfm::DormandPrince{.absolute = options.tolerance, .relative = options.tolerance},
        vrfm::TimeGrid{});
  } else if (options.solver == "flow-map") {
    use(field, vrfm::FlowMap{}, vrfm::TimeGrid::uniform(0, 1, steps));
  } else if (options.solver == "heun") {
    use(field, vrfm::Heun{}, vrfm::TimeGrid::uniform(0, 1, steps));
  } else if (options.solver == "sde") {
    // As Ma et al. 2024: the last step, of 0.04 where 250 are taken, has no noise.
    use(vrfm::StochasticVelocity(field, vrfm::ScoreDiffusion<>{}),
        vrfm::EulerMaruyama{.steps = steps - 1, .last_step = std::min(0.04, 1.0 / steps)},
        vrfm::TimeGrid{});
  } else {
    use(field, vrfm::Euler{}, vrfm::TimeGrid::uniform(0, 1, steps));
  }
}

template <class FlowType>
class Painter {
 public:
  Painter(const FlowType& flow, const Developer& developer, const SamplingOptions& options)
      : flow_(flow),
        developer_(developer),
        options_(resolved(options, flow.networks().velocity.inputs().second_time)),
        source_(vrfm::standard_normal<float>(flow.exec(), flow.dimension())) {
    const int classes = flow_.networks().velocity.inputs().classes;
    if (options_.classes.empty()) {
      for (int label = 0; label < classes; ++label) options_.classes.push_back(label);
    }
    for (const int label : options_.classes) {
      vrfm::expect(label >= 0 && label < classes, "--classes: expected labels 0 to ", classes - 1,
                   ", found ", label);
    }
  }

  /// Throws std::invalid_argument for options that do not fit this flow.
  void check() const {
    const auto field = vrfm::velocity_of(flow_, given({}, 1, 0));
    vrfm::expect(options_.solver != "sde" || !vrfm::tells_start(field),
                 "this flow's z tells of x0, because its posterior or prior sees x0 or x_t",
                 "; --sampler euler, heun or dopri5 needs no score");
    with_solver(options_, field, [](const auto&, const auto& solver, const vrfm::TimeGrid& grid) {
      solver.check(grid);
    });
  }

  /// With what is usual where nothing was said.
  const SamplingOptions& options() const { return options_; }

  /// The class of image number i; -1: there are none.
  int class_of(std::size_t i) const {
    return options_.classes.empty() ? -1 : options_.classes[i % options_.classes.size()];
  }

  /// Independent images. The root calls `between` behind some of them.
  Picture draw(int count, std::uint32_t seed, const std::function<void()>& between = {}) const {
    Picture picture = empty();
    if (common::is_root()) picture.shape[0] = static_cast<std::size_t>(count);
    picture.pixels.resize(picture.shape[0] * each());
    pieces(count, seed, [&](int, std::size_t first, std::span<const std::uint8_t> pixels) {
      std::copy(pixels.begin(), pixels.end(), &picture.pixels[first * each()]);
      if (between) between();
    });
    return picture;
  }

  /// Independent images piece by piece, of each rank at most a batch at a time: on the root to use(rank, first, pixels),
  /// the images number first, ... of a rank's share. Returns the mean number of evaluations of the network, of this
  /// rank's images.
  template <class Use>
  double pieces(int count, std::uint32_t seed, const Use& use) const {
    const auto all = static_cast<std::size_t>(count),
               batch = static_cast<std::size_t>(options_.batch);
    const int ranks = common::communicator().size();
    const auto part = [&](int rank, std::size_t done) {  // of a rank's share, behind what is done
      const vrfm::Share share = vrfm::share_of(all, rank, ranks);
      const std::size_t begin = std::min<std::size_t>(done, share.count);
      return vrfm::Share{share.first + begin, std::min<std::size_t>(batch, share.count - begin)};
    };
    double evaluations = 0;
    for (std::size_t done = 0; part(0, done).count > 0; done += batch) {  // rank 0 has most
      const vrfm::Share own = part(common::communicator().rank(), done);
      std::vector<std::uint8_t> mine;
      if (own.count > 0) {
        const Numbers x = noise(own.count, seed, own.first);
        evaluations += integrate(x, {}, seed, own.first) * static_cast<double>(own.count);
        mine = developer_.pixels(x);
      }
      const auto gathered =
          vrfm::gather(common::communicator(), std::span<const std::uint8_t>(mine));
      std::span<const std::uint8_t> left(gathered);
      for (int rank = 0; rank < ranks && !left.empty(); ++rank) {
        const vrfm::Share share = part(rank, done);
        if (share.count == 0) continue;
        use(rank, share.first, left.first(share.count * each()));
        left = left.subspan(share.count * each());
      }
    }
    const vrfm::Share mine = share_of(all);
    return mine.count > 0 ? evaluations / static_cast<double>(mine.count) : 0;
  }

  /// A picture without images yet.
  Picture empty() const {
    Picture picture{{0}, {}, developer_.scale};
    for (const int extent : developer_.shape) {
      picture.shape.push_back(static_cast<std::size_t>(extent));
    }
    return picture;
  }

  /// The number of the first of this rank's share of `count` images.
  std::size_t first_of(int count) const { return share_of(static_cast<std::size_t>(count)).first; }

  /// The numbers of independent images of this rank's share, some at a time, to use(x).
  template <class Use>
  void numbers(int count, std::uint32_t seed, const Use& use) const {
    const vrfm::Share share = share_of(static_cast<std::size_t>(count));
    const auto batch = static_cast<std::size_t>(options_.batch);
    for (std::size_t done = 0; done < share.count; done += batch) {
      use(drawn({share.first + done, std::min<std::size_t>(batch, share.count - done)}, seed));
    }
  }

  /// One x0, number `which` of `seed`, and in row i and column j of side x side images the z that the
  /// inverse normal distribution has at ((j + 1/2), (i + 1/2)) / side.
  Picture manifold(int side, std::uint32_t seed, int which) const {
    const Numbers one = noise(1, seed, static_cast<std::size_t>(which));
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
    integrate(x, z, seed, share.first);
    develop(x, picture);
    return gathered(picture);
  }

  /// `count` images that share z number `which` of `seed`, which a learned prior draws for the class and x0 of image
  /// number `which`; the same x0 at the same place for each z.
  Picture shared(int count, std::uint32_t seed, int which) const {
    const auto first = static_cast<std::size_t>(which);
    const auto& prior = flow_.networks().prior;
    vrfm::LatentOptions<float, Exec> options{.seed = seed, .first_id = first};
    if (contains(prior.input(), vrfm::EncoderInput::x0)) options.x0 = noise(1, seed, first);
    if (prior.inputs().classes > 0) options.condition = given({}, 1, first).condition;
    const auto z = vrfm::draw_latents(flow_, 1, options);
    Picture picture = empty();
    const vrfm::Share share = share_of(static_cast<std::size_t>(count));
    if (share.count == 0) return gathered(picture);
    const Numbers x = noise(share.count, seed, share.first);
    integrate(x, z, seed, share.first);
    develop(x, picture);
    return gathered(picture);
  }

 private:
  /// Values of an image.
  std::size_t each() const {
    std::size_t product = 1;
    for (const int extent : developer_.shape) product *= static_cast<std::size_t>(extent);
    return product;
  }

  /// The numbers of these images.
  Numbers drawn(const vrfm::Share& images, std::uint32_t seed) const {
    const Numbers x = noise(images.count, seed, images.first);
    integrate(x, {}, seed, images.first);
    return x;
  }

  /// x0 of the images number first, first + 1, ...
  Numbers noise(std::size_t count, std::uint32_t seed, std::size_t first) const {
    return vrfm::draw_all(flow_.exec(), source_, static_cast<std::int64_t>(count), seed,
                          vrfm::purpose_of(vrfm::Use::sampling, vrfm::Purpose::source), first);
  }

  /// z, classes and guidance of `count` images from number `first` on.
  vrfm::VelocityOptions<float, Exec> given(const Numbers& z, std::size_t count,
                                           std::size_t first) const {
    vrfm::VelocityOptions<float, Exec> options{.latents = z};
    if (options_.classes.empty()) return options;
    const vrfm::Array<std::int32_t, Exec> labels("images::labels", count);
    const auto host = Kokkos::create_mirror_view(labels);
    for (std::size_t i = 0; i < count; ++i) host(i) = class_of(first + i);
    Kokkos::deep_copy(labels, host);
    options.condition.labels = labels;
    options.guidance = options_.guidance;
    if (options_.guidance == 1) return options;
    const int channels = options_.guidance_channels, all = developer_.channels;
    vrfm::expect(channels <= all, "--guidance-channels: expected at most the ", all,
                 " channels that there are, got ", channels);
    vrfm::expect(options_.guidance_from <= options_.guidance_to,
                 "--guidance-from: expected at most --guidance-to ", options_.guidance_to, ", got ",
                 options_.guidance_from);
    options.reach = {.from = options_.guidance_from,
                     .to = options_.guidance_to,
                     .channels = channels > 0 ? channels : 1,
                     .of = channels > 0 ? all : 1};
    return options;
  }

  /// Moves x0 of the images number first, first + 1, ... to images, at most a batch at a time; z: empty, or used
  /// round and round. Returns the mean number of evaluations.
  double integrate(const Numbers& x, const Numbers& z, std::uint32_t seed,
                   std::size_t first) const {
    double evaluations = 0;
    with_solver(
        options_, vrfm::velocity_of(flow_, given(z, x.extent(0), first)),
        [&](const auto& field, const auto& solver, const vrfm::TimeGrid& grid) {
          const vrfm::Result result = vrfm::integrate_all(
              flow_.exec(), field, x, solver,
              {.grid = grid, .seed = seed, .first_id = first, .launch = {.batch = options_.batch}});
          result.expect_finished();
          evaluations = result.mean_evaluations;
        });
    return evaluations;
  }

  void develop(const Numbers& x, Picture& picture) const {
    const auto pixels = developer_.pixels(x);
    picture.pixels.insert(picture.pixels.end(), pixels.begin(), pixels.end());
    picture.shape[0] += x.extent(0);
  }

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

  FlowType flow_;
  Developer developer_;
  SamplingOptions options_;
  vrfm::GaussianMixture<float, Exec> source_;
};

}  // namespace images
