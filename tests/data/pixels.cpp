// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pixels: all 256 survive the way to a number and back, and what lies outside is clipped.
#include <cmath>
#include <cstdint>
#include <limits>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>

#include <vrfm/data/pixels.hpp>

using namespace vrfm;

TEMPLATE_TEST_CASE("all pixels survive the way to a number and back", "[data][pixels]", float,
                   double) {
  for (int u = 0; u < 256; ++u) {
    const auto pixel = static_cast<std::uint8_t>(u);
    const TestType x = from_pixel<TestType>(pixel);
    CAPTURE(u, x);
    CHECK(std::fabs(x - (2.0 * u / 255 - 1)) <= 2 * test::epsilon<TestType>);
    CHECK(to_pixel(x) == pixel);
    // So does a number that is off by almost half a pixel.
    CHECK(to_pixel(x + TestType(0.498 / 127.5)) == pixel);
    CHECK(to_pixel(x - TestType(0.498 / 127.5)) == pixel);
  }
  CHECK(from_pixel<TestType>(0) == -1);
  CHECK(from_pixel<TestType>(255) == 1);
}

TEMPLATE_TEST_CASE("numbers beyond the pixels are clipped", "[data][pixels]", float, double) {
  constexpr TestType infinity = std::numeric_limits<TestType>::infinity();
  for (const TestType x : {TestType(-1.01), TestType(-30), -infinity}) CHECK(to_pixel(x) == 0);
  for (const TestType x : {TestType(1.01), TestType(30), infinity}) CHECK(to_pixel(x) == 255);
  CHECK(to_pixel(std::numeric_limits<TestType>::quiet_NaN()) == 0);
  // clip(127.5 x + 128, 0, 255), truncated
  CHECK(to_pixel(TestType(0)) == 128);
  CHECK(to_pixel(TestType(-0.0078125)) == 127);
}
