// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Images drawn inside kernels: every image once an epoch, the same ones for any split of the batch
// and from any step on, fair mirroring, and the numbers of the pixels.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include <tests/couplings/draw_pairs.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/draw.hpp>
#include <vrfm/data/image_draws.hpp>
#include <vrfm/data/mixture.hpp>

using namespace vrfm;

namespace {

/// Images whose every number differs from those of the images around them.
Images numbered(std::size_t count, std::size_t height, std::size_t width, std::size_t channels) {
  Images images{count, height, width, channels, {}, {}};
  for (std::size_t k = 0; k < count * height * width * channels; ++k)
    images.pixels.push_back(static_cast<std::uint8_t>(k * 37 + k / 256));
  for (std::size_t k = 0; k < count; ++k)
    images.labels.push_back(static_cast<std::uint8_t>(k % 10));
  return images;
}

template <class Exec>
ImageSet<Exec> set_of(const Images& images) {
  return {Exec(), images};
}

/// The numbers of image i as they are or mirrored.
template <class T>
std::vector<double> expected(const Images& images, std::size_t i, bool mirrored) {
  std::vector<double> x;
  for (std::size_t r = 0; r < images.height; ++r)
    for (std::size_t c = 0; c < images.width; ++c)
      for (std::size_t k = 0; k < images.channels; ++k) {
        const std::size_t column = mirrored ? images.width - 1 - c : c;
        x.push_back(static_cast<double>(from_pixel<T>(
            images
                .pixels[((i * images.height + r) * images.width + column) * images.channels + k])));
      }
  return x;
}

using Drawn = std::pair<int, bool>;

template <class Exec>
std::vector<Drawn> drawn(const ImageDraws<Exec>& draws, std::uint64_t first, std::size_t count,
                         std::uint32_t step, std::uint32_t seed) {
  const RandomStream stream(seed, Purpose::target);
  std::vector<Drawn> result;
  for (std::size_t i = 0; i < count; ++i) {
    const ImageDraw draw = draws.which(first + i, step, stream);
    result.emplace_back(draw.index, draw.mirrored);
  }
  return result;
}

using Host = Kokkos::DefaultHostExecutionSpace;

}  // namespace

