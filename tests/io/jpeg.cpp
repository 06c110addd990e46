// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// JPEG pictures: what Pillow decodes (tests/golden/make_pictures.py), and one clear error for each file that is none,
// or not whole.
#if defined(VRFM_HAS_JPEG)
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/jpeg.hpp>
#include <vrfm/io/npz.hpp>

using vrfm::test::golden;
using vrfm::test::has_all;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;

namespace {

std::string error_of(const std::filesystem::path& path) {
  return thrown<std::runtime_error>([&] { vrfm::read_jpeg(path); });
}

}  // namespace

TEST_CASE("jpeg: pictures are what Pillow decodes", "[io]") {
  vrfm::NpzFile expected(golden("pictures/pictures.npz"));
  for (const std::string name : {"colour", "progressive", "grey", "cmyk"}) {
    CAPTURE(name);
    const auto image = vrfm::read_jpeg(golden("pictures/" + name + ".jpg"));
    const auto pixels = expected.read<std::uint8_t>(name);
    CHECK(std::vector{image.height, image.width, std::size_t{3}} == pixels.shape);
    REQUIRE(image.pixels.size() == pixels.values.size());
    int worst = 0;  // the standard lets decoders round in their own ways
    for (std::size_t i = 0; i < pixels.values.size(); ++i)
      worst = std::max(worst, std::abs(image.pixels[i] - pixels.values[i]));
    CHECK(worst <= 1);
  }
}

TEST_CASE("jpeg: what is no JPEG, or not whole, is an error", "[io]") {
  const TemporaryFolder folder;
  for (const std::string name : {"colour", "progressive", "grey"}) {
    const std::string text = slurp(golden("pictures/" + name + ".jpg"));
    for (const std::size_t size :
         {std::size_t{2}, std::size_t{40}, text.size() / 2, text.size() - 30, text.size() - 2}) {
      CAPTURE(name, size);
      spill(folder / "cut.jpg", text.substr(0, size));
      CHECK(has_all(error_of(folder / "cut.jpg"),
                    {"cut.jpg: expected a whole JPEG, but libjpeg says: "}));
    }
  }
  // A mark of an interval that was not announced, in the middle of the pixels.
  std::string text = slurp(golden("pictures/grey.jpg"));
  text.replace(text.size() - 100, 2, "\xff\xd3");
  spill(folder / "damaged.jpg", text);
  CHECK(has_all(error_of(folder / "damaged.jpg"), {"damaged.jpg: expected a whole JPEG"}));
  spill(folder / "none.jpg", "no picture, but words that are long enough");
  CHECK(has_all(error_of(folder / "none.jpg"),
                {"none.jpg: expected a whole JPEG, but libjpeg says: Not a JPEG file"}));
  spill(folder / "empty.jpg", "");
  CHECK(
      has_all(error_of(folder / "empty.jpg"), {"empty.jpg: expected a JPEG, found an empty file"}));
  CHECK(has_all(error_of(folder / "missing.jpg"), {"missing.jpg: cannot read"}));
}
#endif
