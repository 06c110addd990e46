// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What pooling and upsampling say of extents that cannot be.
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/layers/resample.hpp>

using namespace vrfm;
using namespace vrfm::test;

TEST_CASE("pooling and upsampling say what is wrong with their extents", "[layers]") {
  const auto pool = [](const PixelGrid& grid, int channels, int factor) {
    return thrown<std::invalid_argument>([&] { AveragePool(grid, channels, factor); });
  };
  CHECK(pool({0, 4}, 3, 2) ==
        "vrfm: average pooling needs at least one pixel and one channel, got 0 x 4 pixels and 3 "
        "channels");
  CHECK(pool({6, 4}, 3, 5) ==
        "vrfm: average pooling of 6 x 4 pixels needs a factor from 1 to 4, got 5");
  CHECK(contains(pool({6, 4}, 3, 0), "got 0"));
  CHECK(pool(3, 1, 4) == "vrfm: average pooling of 3 pixels needs a factor from 1 to 3, got 4");
  CHECK(pool({2, 6, 4}, 1, 3) ==
        "vrfm: average pooling of 2 x 6 x 4 pixels needs a factor from 1 to 2, got 3");
  CHECK(thrown<std::invalid_argument>([] {
          NearestUpsample({2, 3}, 4, 0);
        }) ==
        "vrfm: upsampling needs at least one pixel, one channel and a factor of 1, got 2 x 3 "
        "pixels, 4 channels and the factor 0");
}
