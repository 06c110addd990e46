// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MNIST (LeCun, Cortes, Burges; http://yann.lecun.com/exdb/mnist): 28 x 28 grey images of digits
// and their labels, as four IDX files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <vrfm/io/detail/image_files.hpp>
#include <vrfm/io/idx.hpp>

namespace vrfm {

namespace detail::io {

inline constexpr ImageFilesOrigin mnist_origin{
    "MNIST",
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
    "t10k-labels-idx1-ubyte.gz (with or without .gz) from http://yann.lecun.com/exdb/mnist or its "
    "mirror https://ossci-datasets.s3.amazonaws.com/mnist"};

}  // namespace detail::io

/// The paths of the images and the labels of `split` in `folder`: without .gz if both exist. Throws
/// std::runtime_error with where the files come from if one is missing.
inline std::pair<std::filesystem::path, std::filesystem::path> mnist_files(
    const std::filesystem::path& folder, Split split) {
  const std::string start = split == Split::train ? "train" : "t10k";
  const auto find = [&](const std::string& name) {
    const auto plain = folder / name, compressed = folder / (name + ".gz");
    std::error_code ignored;
    if (std::filesystem::exists(plain, ignored)) return plain;
    detail::io::expect_image_file(compressed, detail::io::mnist_origin);
    return compressed;
  };
  return {find(start + "-images-idx3-ubyte"), find(start + "-labels-idx1-ubyte")};
}

/// Reads images of one channel and their labels. Throws std::runtime_error that names the file if
/// one is broken, a label is 10 or more, or there are no images or not one label each.
inline Images read_mnist(const std::filesystem::path& images_path,
                         const std::filesystem::path& labels_path) {
  using namespace detail::io;
  IdxArray pixels = read_idx(images_path, 3);
  IdxArray labels = read_idx(labels_path, 1);
  Images images{pixels.shape[0],          pixels.shape[1],         pixels.shape[2], 1,
                std::move(pixels.values), std::move(labels.values)};
  expect_images(images, images_path.string());
  if (images.labels.size() != images.count)
    fail(labels_path.string(), "expected " + std::to_string(images.count) +
                                   " labels, one for each image of " + images_path.string() +
                                   ", found " + std::to_string(images.labels.size()));
  expect_labels(images.labels, 10, labels_path.string());
  return images;
}

/// Reads a split from the folder that holds the four files.
inline Images read_mnist(const std::filesystem::path& folder, Split split) {
  const auto [images, labels] = mnist_files(folder, split);
  return read_mnist(images, labels);
}

}  // namespace vrfm
