// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// PNG images: libpng reads back the pixels that were written, and impossible images are refused.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <png.h>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/png.hpp>

namespace {

using vrfm::test::has_all;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;
using Names = std::vector<std::string>;

struct Image {
  std::size_t width, height, channels;
  std::vector<std::uint8_t> pixels;
};

Image decoded(const std::string& file) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&image, file.data(), file.size()))
    throw std::runtime_error(image.message);
  const bool grey = image.format == PNG_FORMAT_GRAY;
  if (!grey && image.format != PNG_FORMAT_RGB) throw std::runtime_error("neither grey nor RGB");
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
  if (!png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr))
    throw std::runtime_error(image.message);
  return {image.width, image.height, grey ? 1u : 3u, pixels};
}

}  // namespace

TEST_CASE("png: libpng reads back what was written", "[io]") {
  const TemporaryFolder folder;
  struct Size {
    std::size_t width, height, channels;
  };
  for (const auto [width, height, channels] :
       {Size{1, 1, 1}, Size{1, 1, 3}, Size{5, 3, 1}, Size{5, 3, 3}, Size{301, 257, 3}}) {
    CAPTURE(width, height, channels);
    std::vector<std::uint8_t> pixels(width * height * channels);
    std::uint32_t state = 1;
    for (std::uint8_t& pixel : pixels) {
      state = state * 1664525u + 1013904223u;
      pixel = static_cast<std::uint8_t>(state >> 24);
    }
    vrfm::write_png(folder / "a.png", width, height, channels, pixels);
    const Image image = decoded(slurp(folder / "a.png"));
    CHECK(image.width == width);
    CHECK(image.height == height);
    CHECK(image.channels == channels);
    CHECK(image.pixels == pixels);
    CHECK(folder.names() == Names{"a.png"});
  }
}

TEST_CASE("png: images are read as red, green and blue", "[io]") {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> colours{255, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, grey{0, 128, 255};
  vrfm::write_png(folder / "a.png", 2, 2, 3, colours);
  const auto a = vrfm::read_png(folder / "a.png");
  CHECK((a.width == 2 && a.height == 2));
  CHECK(a.pixels == colours);
  vrfm::write_png(folder / "grey.png", 3, 1, 1, grey);
  const auto b = vrfm::read_png(folder / "grey.png");
  CHECK((b.width == 3 && b.height == 1));
  CHECK(b.pixels == std::vector<std::uint8_t>{0, 0, 0, 128, 128, 128, 255, 255, 255});

  const std::string text = slurp(folder / "a.png");
  for (const std::size_t size : {std::size_t{20}, text.size() / 2, text.size() - 16}) {
    spill(folder / "cut.png", text.substr(0, size));
    CHECK(has_all(thrown<std::runtime_error>([&] { vrfm::read_png(folder / "cut.png"); }),
                  {"cut.png: expected a PNG, but libpng says: "}));
  }
  spill(folder / "none.png", "no picture, but words that are long enough");
  CHECK(has_all(thrown<std::runtime_error>([&] { vrfm::read_png(folder / "none.png"); }),
                {"none.png: expected a PNG, but libpng says: "}));
  spill(folder / "empty.png", "");
  CHECK(has_all(thrown<std::runtime_error>([&] { vrfm::read_png(folder / "empty.png"); }),
                {"empty.png: expected a PNG, found an empty file"}));
}

TEST_CASE("png: impossible images and places leave the earlier file untouched", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "a.png", "earlier");
  const std::vector<std::uint8_t> pixels(12);
  struct Row {
    std::size_t width, height, channels;
    std::vector<std::string> words;
  };
  constexpr std::size_t huge = std::size_t{1} << 62;
  const Row rows[] = {
      {3, 2, 2, {"expected 1 or 3 channels, found 3 x 2 x 2"}},
      {3, 4, 0, {"expected 1 or 3 channels"}},
      {0, 4, 1, {"expected width and height in [1, 1000000], found 0 x 4 x 1"}},
      {4, 0, 1, {"expected width and height", "4 x 0 x 1"}},
      {huge, 4, 1, {"expected width and height"}},
      {4, 1'000'001, 1, {"expected width and height"}},
      {4, 3, 3, {"expected 36 values", "4 x 3 x 3 and 12 values"}},
      {3, 3, 1, {"expected 9 values", "12 values"}},
  };
  for (const Row& row : rows) {
    const auto error = thrown<std::invalid_argument>(
        [&] { vrfm::write_png(folder / "a.png", row.width, row.height, row.channels, pixels); });
    CAPTURE(error);
    CHECK(has_all(error, row.words));
  }
  CHECK(has_all(thrown<std::runtime_error>(
                    [&] { vrfm::write_png(folder / "a.png" / "b.png", 4, 1, 3, pixels); }),
                {"a.png/b.png: cannot write", "Not a directory"}));
  CHECK(slurp(folder / "a.png") == "earlier");
  CHECK(folder.names() == Names{"a.png"});
}
