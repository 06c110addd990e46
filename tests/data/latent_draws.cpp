// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Latents drawn inside kernels from several files: those of the addresses that images have, with their labels, as
// they are, mirrored, or from their mean and deviation.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/core/launch.hpp>
#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/latent_draws.hpp>
#include <vrfm/data/mixture.hpp>

using namespace vrfm;
using test::TemporaryFolder;
using test::thrown;

namespace {

constexpr std::size_t channels = 2, height = 2, width = 3, each = channels * height * width;

/// The number of channel c of pixel p of latent i.
float number(std::size_t i, std::size_t p, std::size_t c, bool flipped) {
  return static_cast<float>(100 * i + 10 * p + c) + (flipped ? 0.5f : 0.0f);
}

struct Kinds {
  bool flip = true, moments = false;
};

/// Files of 2, 1 and 4 latents, latent i of class i % 3.
LatentFiles files_in(const TemporaryFolder& folder, Kinds kinds) {
  std::size_t first = 0;
  for (const std::size_t rows : {2u, 1u, 4u}) {
    std::vector<float> latents, flipped, deviations(rows * each, 0.25f);
    std::vector<std::int64_t> labels;
    for (std::size_t i = first; i < first + rows; ++i) {
      labels.push_back(static_cast<std::int64_t>(i % 3));
      for (std::size_t c = 0; c < channels; ++c) {
        for (std::size_t p = 0; p < height * width; ++p) {
          latents.push_back(number(i, p, c, false));
          flipped.push_back(number(i, p, c, true));
        }
      }
    }
    const std::vector<std::size_t> shape{rows, channels, height, width};
    std::vector<Tensor> tensors{make_tensor("latents", shape, latents),
                                make_tensor("labels", {rows}, labels)};
    if (kinds.flip) tensors.push_back(make_tensor("latents_flip", shape, flipped));
    if (kinds.moments) tensors.push_back(make_tensor("deviations", shape, deviations));
    if (kinds.moments && kinds.flip) {
      tensors.push_back(make_tensor("deviations_flip", shape, deviations));
    }
    write_safetensors(folder / ("part-" + std::to_string(first) + ".safetensors"), tensors);
    first += rows;
  }
  return LatentFiles::open(folder.path(), Split::train);
}

template <class T, class Exec>
struct DrawOne {
  LatentDraws<Exec> draws;
  Table<T, Exec> x;
  Array<std::int32_t, Exec> labels;
  std::uint32_t step;
  KOKKOS_FUNCTION void operator()(int i) const {
    Slot<T> slot{};
    slot.x1 = &x(i, 0);
    slot.label = &labels(i);
    draws.draw(static_cast<std::uint64_t>(i), step, RandomStream(5, Purpose::target), slot);
  }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("drawn latents are the files', with their labels", "[data][latents]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  static_assert(ConditionalDistribution<LatentDraws<Exec>, T>);
  static_assert(Coupling<IndependentCoupling<GaussianMixture<T, Exec>, LatentDraws<Exec>>, T>);
  const Exec exec;
  const TemporaryFolder folder;
  const bool moments = GENERATE(false, true);
  const LatentFiles files = files_in(folder, {true, moments});
  for (const bool mirror : {false, true}) {
    const LatentDraws<Exec> draws(exec, files,
                                  {.batch = 4, .mirror = mirror, .classes = 3, .factor = 2});
    CHECK(draws.dimension() == static_cast<int>(each));
    CHECK(draws.condition() == ConditionShape{.classes = 3});
    const Table<T, Exec> x("x", 4, each);
    const Array<std::int32_t, Exec> labels("labels", 4);
    bool both[2] = {};
    double sum = 0, squares = 0, count = 0;
    for (std::uint32_t step = 0; step < 30; ++step) {
      launch_each(exec, "draw", 4, DrawOne<T, Exec>{draws, x, labels, step});
      const auto host = to_host(exec, x);
      const auto host_labels = to_host(exec, labels);
      for (std::size_t i = 0; i < 4; ++i) {
        const ImageDraw drawn = image_draw(7, 4, mirror, i, step, RandomStream(5, Purpose::target));
        const auto index = static_cast<std::size_t>(drawn.index);
        both[drawn.mirrored] = true;
        CHECK(host_labels(i) == drawn.index % 3);
        for (std::size_t d = 0; d < each; ++d) {
          const T mean =
              2 * static_cast<T>(number(index, d / channels, d % channels, drawn.mirrored));
          if (!moments) {
            CHECK(host(i, d) == mean);
            continue;
          }
          const auto noise = static_cast<double>(host(i, d) - mean) / 0.5;
          sum += noise;
          squares += noise * noise;
          ++count;
        }
      }
    }
    CHECK(both[0]);
    CHECK(both[1] == mirror);
    if (moments) {  // of 1,440 standard normal numbers, within four deviations
      CHECK(std::fabs(sum / count) < 4 / std::sqrt(count));
      CHECK(std::fabs(squares / count - 1) < 4 * std::sqrt(2 / count));
    }
  }
}

TEST_CASE("latents that do not fit what is asked of them are refused", "[data][latents]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const TemporaryFolder folder;
  const LatentFiles files = files_in(folder, {false, false});
  const auto error = [&](const LatentDrawsOptions& options) {
    return thrown<std::invalid_argument>([&] { LatentDraws<Exec>(Exec(), files, options); });
  };
  CHECK(test::contains(error({.batch = 0}), "latents are drawn in batches of at least 1, got 0"));
  CHECK(test::contains(error({.mirror = true}),
                       "part-0.safetensors: expected a tensor 'latents_flip'"));
  CHECK(test::contains(error({.classes = -1}), "latents need classes >= 0, got -1"));
  CHECK(test::contains(error({.classes = 2}), "expected labels below 2 in all files, found 2"));
  const LatentDraws<Exec> draws(Exec(), files, {.batch = 3});
  CHECK(draws.condition() == ConditionShape{});
  draws.check(3);
  CHECK(test::contains(thrown<std::invalid_argument>([&] { draws.check(4); }),
                       "drawn in batches of 3, but a step draws 4"));
}
