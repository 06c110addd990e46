// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The stand-in sets from end to end: written as files, read by the readers of the real sets, drawn
// in kernels; equal seeds give equal files, and the labels tell what is to be seen.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <examples/standins/standins.hpp>
#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>

#include <vrfm/data/draw.hpp>
#include <vrfm/data/image_draws.hpp>
#include <vrfm/io/cifar10.hpp>
#include <vrfm/io/mnist.hpp>

namespace {

using vrfm::Images;
using vrfm::Split;
using vrfm::test::slurp;
using vrfm::test::TemporaryFolder;
using Names = std::vector<std::string>;

void check_same(const Images& read, const Images& made) {
  CHECK(read.count == made.count);
  CHECK(read.height == made.height);
  CHECK(read.width == made.width);
  CHECK(read.channels == made.channels);
  CHECK(read.pixels == made.pixels);
  CHECK(read.labels == made.labels);
}

/// The share of images whose label is that of the nearest mean image of a label.
double recognised(const Images& train, const Images& test) {
  const std::size_t each = train.height * train.width * train.channels;
  std::vector<double> means(10 * each), count(10);
  for (std::size_t i = 0; i < train.count; ++i) {
    count[train.labels[i]] += 1;
    for (std::size_t d = 0; d < each; ++d)
      means[train.labels[i] * each + d] += train.pixels[i * each + d];
  }
  double right = 0;
  for (std::size_t i = 0; i < test.count; ++i) {
    std::vector<double> distance(10);
    for (std::size_t label = 0; label < 10; ++label)
      for (std::size_t d = 0; d < each; ++d) {
        const double e = test.pixels[i * each + d] - means[label * each + d] / count[label];
        distance[label] += e * e;
      }
    const auto nearest = std::min_element(distance.begin(), distance.end()) - distance.begin();
    right += nearest == test.labels[i];
  }
  return right / static_cast<double>(test.count);
}

/// The sorted images of `x`, rows of numbers, as pixels. Strings, because GCC 12 warns where it
/// orders vectors of bytes.
std::vector<std::string> rows_of(const std::vector<double>& x, std::size_t each) {
  std::vector<std::string> rows(x.size() / each);
  for (std::size_t k = 0; k < x.size(); ++k)
    rows[k / each].push_back(static_cast<char>(vrfm::to_pixel(x[k])));
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// An epoch that is drawn in kernels holds each image of the set once.
template <class Exec>
void check_epoch(const Images& images) {
  const Exec exec;
  const auto count = static_cast<int>(images.count);
  const vrfm::ImageDraws<Exec> draws(vrfm::ImageSet<Exec>(exec, images), count);
  const auto epoch = vrfm::draw_all<float>(exec, draws, count, 3, vrfm::Purpose::target);
  const std::vector<double> all(images.pixels.begin(), images.pixels.end());
  const std::size_t each = images.pixels.size() / images.count;
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < images.count; ++i)
    expected.emplace_back(images.pixels.begin() + static_cast<std::ptrdiff_t>(i * each),
                          images.pixels.begin() + static_cast<std::ptrdiff_t>((i + 1) * each));
  std::sort(expected.begin(), expected.end());
  CHECK(rows_of(vrfm::test::numbers_of(epoch), each) == expected);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("written digits go through MNIST's files", "[data][standins]",
                        vrfm::test::Spaces) {
  for (const bool gzip : {false, true}) {
    const TemporaryFolder folder;
    standins::write_digits(folder / "set", 60, 20, 4, gzip);
    const Images train = vrfm::read_mnist(folder / "set", Split::train);
    check_same(train, standins::make_images(standins::Set::digits, Split::train, 60, 4));
    check_same(vrfm::read_mnist(folder / "set", Split::test),
               standins::make_images(standins::Set::digits, Split::test, 20, 4));
    CHECK(train.height == 28);
    check_epoch<TestType>(train);
    CHECK(slurp(folder / "set" / "preview.png").starts_with("\x89PNG"));
  }
}

TEMPLATE_LIST_TEST_CASE("coloured shapes go through CIFAR-10's files", "[data][standins]",
                        vrfm::test::Spaces) {
  const TemporaryFolder folder;
  standins::write_shapes(folder / "set", 60, 20, 4);
  const Images train = vrfm::read_cifar10(folder / "set", Split::train);
  check_same(train, standins::make_images(standins::Set::shapes, Split::train, 60, 4));
  check_same(vrfm::read_cifar10(folder / "set", Split::test),
             standins::make_images(standins::Set::shapes, Split::test, 20, 4));
  check_epoch<TestType>(train);
  CHECK(slurp(folder / "set" / "preview.png").starts_with("\x89PNG"));
}

TEST_CASE("stand-ins depend on seed, split and number", "[data][standins]") {
  for (const auto set : {standins::Set::digits, standins::Set::shapes}) {
    const Images some = standins::make_images(set, Split::train, 30, 4);
    const Images more = standins::make_images(set, Split::train, 40, 4);
    CHECK(std::equal(some.pixels.begin(), some.pixels.end(), more.pixels.begin()));
    CHECK(standins::make_images(set, Split::test, 30, 4).pixels != some.pixels);
    CHECK(standins::make_images(set, Split::train, 30, 5).pixels != some.pixels);
    // No image is like another.
    std::set<std::string> distinct;
    const std::size_t each = some.pixels.size() / some.count;
    for (std::size_t i = 0; i < some.count; ++i)
      distinct.emplace(reinterpret_cast<const char*>(&some.pixels[i * each]), each);
    CHECK(distinct.size() == some.count);
  }
}

TEST_CASE("stand-ins look like their labels", "[data][standins]") {
  for (const auto set : {standins::Set::digits, standins::Set::shapes}) {
    const Images train = standins::make_images(set, Split::train, 400, 4);
    const Images test = standins::make_images(set, Split::test, 100, 4);
    CHECK(std::set<std::uint8_t>(train.labels.begin(), train.labels.end()).size() == 10);
    // A guess is right once in ten times.
    CHECK(recognised(train, test) > 0.5);
  }
}
