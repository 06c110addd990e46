// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What convolutions, pooling and upsampling say of extents that cannot be.
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/layers/conv.hpp>
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

TEST_CASE("convolutions say what is wrong with their windows", "[layers]") {
  const auto error_of = [](const Window& window) {
    ParameterList list;
    return thrown<std::invalid_argument>([&] { Conv(list, "conv", window, 1, 1); });
  };
  CHECK(error_of(Window::over(4, 3, 0)) ==
        "vrfm: convolution 'conv' needs kernel >= 1, stride >= 1 and padding >= 0, got 3, 0 and 0");
  CHECK(error_of(Window::over({4, 2}, 3)) ==
        "vrfm: convolution 'conv': the kernel of 3 x 3 is larger than the image of 4 x 2 padded by "
        "0 x 0");
  CHECK(error_of(Window::over({1, 4, 5}, 4, 1, 1)) ==
        "vrfm: convolution 'conv': the kernel of 4 x 4 x 4 is larger than the image of 1 x 4 x 5 "
        "padded by 1 x 1 x 1");
  CHECK(error_of({.height = 4, .width = 4, .depth = 2}) ==
        "vrfm: convolution 'conv' has extents along axes that its window of 2 lacks");
  CHECK(error_of({.height = 4, .width = 4, .axes = 1}) ==
        "vrfm: convolution 'conv' has extents along axes that its window of 1 lacks");
  CHECK(error_of({.height = 1, .width = 4, .behind = 1, .axes = 1}) ==
        "vrfm: convolution 'conv' pads behind alone, which only images are, got 1 axes");
  CHECK(error_of({.height = 4, .width = 4, .axes = 4}) ==
        "vrfm: convolution 'conv' needs a window of 1 to 3 axes, got 4");
}
