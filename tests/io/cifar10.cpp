// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// CIFAR-10's binary files: planes become channels-last pixels and planes again, the files of a
// split are read in order, and each way in which one can be wrong has its own error.
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/cifar10.hpp>

namespace {

using vrfm::Images;
using vrfm::Split;
using vrfm::test::bytes_of;
using vrfm::test::golden;
using vrfm::test::has_all;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;

constexpr std::size_t record = 3073;

Images numbered(std::size_t count, std::uint32_t state) {
  Images images{
      count, 32, 32, 3, std::vector<std::uint8_t>(count * 3072), std::vector<std::uint8_t>(count)};
  for (auto& pixel : images.pixels) {
    state = state * 1664525u + 1013904223u;
    pixel = static_cast<std::uint8_t>(state >> 24);
  }
  for (std::size_t i = 0; i < count; ++i) images.labels[i] = static_cast<std::uint8_t>(i % 10);
  return images;
}

/// Five training files of `each` images and a test file of one.
void spill_cifar10(const TemporaryFolder& folder, const Images& train, const Images& test) {
  const std::size_t each = train.count / 5;
  for (std::size_t k = 0; k < 5; ++k)
    vrfm::write_cifar10(folder / vrfm::cifar10_files(Split::train)[k], train, k * each, each);
  vrfm::write_cifar10(folder / "test_batch.bin", test, 0, test.count);
}

}  // namespace

TEST_CASE("cifar10: a record is a label and three planes", "[io]") {
  std::string file(record, '\0');
  file[0] = '\7';
  file[1 + 5 * 32 + 9] = '\1';         // red at row 5, column 9
  file[1 + 1024 + 5 * 32 + 9] = '\2';  // green
  file[1 + 2048 + 31 * 32 + 31] = '\3';
  const Images images = vrfm::parse_cifar10(bytes_of(file), "in.bin");
  CHECK(images.count == 1);
  CHECK(images.height == 32);
  CHECK(images.width == 32);
  CHECK(images.channels == 3);
  CHECK(images.labels == std::vector<std::uint8_t>{7});
  std::vector<std::uint8_t> expected(3072);
  expected[(5 * 32 + 9) * 3] = 1;
  expected[(5 * 32 + 9) * 3 + 1] = 2;
  expected[3071] = 3;
  CHECK(images.pixels == expected);
}

TEST_CASE("cifar10: golden file of NumPy", "[io]") {
  const Images images = vrfm::parse_cifar10(bytes_of(slurp(golden("io_batch.cifar10"))), "golden");
  REQUIRE(images.count == 1);
  CHECK(images.labels[0] == 6);
  bool same = true;
  for (std::size_t row = 0; row < 32; ++row)
    for (std::size_t column = 0; column < 32; ++column) {
      const std::uint8_t* pixel = &images.pixels[(row * 32 + column) * 3];
      same = same && pixel[0] == row && pixel[1] == column && pixel[2] == row + column;
    }
  CHECK(same);
}

TEST_CASE("cifar10: the files of a split come back in order", "[io]") {
  const TemporaryFolder folder;
  const Images train = numbered(15, 1), test = numbered(2, 2);
  spill_cifar10(folder, train, test);
  CHECK(slurp(folder / "data_batch_5.bin").size() == 3 * record);
  const Images read = vrfm::read_cifar10(folder / ".", Split::train);
  CHECK(read.count == 15);
  CHECK(read.pixels == train.pixels);
  CHECK(read.labels == train.labels);
  CHECK(vrfm::read_cifar10(folder / ".", Split::test).pixels == test.pixels);
}

TEST_CASE("cifar10: wrong files are refused", "[io]") {
  const TemporaryFolder folder;
  const auto error = [&](Split split) {
    return thrown<std::runtime_error>([&] { vrfm::read_cifar10(folder / ".", split); });
  };
  CHECK(has_all(error(Split::train),
                {"data_batch_1.bin: ", "cifar-10-binary.tar.gz", "cifar-10-batches-bin",
                 "https://www.cs.toronto.edu/~kriz/cifar.html", "No such file"}));
  CHECK(has_all(error(Split::test), {"test_batch.bin: ", "cifar.html", "No such file"}));

  spill_cifar10(folder, numbered(15, 1), numbered(2, 2));
  const std::string good = slurp(folder / "data_batch_3.bin");
  const auto broken = [&](const std::string& file) {
    spill(folder / "data_batch_3.bin", file);
    return error(Split::train);
  };
  for (const std::size_t size : {std::size_t{1}, record - 1, record + 1, 3 * record - 1})
    CHECK(has_all(broken(good.substr(0, size)),
                  {"data_batch_3.bin: expected one or more records of 3073 bytes, found " +
                   std::to_string(size) + " bytes: truncated"}));
  CHECK(
      has_all(broken(""), {"data_batch_3.bin: expected a file of CIFAR-10's binary version, found "
                           "an empty file"}));
  // The Python version of the same set, and the archive that the files come in.
  CHECK(has_all(broken("\x80\2}q\1"), {"found 5 bytes of a Python pickle"}));
  CHECK(has_all(broken("\x1f\x8b\x08\x08xyz"), {"found 7 bytes of data compressed by gzip"}));
  CHECK(has_all(broken(good + "x"), {"records of 3073 bytes, found 9220 bytes"}));
  CHECK(has_all(broken(good.substr(0, 2 * record)),
                {"data_batch_3.bin: expected 3 images, as many as in data_batch_1.bin, found 2"}));
  std::string label = good;
  label[record] = '\12';
  CHECK(
      has_all(broken(label), {"data_batch_3.bin: expected labels below 10, found 10 for image 1"}));
  label[record] = '\xff';
  CHECK(has_all(broken(label), {"found 255 for image 1"}));
}

TEST_CASE("cifar10: what does not fit the format is not written", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "a.bin", "earlier");
  Images grey = numbered(2, 1), unlabelled = numbered(2, 1), two = numbered(2, 1);
  grey.channels = 1;
  unlabelled.labels.clear();
  const auto error = [&](const Images& images, std::size_t first, std::size_t count) {
    return thrown<std::invalid_argument>(
        [&] { vrfm::write_cifar10(folder / "a.bin", images, first, count); });
  };
  CHECK(has_all(error(grey, 0, 2), {"32 x 32 x 3", "32 x 32 x 1"}));
  CHECK(has_all(error(unlabelled, 0, 2), {"found 0 labels and 2 images"}));
  CHECK(has_all(error(two, 1, 2), {"expected 1 + 2 labelled images"}));
  CHECK(has_all(error(two, 3, 0), {"expected 3 + 0 labelled images"}));
  CHECK(slurp(folder / "a.bin") == "earlier");
}
