// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Image grids: by hand, and every pixel of random ones; impossible ones are refused.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/image_grid.hpp>

namespace {

using vrfm::test::has_all;
using vrfm::test::slurp;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;
using Pixels = std::vector<std::uint8_t>;
using Shape = std::vector<std::size_t>;

}  // namespace

TEST_CASE("image grid: three images by hand", "[io]") {
  // Of height 1 and width 2: two columns, the last place empty.
  const auto grid = vrfm::image_grid(Shape{3, 1, 2, 1}, Pixels{1, 2, 3, 4, 5, 6},
                                     {.border = 1, .border_value = 9});
  CHECK(grid.width == 7);
  CHECK(grid.height == 5);
  CHECK(grid.channels == 1);
  CHECK(grid.pixels == Pixels{9, 9, 9, 9, 9, 9, 9,  //
                              9, 1, 2, 9, 3, 4, 9,  //
                              9, 9, 9, 9, 9, 9, 9,  //
                              9, 5, 6, 9, 9, 9, 9,  //
                              9, 9, 9, 9, 9, 9, 9});
  const auto scaled =
      vrfm::image_grid(Shape{1, 1, 2, 3}, Pixels{1, 2, 3, 4, 5, 6}, {.scale = 2, .border = 0});
  CHECK(scaled.pixels == Pixels{1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6,  //
                                1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6});
}

TEST_CASE("image grid: every pixel is where it belongs", "[io]") {
  struct Row {
    Shape shape;
    vrfm::GridStyle style;
    std::size_t columns, rows;
  };
  const Row rows[] = {
      {{1, 3, 5, 1}, {}, 1, 1},
      {{5, 3, 5, 3}, {}, 3, 2},
      {{9, 3, 5, 1}, {.scale = 3, .border = 1}, 3, 3},
      {{10, 2, 2, 3}, {.columns = 10, .scale = 2, .border = 0}, 10, 1},
      {{10, 4, 2, 1}, {.columns = 3, .border = 5, .border_value = 7}, 3, 4},
      {{3, 4, 2, 1}, {.columns = 4}, 4, 1},
  };
  for (const auto& [shape, style, columns, rows_expected] : rows) {
    const std::size_t height = shape[1], width = shape[2], channels = shape[3];
    Pixels pixels(shape[0] * height * width * channels);
    std::uint32_t state = 1;
    for (std::uint8_t& pixel : pixels) {
      state = state * 1664525u + 1013904223u;
      pixel = static_cast<std::uint8_t>(state >> 24);
    }
    const auto grid = vrfm::image_grid(shape, pixels, style);
    const std::size_t step_x = width * style.scale + style.border,
                      step_y = height * style.scale + style.border;
    CHECK(grid.width == columns * step_x + style.border);
    CHECK(grid.height == rows_expected * step_y + style.border);
    CHECK(grid.channels == channels);
    // From where a pixel is to what it shows: the other way round than the layout.
    std::size_t wrong = 0;
    for (std::size_t y = 0; y < grid.height; ++y) {
      for (std::size_t x = 0; x < grid.width; ++x) {
        for (std::size_t c = 0; c < channels; ++c) {
          std::uint8_t expected = style.border_value;
          const std::size_t image = y / step_y * columns + x / step_x;
          const bool inside = x % step_x >= style.border && y % step_y >= style.border;
          if (inside && image < shape[0]) {
            const std::size_t u = (x % step_x - style.border) / style.scale,
                              v = (y % step_y - style.border) / style.scale;
            expected = pixels[((image * height + v) * width + u) * channels + c];
          }
          wrong += grid.pixels[(y * grid.width + x) * channels + c] != expected;
        }
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("image grid: the file is the grid's PNG", "[io]") {
  const TemporaryFolder folder;
  const Shape shape{4, 2, 2, 3};
  const Pixels pixels(48, 100);
  vrfm::write_image_grid(folder / "grid.png", shape, pixels, {.scale = 2});
  const auto grid = vrfm::image_grid(shape, pixels, {.scale = 2});
  vrfm::write_png(folder / "image.png", grid.width, grid.height, grid.channels, grid.pixels);
  CHECK((slurp(folder / "grid.png") == slurp(folder / "image.png")));
}

TEST_CASE("image grid: impossible grids are refused", "[io]") {
  constexpr std::size_t huge = std::size_t{1} << 63;
  const Pixels pixels(12);
  const auto error = [&](const Shape& shape, const vrfm::GridStyle& style = {}) {
    return thrown<std::invalid_argument>([&] { vrfm::image_grid(shape, pixels, style); });
  };
  CHECK(has_all(error({3, 2, 2}), {"expected images of shape", "found [3, 2, 2]"}));
  CHECK(has_all(error({0, 2, 2, 3}), {"extents in [1, 2^20]", "found [0, 2, 2, 3]"}));
  CHECK(has_all(error({huge, 2, 2, 3}), {"extents in [1, 2^20]"}));
  CHECK(has_all(error({2, 2, 2, 3}), {"as many pixels as in [2, 2, 2, 3], found 12"}));
  CHECK(has_all(error({3, 1, 2, 2}), {"png: expected 1 or 3 channels"}));
  CHECK(has_all(error({3, 2, 2, 1}, {.scale = 0}), {"a scale in [1, 2^20]", "found 0"}));
  CHECK(has_all(error({3, 2, 2, 1}, {.border = huge}), {"found 1, 0 and 9223372036854775808"}));
  CHECK(has_all(error({3, 2, 2, 1}, {.columns = huge}), {"columns and border of at most"}));
  CHECK(has_all(error({3, 2, 2, 1}, {.scale = 300'000}), {"png: expected width and height"}));
  CHECK(has_all(error({3, 2, 2, 1}, {.scale = 20'000}), {"png: expected fewer than 2^31 values"}));
}
