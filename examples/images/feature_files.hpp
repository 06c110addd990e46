// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Latents as the feature files that fast-DiT and SiT train on (extract_features.py of
// github.com/chuanyangjin/fast-DiT): a folder *_features of files 0.npy, 1.npy, ... with a latent
// [1, channels, height, width] or [channels, height, width] each, and beside it *_labels of the same files with a label
// [1] or [] each. A file of its own for each of a million latents is slow to read and too many to map, so that
// `latents` makes files of many out of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <vrfm/io/npy.hpp>

#include <examples/images/data.hpp>
#include <examples/images/latent_encoder.hpp>

namespace images {

class FeatureFiles {
 public:
  /// Throws std::runtime_error that names what was expected and what was found.
  explicit FeatureFiles(const LatentsOptions& options) : options_(options) {
    vrfm::expect(std::filesystem::is_directory(options.features), options.features,
                 ": expected a folder of the folders *_features and *_labels");
    std::filesystem::path labels;
    for (const auto& entry : std::filesystem::directory_iterator(options.features)) {
      const std::string name = entry.path().filename().string();
      if (!entry.is_directory()) continue;
      if (name.ends_with("_features")) only(folder_, entry.path(), "*_features");
      if (name.ends_with("_labels")) only(labels, entry.path(), "*_labels");
    }
    vrfm::expect(!folder_.empty(), options.features,
                 ": expected a folder *_features of files 0.npy, 1.npy, ..., found none");
    // That there is a file of each number is seen when it is read.
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      count_ += entry.path().extension() == ".npy";
    }
    vrfm::expect(count_ > 0, folder_.string(), ": expected files 0.npy, 1.npy, ..., found none");
    const auto first = read(folder_ / "0.npy");
    shape_.assign(first.shape.end() - 3, first.shape.end());
    if (labels.empty()) return;
    labels_.reserve(count_);
    for (std::size_t i = 0; i < count_; ++i) labels_.push_back(label_of(labels / name_of(i)));
  }

  std::size_t count() const { return count_; }
  const std::vector<std::int64_t>& labels() const { return labels_; }
  /// Of a latent.
  const std::vector<std::size_t>& shape() const { return shape_; }
  vrfm::Metadata metadata() const {
    return {{vrfm::LatentFiles::scale_key, to_text(options_.features_scale)}, {"kind", "features"}};
  }

  /// The next latents, number first, first + 1, ...: their bytes to `print`, and they themselves behind `rows`, if these
  /// are wanted.
  void next(std::size_t first, std::size_t count, Fingerprint& print, LatentRows* rows) const {
    for (std::size_t i = first; i < first + count; ++i) {
      const auto latent = read(folder_ / name_of(i));
      vrfm::expect(std::equal(shape_.begin(), shape_.end(), latent.shape.end() - 3),
                   (folder_ / name_of(i)).string(), ": expected a latent ",
                   vrfm::detail::io::format_shape(shape_), " as in 0.npy, found ",
                   vrfm::detail::io::format_shape(latent.shape));
      print.add(latent.values.data(), latent.values.size() * sizeof(float));
      if (rows == nullptr) continue;
      rows->latents.insert(rows->latents.end(), latent.values.begin(), latent.values.end());
    }
  }

 private:
  static std::string name_of(std::size_t i) { return std::to_string(i) + ".npy"; }

  void only(std::filesystem::path& found, const std::filesystem::path& folder,
            const char* what) const {
    vrfm::expect(found.empty(), options_.features, ": expected one folder ", what, ", found ",
                 found.filename().string(), " and ", folder.filename().string());
    found = folder;
  }

  static vrfm::NpyArray<float> read(const std::filesystem::path& path) {
    auto array = vrfm::read_npy<float>(path);
    const auto& shape = array.shape;
    vrfm::expect(
        (shape.size() == 3 || (shape.size() == 4 && shape[0] == 1)) && !array.values.empty(),
        path.string(),
        ": expected a latent [1, channels, height, width] or [channels, height, width], "
        "found ",
        vrfm::detail::io::format_shape(shape));
    return array;
  }

  static std::int64_t label_of(const std::filesystem::path& path) {
    const auto array = vrfm::read_npy_integers(path);
    vrfm::expect(array.values.size() == 1 && array.values[0] >= 0 && array.values[0] < 0x7fff'ffff,
                 path.string(), ": expected one label of 0 or more, found ",
                 array.values.size() == 1 ? std::to_string(array.values[0])
                                          : vrfm::detail::io::format_shape(array.shape));
    return array.values[0];
  }

  const LatentsOptions& options_;
  std::filesystem::path folder_;
  std::size_t count_ = 0;
  std::vector<std::size_t> shape_;
  std::vector<std::int64_t> labels_;
};

}  // namespace images
