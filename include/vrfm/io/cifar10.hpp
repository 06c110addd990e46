// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// CIFAR-10's binary version (Krizhevsky; https://www.cs.toronto.edu/~kriz/cifar.html): 32 x 32
// colour images in five training files and one test file, each a sequence of records: the label in
// one byte, then the red, the green and the blue plane of 1024 bytes each, row by row.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/detail/image_files.hpp>
#include <vrfm/io/detail/memory.hpp>
#include <vrfm/io/file.hpp>
#include <vrfm/io/images.hpp>
#include <vrfm/io/input.hpp>

namespace vrfm {

namespace detail::io {

inline constexpr ImageFilesOrigin cifar10_origin{
    "CIFAR-10's binary version",
    "data_batch_1.bin to data_batch_5.bin and test_batch.bin, the folder cifar-10-batches-bin of "
    "cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html"};

inline constexpr std::size_t cifar_side = 32, cifar_channels = 3,
                             cifar_plane = cifar_side * cifar_side,
                             cifar_pixels = cifar_channels * cifar_plane,
                             cifar_record = 1 + cifar_pixels;

/// Appends the records of one file to `images`.
template <class Input>
void load_cifar10(Input& input, Images& images) {
  refuse_placeholder(input, "a file of CIFAR-10's binary version");
  if (input.size() % cifar_record != 0) {
    // A record begins with a label below ten, as no other kind of file does.
    const std::string start = first_bytes(input);
    fail(input.name(), "expected one or more records of " + std::to_string(cifar_record) +
                           " bytes, found " + std::to_string(input.size()) + " bytes" +
                           (static_cast<unsigned char>(start[0]) < 10
                                ? std::string(truncated)
                                : " of " + kind_of(std::as_bytes(std::span(start)))));
  }
  const std::size_t count = input.size() / cifar_record, first = images.count;
  images.count += count;
  with_memory(input.name(), images.count * cifar_record, [&images] {
    images.pixels.resize(images.count * cifar_pixels);
    images.labels.resize(images.count);
  });
  std::array<std::uint8_t, cifar_record> record;
  for (std::size_t i = first; i < images.count; ++i) {
    input.read(std::as_writable_bytes(std::span(record)));
    images.labels[i] = record[0];
    std::uint8_t* out = &images.pixels[i * cifar_pixels];
    for (std::size_t p = 0; p < cifar_plane; ++p)
      for (std::size_t c = 0; c < cifar_channels; ++c) *out++ = record[1 + c * cifar_plane + p];
  }
  expect_labels(std::span(images.labels).subspan(first), 10, input.name());
}

inline Images empty_cifar10() { return {0, cifar_side, cifar_side, cifar_channels, {}, {}}; }

}  // namespace detail::io

/// The names of the files of `split`, in order.
inline std::vector<std::string> cifar10_files(Split split) {
  if (split == Split::test) return {"test_batch.bin"};
  std::vector<std::string> names;
  for (int k = 1; k <= 5; ++k) names.push_back("data_batch_" + std::to_string(k) + ".bin");
  return names;
}

/// Reads a split from the folder that holds the six files. Throws std::runtime_error that names the
/// file if one is missing (and says where to get it), is no whole number of records, holds a label
/// of 10 or more, or holds another number of images than the file before it.
inline Images read_cifar10(const std::filesystem::path& folder, Split split) {
  using namespace detail::io;
  Images images = empty_cifar10();
  std::size_t batch = 0;
  for (const std::string& name : cifar10_files(split)) {
    expect_image_file(folder / name, cifar10_origin);
    InputFile input(folder / name);
    load_cifar10(input, images);
    if (batch == 0) batch = images.count;
    if (input.size() != batch * cifar_record)
      fail(input.name(), "expected " + std::to_string(batch) +
                             " images, as many as in data_batch_1.bin, found " +
                             std::to_string(input.size() / cifar_record));
  }
  expect_images(images, folder.string());
  return images;
}

/// One file's images from bytes in memory; `name` stands in errors where the path would.
inline Images parse_cifar10(std::span<const std::byte> bytes, std::string name) {
  InputBytes input(bytes, std::move(name));
  Images images = detail::io::empty_cifar10();
  detail::io::load_cifar10(input, images);
  return images;
}

/// The bytes of one file with images [first, first + count). Throws std::invalid_argument unless
/// these are labelled 32 x 32 x 3 images.
inline std::vector<std::byte> encode_cifar10(const Images& images, std::size_t first,
                                             std::size_t count) {
  using namespace detail::io;
  if (images.height != cifar_side || images.width != cifar_side ||
      images.channels != cifar_channels || images.pixels.size() != images.count * cifar_pixels ||
      images.labels.size() != images.count || first > images.count || count > images.count - first)
    throw std::invalid_argument(
        "cifar10: expected " + std::to_string(first) + " + " + std::to_string(count) +
        " labelled images of 32 x 32 x 3, found " + std::to_string(images.labels.size()) +
        " labels and " + std::to_string(images.count) + " images of " +
        std::to_string(images.height) + " x " + std::to_string(images.width) + " x " +
        std::to_string(images.channels));
  std::vector<std::byte> bytes;
  bytes.reserve(count * cifar_record);
  for (std::size_t i = first; i < first + count; ++i) {
    bytes.push_back(static_cast<std::byte>(images.labels[i]));
    for (std::size_t c = 0; c < cifar_channels; ++c)
      for (std::size_t p = 0; p < cifar_plane; ++p)
        bytes.push_back(
            static_cast<std::byte>(images.pixels[i * cifar_pixels + p * cifar_channels + c]));
  }
  return bytes;
}

/// Writes encode_cifar10's bytes atomically (see AtomicFile).
inline void write_cifar10(const std::filesystem::path& path, const Images& images,
                          std::size_t first, std::size_t count) {
  const std::vector<std::byte> bytes = encode_cifar10(images, first, count);
  write_file_atomically(path, [&bytes](AtomicFile& file) { file.write(bytes); });
}

}  // namespace vrfm
