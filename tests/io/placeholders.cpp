// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What stands in place of a file after a download or a checkout went wrong: every reader says so in
// the same words, from a file and from memory.
#include <algorithm>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/cifar10.hpp>
#include <vrfm/io/mnist.hpp>
#include <vrfm/io/npy.hpp>
#include <vrfm/io/npz.hpp>
#include <vrfm/io/safetensors.hpp>

namespace {

using vrfm::test::bytes_of;
using vrfm::test::contains;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;

struct Reader {
  const char* wanted;
  std::function<void(const std::string& file)> parse;
};

const Reader readers[] = {
    {"an NPY file", [](const auto& file) { vrfm::parse_npy<float>(bytes_of(file), "in"); }},
    {"an NPZ archive", [](const auto& file) { vrfm::NpzBytes(bytes_of(file), "in"); }},
    {"a safetensors file",
     [](const auto& file) { vrfm::SafetensorsFile::parse(bytes_of(file), "in"); }},
    {"an IDX file", [](const auto& file) { vrfm::parse_idx(bytes_of(file), 3, "in"); }},
    {"a file of CIFAR-10's binary version",
     [](const auto& file) { vrfm::parse_cifar10(bytes_of(file), "in"); }},
};

const std::string pointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

}  // namespace

TEST_CASE("placeholders: a web page is named, however it begins and whatever its size", "[io]") {
  const std::string rest = "<head><title>404 Not Found</title></head><body></body></html>\n";
  for (const std::string start :
       {"<!DOCTYPE html>\n<html>", "<!doctype html><html lang=\"en\">", "<html>", "<HTML>",
        "\r\n  \n<html>", "\xef\xbb\xbf<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code></Error>"})
    for (const std::size_t size : {std::size_t{0}, std::size_t{3073}, std::size_t{100'000}}) {
      std::string page = start + rest;
      page.resize(std::max(size, page.size()), ' ');
      for (const Reader& reader : readers) {
        CAPTURE(start, size, reader.wanted);
        CHECK(thrown<std::runtime_error>([&] { reader.parse(page); }) ==
              "in: expected " + std::string(reader.wanted) +
                  ", found a web page (HTML), which a server sent in place of the file");
      }
    }
}

TEST_CASE("placeholders: a Git LFS pointer is named", "[io]") {
  for (const Reader& reader : readers) {
    CAPTURE(reader.wanted);
    CHECK(thrown<std::runtime_error>([&] { reader.parse(pointer); }) ==
          "in: expected " + std::string(reader.wanted) +
              ", found a Git LFS pointer in place of the file; \"git lfs pull\" fetches the file");
  }
}

TEST_CASE("placeholders: an empty file is named", "[io]") {
  for (const Reader& reader : readers) {
    CAPTURE(reader.wanted);
    CHECK(thrown<std::runtime_error>([&] { reader.parse(""); }) ==
          "in: expected " + std::string(reader.wanted) +
              ", found an empty file (0 bytes), as a download that failed leaves it");
  }
}

TEST_CASE("placeholders: other text is shown where a reader finds no sign of its format", "[io]") {
  for (const Reader& reader : readers) {
    CAPTURE(reader.wanted);
    const auto error =
        thrown<std::runtime_error>([&] { reader.parse("Entry not found, try again"); });
    CHECK(contains(error, "a text that begins with 'Entr"));
  }
}

TEST_CASE("placeholders: files are looked at as memory is", "[io]") {
  const TemporaryFolder folder;
  const std::string page = "<html></html>";
  for (const char* name : {"data_batch_1.bin", "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                           "a.npy", "a.npz", "a.safetensors"})
    spill(folder / name, name[0] == 'a' ? page : pointer);
  const auto error = [](const auto& read) { return thrown<std::runtime_error>(read); };
  const auto page_of = [&](const std::string& name, const std::string& wanted) {
    return (folder / name).string() + ": expected " + wanted +
           ", found a web page (HTML), which a server sent in place of the file";
  };
  CHECK(error([&] { vrfm::read_npy<float>(folder / "a.npy"); }) == page_of("a.npy", "an NPY file"));
  CHECK(error([&] { vrfm::read_npy_reals(folder / "a.npy"); }) == page_of("a.npy", "an NPY file"));
  CHECK(error([&] { vrfm::NpzFile(folder / "a.npz"); }) == page_of("a.npz", "an NPZ archive"));
  CHECK(error([&] { vrfm::SafetensorsFile::read(folder / "a.safetensors"); }) ==
        page_of("a.safetensors", "a safetensors file"));
  CHECK(contains(error([&] { vrfm::read_mnist(folder / ".", vrfm::Split::train); }),
                 "train-images-idx3-ubyte: expected an IDX file, found a Git LFS pointer"));
  CHECK(
      contains(error([&] { vrfm::read_cifar10(folder / ".", vrfm::Split::train); }),
               "data_batch_1.bin: expected a file of CIFAR-10's binary version, found a Git LFS"));
}
