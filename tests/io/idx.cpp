// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// IDX files and MNIST: what is written is read back, plain and compressed, each way in which a file
// can be wrong has its own error, and no wrong extent becomes an allocation.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/idx.hpp>
#include <vrfm/io/mnist.hpp>

namespace {

using vrfm::Split;
using vrfm::test::bytes_of;
using vrfm::test::golden;
using vrfm::test::has_all;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;
using Shape = std::vector<std::size_t>;
using Values = std::vector<std::uint8_t>;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string encoded(const Shape& shape, const Values& values) {
  return text_of(vrfm::encode_idx(shape, values));
}

std::string zipped(const std::string& text) {
  return text_of(vrfm::detail::io::gzip(bytes_of(text)));
}

vrfm::IdxArray parse(const std::string& file, int dimensions = 1) {
  return vrfm::parse_idx(bytes_of(file), dimensions, "in.idx");
}

Values counted(std::size_t count) {
  Values values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<std::uint8_t>(7 * i + i / 256);
  return values;
}

std::string raw(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

/// A train split of `images` images of 2 x 3 pixels and `labels` labels, in `folder`.
void spill_mnist(const TemporaryFolder& folder, std::size_t images, const Values& labels,
                 const std::string& end = "") {
  const Shape shape{images, 2, 3}, label_shape{labels.size()};
  vrfm::write_idx(folder / ("train-images-idx3-ubyte" + end), shape, counted(6 * images));
  vrfm::write_idx(folder / ("train-labels-idx1-ubyte" + end), label_shape, labels);
}

}  // namespace

TEST_CASE("idx: the bytes of the format", "[io]") {
  CHECK(encoded({2, 1, 3}, {1, 2, 3, 4, 5, 255}) ==
        raw({0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255}));
  const auto array = parse(raw({0, 0, 8, 1, 0, 0, 1, 2}) + std::string(258, 'a'));
  CHECK(array.shape == Shape{258});
  CHECK(array.values == Values(258, 'a'));
}

TEST_CASE("idx: arrays come back, plain and compressed, whatever the file is called", "[io]") {
  const TemporaryFolder folder;
  // The last one is longer than the reader's buffer, compressed too.
  for (const Shape& shape :
       {Shape{1}, Shape{0}, Shape{5, 4, 3}, Shape{3, 0, 2}, Shape{300, 30, 30}}) {
    std::size_t count = 1;
    for (const std::size_t extent : shape) count *= extent;
    const Values values = counted(count);
    const int dimensions = static_cast<int>(shape.size());
    CAPTURE(count);
    vrfm::write_idx(folder / "a", shape, values);
    vrfm::write_idx(folder / "a.gz", shape, values);
    CHECK(slurp(folder / "a.gz") == zipped(slurp(folder / "a")));
    spill(folder / "plain-called.gz", slurp(folder / "a"));
    spill(folder / "compressed-called", slurp(folder / "a.gz"));
    for (const char* name : {"a", "a.gz", "plain-called.gz", "compressed-called"}) {
      const auto array = vrfm::read_idx(folder / name, dimensions);
      CHECK(array.shape == shape);
      CHECK(array.values == values);
    }
  }
  CHECK(slurp(folder / "a.gz").starts_with("\x1f\x8b"));
}

TEST_CASE("idx: golden files of NumPy and Python's gzip", "[io]") {
  const auto images = vrfm::read_idx(golden("io_images.idx"), 3);
  CHECK(images.shape == Shape{2, 2, 3});
  CHECK(images.values == Values{0, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 220});
  const auto labels = vrfm::read_idx(golden("io_labels_gz.idx"), 1);
  CHECK(slurp(golden("io_labels_gz.idx")).starts_with("\x1f\x8b"));
  CHECK(labels.shape == Shape{3});
  CHECK(labels.values == Values{7, 0, 9});
}

TEST_CASE("idx: each kind of broken file has its own error", "[io]") {
  const std::string good = encoded({2}, {1, 2});
  struct Row {
    const char* what;
    std::string file;
    int dimensions;
    std::vector<std::string> words;
  };
  const Row rows[] = {
      {"empty", "", 1, {"expected an IDX file, found an empty file"}},
      {"shorter than the magic", raw({0, 0, 8}), 1, {"expected an IDX file, found 3 bytes"}},
      {"another format", "\x89PNG....", 1, {"begins with two zero bytes", "gzip", "a picture"}},
      {"byte order turned", raw({1, 8, 0, 0, 2, 0, 0, 0, 1, 2}), 1, {"begins with two zero bytes"}},
      {"signed", raw({0, 0, 9, 1, 0, 0, 0, 0}), 1, {"expected unsigned bytes", "signed bytes"}},
      {"floats", raw({0, 0, 13, 1, 0, 0, 0, 0}), 1, {"expected unsigned bytes", "floats"}},
      {"unknown type", raw({0, 0, 7, 1, 0, 0, 0, 0}), 1, {"unknown type 7"}},
      {"labels for images", good, 3, {"expected an IDX file of 3 dimensions, found 1"}},
      {"images for labels", encoded({1, 1, 1}, {1}), 1, {"of 1 dimensions, found 3"}},
      {"no dimensions", raw({0, 0, 8, 0, 1}), 1, {"of 1 dimensions, found 0"}},
      {"extent cut", raw({0, 0, 8, 1, 0, 0}), 1, {"expected 4 more bytes, found 2"}},
      {"16-bit integers", raw({0, 0, 11, 1, 0, 0, 0, 0}), 1, {"found 16-bit integers"}},
      {"32-bit integers", raw({0, 0, 12, 1, 0, 0, 0, 0}), 1, {"found 32-bit integers"}},
      {"doubles", raw({0, 0, 14, 1, 0, 0, 0, 0}), 1, {"found doubles"}},
      {"an archive of the files", "PK\3\4....", 1, {"found a zip archive"}},
      {"too few values",
       good.substr(0, 9),
       1,
       {"expected 2 values of shape [2]", "at most 1: truncated"}},
      {"too many values", good + "xyz", 1, {"expected the end of the file", "found 3 more"}},
      {"largest extent", raw({0, 0, 8, 1, 255, 255, 255, 255, 1}), 1, {"4294967295 values"}},
      {"overflowing product",
       raw({0, 0, 8, 3, 128, 0, 0, 0, 128, 0, 0, 0, 0, 0, 0, 4}) + "abcd",
       3,
       {"expected 2^64 or more values"}},
  };
  for (const Row& row : rows) {
    const auto error = thrown<std::runtime_error>([&] { parse(row.file, row.dimensions); });
    CAPTURE(row.what, error);
    CHECK(error.starts_with("in.idx: "));
    CHECK(error.size() < 200);
    CHECK(has_all(error, row.words));
  }
}

TEST_CASE("idx: each kind of broken gzip file has its own error", "[io]") {
  const std::string good = zipped(encoded({600}, counted(600)));
  REQUIRE(parse(good).values == counted(600));
  std::string checksum = good, data = good, length = good;
  checksum[good.size() - 8] = static_cast<char>(checksum[good.size() - 8] ^ 1);
  length[good.size() - 1] = static_cast<char>(length[good.size() - 1] ^ 1);
  data[10] = '\xff';  // the first block's kind
  struct Row {
    const char* what;
    std::string file;
    std::vector<std::string> words;
  };
  const Row rows[] = {
      {"header alone",
       good.substr(0, 10),
       {"expected more compressed data, found their end: truncated"}},
      {"trailing bytes", good + "xy", {"to end with their last block, found 2 more bytes"}},
      {"a file twice", good + good, {"expected the end of the decompressed data, found more"}},
      {"padding, then others", good + std::string(9, '\0') + "xy", {"found 2 more bytes"}},
      {"half a member", good + good.substr(0, 9), {"found their end: truncated"}},
      {"a member of another method", good + raw({0x1f, 0x8b, 7, 0}), {"unknown compression"}},
      {"checksum", checksum, {"expected valid compressed data", "incorrect data check"}},
      {"length", length, {"expected valid compressed data", "incorrect length check"}},
      {"block", data, {"expected valid compressed data", "invalid block type"}},
      {"method", raw({0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 0}), {"unknown compression method"}},
      {"no IDX file inside", zipped("hello, world"), {"begins with two zero bytes"}},
      {"nothing inside", zipped(""), {"expected 4 more bytes of decompressed data"}},
      {"cut before compression",
       zipped(encoded({9}, counted(9)).substr(0, 12)),
       {"expected 5 more bytes of decompressed data, found their end"}},
      {"added before compression",
       zipped(encoded({2}, {1, 2}) + "x"),
       {"expected the end of the decompressed data"}},
      {"huge extent", zipped(raw({0, 0, 8, 1, 255, 255, 255, 255})), {"4294967295 values"}},
  };
  for (const Row& row : rows) {
    const auto error = thrown<std::runtime_error>([&] { parse(row.file); });
    CAPTURE(row.what, error);
    CHECK(error.starts_with("in.idx: "));
    CHECK(has_all(error, row.words));
  }
}

TEST_CASE("idx: gzip members one after another are one file, and zeros are padding", "[io]") {
  const Values values = counted(100'000);
  const std::string plain = encoded({100'000}, values), zeros(512, '\0');
  const auto part = [&](std::size_t begin, std::size_t end) {
    return zipped(plain.substr(begin, end - begin));
  };
  // Cut inside the magic number and inside the values; members of nothing; more than the buffer.
  for (const std::string& file :
       {part(0, 2) + part(2, plain.size()), part(0, 90'000) + part(90'000, plain.size()),
        zipped("") + part(0, 7) + zipped("") + part(7, plain.size()) + zipped(""),
        part(0, plain.size()) + zeros, part(0, 9) + zeros + part(9, plain.size()) + zeros,
        part(0, plain.size()) + std::string(200'000, '\0')})
    CHECK(parse(file).values == values);
  for (std::size_t cut = 0; cut <= 60; ++cut) {
    const std::string text = encoded({40}, counted(40));
    const std::size_t at = std::min(cut, text.size());
    CHECK(parse(zipped(text.substr(0, at)) + zipped(text.substr(at))).values == counted(40));
  }
}

TEST_CASE("idx: a file cut anywhere is refused, plain and compressed", "[io]") {
  const std::string plain = encoded({40}, counted(40));
  for (const std::string& file : {plain, zipped(plain)})
    for (std::size_t size = 0; size < file.size(); ++size) {
      CAPTURE(size);
      CHECK(thrown<std::runtime_error>([&] { parse(file.substr(0, size)); }) != "(nothing thrown)");
    }
}

TEST_CASE("idx: what cannot be written leaves the earlier file untouched", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "a", "earlier");
  const Values values{1, 2};
  const Shape three{3}, wide{std::size_t{1} << 32, 0};
  CHECK(thrown<std::invalid_argument>([&] { vrfm::write_idx(folder / "a", three, values); }) ==
        "idx: expected values for [3], found 2");
  CHECK(has_all(thrown<std::invalid_argument>([&] { vrfm::write_idx(folder / "a", wide, {}); }),
                {"below 2^32", "4294967296"}));
  CHECK(has_all(thrown<std::invalid_argument>([&] { vrfm::write_idx(folder / "a", {}, values); }),
                {"expected 1 to 255 extents", "found []"}));
  CHECK(slurp(folder / "a") == "earlier");
}

TEST_CASE("mnist: a split is read from its folder, plain or compressed", "[io]") {
  for (const std::string end : {"", ".gz"}) {
    const TemporaryFolder folder;
    spill_mnist(folder, 4, {9, 0, 3, 3}, end);
    const auto images = vrfm::read_mnist(folder / ".", Split::train);
    CHECK(images.count == 4);
    CHECK(images.height == 2);
    CHECK(images.width == 3);
    CHECK(images.channels == 1);
    CHECK(images.pixels == counted(24));
    CHECK(images.labels == Values{9, 0, 3, 3});
  }
}

TEST_CASE("mnist: a missing file says where to get it, a wrong one what is wrong", "[io]") {
  const TemporaryFolder folder;
  const auto error = [&](Split split) {
    return thrown<std::runtime_error>([&] { vrfm::read_mnist(folder / ".", split); });
  };
  CHECK(has_all(error(Split::train),
                {"train-images-idx3-ubyte.gz: ", "MNIST", "http://yann.lecun.com/exdb/mnist",
                 "t10k-labels-idx1-ubyte.gz", "No such file"}));
  CHECK(has_all(error(Split::test), {"t10k-images-idx3-ubyte.gz: ", "http://yann.lecun.com"}));

  spill_mnist(folder, 3, {1, 2});
  CHECK(has_all(error(Split::train), {"train-labels-idx1-ubyte: expected 3 labels",
                                      "train-images-idx3-ubyte, found 2"}));
  spill_mnist(folder, 3, {1, 10, 2});
  CHECK(has_all(error(Split::train),
                {"train-labels-idx1-ubyte: expected labels below 10, found 10 for image 1"}));
  spill_mnist(folder, 0, {});
  CHECK(has_all(error(Split::train),
                {"train-images-idx3-ubyte: expected at least one image", "0 images of 2 x 3"}));
}