TEMPLATE_LIST_TEST_CASE("drawn images are the set's, as they are or mirrored", "[data][images]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  static_assert(Distribution<ImageDraws<Exec>, T>);
  static_assert(Coupling<IndependentCoupling<GaussianMixture<T, Exec>, ImageDraws<Exec>>, T>);
  const Exec exec;
  for (const std::size_t channels : {std::size_t{1}, std::size_t{3}}) {
    const Images images = numbered(7, 3, 5, channels);
    for (const bool mirror : {false, true}) {
      const ImageDraws<Exec> draws(set_of<Exec>(images), 4, mirror);
      REQUIRE(draws.dimension() == static_cast<int>(15 * channels));
      bool both[2] = {};
      for (std::uint32_t step = 0; step < 6; ++step) {
        const auto x = test::numbers_of(draw_all<T>(exec, draws, 4, 5, Purpose::target, 0, step));
        std::vector<double> wanted;
        // Which image it is, is the host's answer: the device must give the same.
        const ImageDraws<Host> on_host(set_of<Host>(images), 4, mirror);
        for (const auto& [index, mirrored] : drawn(on_host, 0, 4, step, 5)) {
          both[mirrored] = true;
          const auto image = expected<T>(images, static_cast<std::size_t>(index), mirrored);
          wanted.insert(wanted.end(), image.begin(), image.end());
        }
        CHECK(x == wanted);
      }
      CHECK(both[0]);
      CHECK(both[1] == mirror);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("images are drawn with their labels where these are asked for",
                        "[data][images]", test::Spaces) {
  using Exec = TestType;
  static_assert(ConditionalDistribution<ImageDraws<Exec>, float>);
  const Exec exec;
  const auto set = set_of<Exec>(numbered(7, 3, 5, 1));
  const auto source = standard_normal<float>(exec, 15);
  const ImageDraws<Exec> labelled(set, 4, true, 10), plain(set, 4, true);
  CHECK(set.classes() == 7);
  CHECK(labelled.condition() == ConditionShape{.classes = 10});
  CHECK(plain.condition() == ConditionShape{});
  for (std::uint32_t step = 0; step < 4; ++step) {
    const DrawAddress address{.seed = 5, .step = step};
    const auto with = test::draw_pairs<float>(exec, independent(source, labelled), 4, address);
    const auto without = test::draw_pairs<float>(exec, independent(source, plain), 4, address);
    // Labels change no image.
    CHECK(with.x1 == without.x1);
    const RandomStream stream = address.stream(Purpose::target);
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(with.label[i] == labelled.which(i, step, stream).index);
      CHECK(with.dropped[i] == 0);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("an image set holds the reader's images", "[data][images]", test::Spaces) {
  const Images images = numbered(4, 2, 3, 3);
  const auto set = set_of<TestType>(images);
  CHECK(set.count() == 4);
  CHECK(set.height() == 2);
  CHECK(set.width() == 3);
  CHECK(set.channels() == 3);
  CHECK(set.dimension() == 18);
  const auto pixels = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), set.pixels());
  const auto labels = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), set.labels());
  REQUIRE(labels.extent(0) == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(labels(i) == images.labels[i]);
    for (std::size_t d = 0; d < 18; ++d) CHECK(pixels(i, d) == images.pixels[18 * i + d]);
  }
  Images unlabelled = images;
  unlabelled.labels.clear();
  CHECK(set_of<TestType>(unlabelled).labels().extent(0) == 0);
  CHECK(set_of<TestType>(unlabelled).classes() == 0);
}

TEST_CASE("each image comes once an epoch, across batches of any size", "[data][images]") {
  const auto set = set_of<Host>(numbered(100, 1, 1, 1));
  for (const int batch : {1, 7, 64, 100, 130}) {
    const ImageDraws<Host> draws(set, batch, true);
    std::vector<Drawn> sequence;
    const auto steps = static_cast<std::uint32_t>((300 + batch - 1) / batch);
    for (std::uint32_t step = 0; step < steps; ++step)
      for (const Drawn& d : drawn(draws, 0, static_cast<std::size_t>(batch), step, 2))
        sequence.push_back(d);
    std::vector<std::vector<Drawn>> epochs;
    for (std::size_t e = 0; e < 3; ++e) {
      const auto begin = sequence.begin() + static_cast<std::ptrdiff_t>(100 * e);
      epochs.emplace_back(begin, begin + 100);
      std::set<int> indices;
      for (const Drawn& d : epochs.back()) indices.insert(d.first);
      CHECK(indices.size() == 100);
    }
    CHECK(epochs[0] != epochs[1]);
    CHECK(epochs[1] != epochs[2]);
    // The order and the mirroring are those of every other batch size.
    sequence.resize(300);
    CHECK(sequence == drawn(ImageDraws<Host>(set, 300, true), 0, 300, 0, 2));
  }
}

TEMPLATE_LIST_TEST_CASE("draws depend on their address and the seed alone", "[data][images]",
                        test::Spaces) {
  using Exec = TestType;
  const Exec exec;
  const ImageDraws<Exec> draws(set_of<Exec>(numbered(50, 2, 4, 3)), 12, true);
  const auto part = [&](std::uint64_t first, int count, std::uint32_t step, std::uint32_t seed) {
    return test::numbers_of(
        draw_all<float>(exec, draws, count, seed, Purpose::target, first, step));
  };
  // Far into a run: a resumed run asks for this step first.
  const auto whole = part(0, 12, 1'000'000, 3);
  auto parts = part(0, 5, 1'000'000, 3);
  for (const double value : part(5, 7, 1'000'000, 3)) parts.push_back(value);
  CHECK(parts == whole);
  CHECK(part(0, 12, 1'000'001, 3) != whole);
  CHECK(part(0, 12, 1'000'000, 4) != whole);
}

TEST_CASE("an image is mirrored with probability one half, anew in each epoch", "[data][images]") {
  const auto set = set_of<Host>(numbered(100, 1, 1, 1));
  constexpr std::size_t epochs = 1'000, count = 100 * epochs;
  const auto sequence = drawn(ImageDraws<Host>(set, 100, true), 0, count, 0, 8);
  double mirrored = 0, repeated = 0;
  std::vector<double> of_image(100);
  std::vector<bool> last(100);
  for (std::size_t n = 0; n < count; ++n) {
    const auto [index, is_mirrored] = sequence[n];
    const auto i = static_cast<std::size_t>(index);
    mirrored += is_mirrored;
    of_image[i] += is_mirrored;
    if (n >= 100) repeated += is_mirrored == last[i];
    last[i] = is_mirrored;
  }
  const auto fair = [](double heads, double tosses) {
    return std::fabs(heads - tosses / 2) <= 5 * std::sqrt(tosses) / 2;
  };
  CHECK(fair(mirrored, count));
  CHECK(fair(repeated, count - 100));
  for (const double heads : of_image) CHECK(fair(heads, epochs));
  for (const auto& [index, is_mirrored] : drawn(ImageDraws<Host>(set, 100), 0, 1'000, 0, 8))
    CHECK(!is_mirrored);
}

TEST_CASE("image sets and batches are checked", "[data][images]") {
  const auto error = [](const Images& images) {
    return test::thrown<std::invalid_argument>([&] { set_of<Host>(images); });
  };
  Images none = numbered(0, 2, 2, 1), fewer = numbered(3, 2, 2, 1), unlabelled = fewer,
         wide = fewer;
  fewer.pixels.pop_back();
  unlabelled.labels.pop_back();
  wide.height = wide.width = 60'000;
  CHECK(error(none) == "vrfm: ImageSet: extents must be positive, but are 0 images of 2 x 2 x 1");
  CHECK(error(fewer) == "vrfm: ImageSet: expected pixels for 3 images of 4 numbers, but got 11");
  CHECK(error(unlabelled) == "vrfm: ImageSet: expected none or 3 labels, but got 2");
  CHECK(error(wide) ==
        "vrfm: ImageSet: expected images of fewer than 2^31 elements, but got 60000 x 60000 x 1");
  CHECK(test::thrown<std::invalid_argument>([] {
          ImageDraws<Host>(set_of<Host>(numbered(3, 2, 2, 1)), 0);
        }) == "vrfm: ImageDraws: batch must be positive, but is 0");
  const auto of_classes = [](const Images& images, int classes) {
    return test::thrown<std::invalid_argument>(
        [&] { ImageDraws<Host>(set_of<Host>(images), 2, false, classes); });
  };
  Images nameless = numbered(3, 2, 2, 1);
  nameless.labels.clear();
  CHECK(of_classes(numbered(3, 2, 2, 1), 2) == "vrfm: ImageDraws: expected labels below 2, got 2");
  CHECK(of_classes(nameless, 3) ==
        "vrfm: ImageDraws: expected images with labels of 3 classes, got images without labels");
  CHECK(of_classes(nameless, -1) == "vrfm: ImageDraws: classes must be >= 0, got -1");
  const ImageDraws<Host> draws(set_of<Host>(numbered(3, 2, 2, 1)), 4);
  CHECK_NOTHROW(draws.check(4));
  CHECK(test::thrown<std::invalid_argument>([&] { draws.check(5); }) ==
        "vrfm: these images are drawn in batches of 4, but a step draws 5");
}
