// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The square in the middle of pictures: what Pillow and center_crop_arr make of them (tests/golden/make_pictures.py).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/center_crop.hpp>
#include <vrfm/io/npz.hpp>

using vrfm::test::golden;
using vrfm::test::has_all;
using vrfm::test::thrown;

TEST_CASE("center crop: pixels are Pillow's", "[io]") {
  vrfm::NpzFile pictures(golden("pictures/pictures.npz"));
  int count = 0;
  for (const std::string& name : pictures.names()) {
    if (!name.starts_with("from_")) continue;
    CAPTURE(name);
    const auto from = pictures.read<std::uint8_t>(name);
    const auto to = pictures.read<std::uint8_t>("to_" + name.substr(5));
    const auto image = vrfm::center_crop({from.shape[1], from.shape[0], from.values}, to.shape[0]);
    CHECK(image.height == to.shape[0]);
    CHECK(image.width == to.shape[1]);
    REQUIRE(image.pixels.size() == to.values.size());
    int worst = 0;
    for (std::size_t i = 0; i < to.values.size(); ++i)
      worst = std::max(worst, std::abs(image.pixels[i] - to.values[i]));
    CHECK(worst <= 1);
    ++count;
  }
  CHECK(count == 8);
}

TEST_CASE("center crop: a picture of the size stays, and a middle is a middle", "[io]") {
  std::vector<std::uint8_t> pixels(3 * 4 * 4);
  std::iota(pixels.begin(), pixels.end(), std::uint8_t{0});
  CHECK(vrfm::center_crop({4, 4, pixels}, 4).pixels == pixels);
  CHECK(vrfm::center_crop({1, 3, {1, 2, 3, 40, 50, 60, 7, 8, 9}}, 1).pixels ==
        std::vector<std::uint8_t>{40, 50, 60});
  // Two by two pixels are their mean, a half upwards.
  CHECK(vrfm::center_crop({2, 2, {0, 10, 1, 4, 10, 2, 8, 10, 3, 16, 10, 4}}, 1).pixels ==
        std::vector<std::uint8_t>{7, 10, 3});
  const auto error = thrown<std::invalid_argument>([] {
    vrfm::center_crop({2, 3, std::vector<std::uint8_t>(17)}, 1);
  });
  CHECK(has_all(
      error,
      {"center crop: expected a size and an image of at least one pixel, with 3 values each, "
       "found the size 1 and 2 x 3 pixels of 17 values"}));
  CHECK(has_all(thrown<std::invalid_argument>([] {
                  vrfm::center_crop({0, 3, {}}, 1);
                }),
                {"0 x 3"}));
  CHECK(has_all(thrown<std::invalid_argument>([] {
                  vrfm::center_crop({1, 1, {1, 2, 3}}, 0);
                }),
                {"the size 0"}));
}
