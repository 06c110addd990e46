// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LatentFiles: the latents of images in one or more safetensors files, which are mapped and may together be larger
// than memory. A file has
//   latents [n, channels, height, width] F32     and where there are any
//   latents_flip   the same of each image with left and right exchanged
//   deviations, deviations_flip
//                  of latents that are means: a latent is latents + deviations N(0, 1)
//   labels [n] I64
// The first two and the labels are those of LightningDiT's files (github.com/hustvl/LightningDiT). The metadata
// `latent_scale` says by what the autoencoder's latents were multiplied; without it they are as they came. `files` says
// of how many files this is one; without it of any number.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <vrfm/io/images.hpp>
#include <vrfm/io/safetensors.hpp>

namespace vrfm {

/// One file's tensors; what it has not is empty.
struct LatentShard {
  std::span<const float> latents, latents_flip, deviations, deviations_flip;
  std::vector<std::int32_t> labels;
  std::size_t count = 0;
  Metadata metadata;  ///< of the file
};

class LatentFiles {
 public:
  static constexpr const char* scale_key = "latent_scale";
  static constexpr const char* files_key = "files";

  /// The name of file number k of a set: latents-00000.safetensors, ...
  static std::string name_of(std::size_t k) {
    std::string number = std::to_string(k);
    number.insert(0, 5 - (std::min<std::size_t>)(5, number.size()), '0');
    return "latents-" + number + ".safetensors";
  }

  /// The files *.safetensors of folder/train or folder/test, in the order of their names; the training's may lie in
  /// the folder itself. Throws std::runtime_error that names the file, what was expected and what was found.
  static LatentFiles open(const std::filesystem::path& folder, Split split) {
    const char* const part = split == Split::train ? "train" : "test";
    std::vector<std::filesystem::path> files = files_of(folder / part);
    if (files.empty() && split == Split::train) files = files_of(folder);
    if (files.empty()) {
      detail::io::fail(folder.string(), std::string("expected latents in files ") + part +
                                            "/*.safetensors, found none");
    }
    LatentFiles result;
    for (const auto& file : files) result.add(SafetensorsFile::map(file));
    for (std::size_t k = 0; k < files.size(); ++k) {
      const auto& metadata = result.shards_[k].metadata;
      const auto wanted = metadata.find(files_key);
      if (wanted == metadata.end() || wanted->second == std::to_string(files.size())) continue;
      detail::io::fail(files[k].string(),
                       "expected to be one of " + detail::io::in_quotes(wanted->second) +
                           " files of latents, found " + std::to_string(files.size()) + " here");
    }
    return result;
  }

  std::size_t count() const { return count_; }
  std::size_t channels() const { return shape_[0]; }
  std::size_t height() const { return shape_[1]; }
  std::size_t width() const { return shape_[2]; }
  std::size_t dimension() const { return shape_[0] * shape_[1] * shape_[2]; }
  /// One more than the largest label; 0: there are no labels.
  int classes() const { return classes_; }
  bool flipped() const { return !shards_.front().latents_flip.empty(); }
  const std::vector<LatentShard>& shards() const { return shards_; }
  const std::string& name() const { return files_.front().name(); }
  /// Whose tensors these are, in the order of shards().
  const std::vector<SafetensorsFile>& files() const { return files_; }
  /// That the files say; nothing if they do not.
  std::optional<double> scale() const { return scale_; }

  /// The root mean square of the numbers of up to 64 latents.
  double size() const {
    double squares = 0;
    const auto numbers = shards_.front().latents.first(
        dimension() * (std::min<std::size_t>)(64, shards_.front().count));
    for (const float number : numbers) squares += static_cast<double>(number) * number;
    return std::sqrt(squares / static_cast<double>(numbers.size()));
  }

 private:
  static std::vector<std::filesystem::path> files_of(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
      if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  void add(SafetensorsFile file) {
    using detail::io::describe;
    using detail::io::fail;
    const Tensor& latents = file.at("latents");
    if (latents.dtype != DType::f32 || latents.shape.size() != 4 || latents.data.empty()) {
      fail(file.name(), "tensor 'latents': expected F32 [n, channels, height, width], found " +
                            describe(latents.dtype, latents.shape));
    }
    const std::vector<std::size_t> shape(latents.shape.begin() + 1, latents.shape.end());
    const std::size_t rows = latents.shape[0];
    const auto scale = scale_of(file);
    if (files_.empty()) {
      shape_ = shape;
      scale_ = scale;
    }
    if (shape != shape_) {
      fail(file.name(), "expected latents of " + detail::io::format_shape(shape_) + " as in " +
                            files_.front().name() + ", found " + detail::io::format_shape(shape));
    }
    if (scale != scale_) {
      fail(file.name(), std::string("expected the ") + scale_key + " of " + files_.front().name());
    }
    LatentShard shard;
    shard.count = rows;
    shard.metadata = file.metadata();
    shard.latents = latents.values<float>();
    const auto like_latents = [&](const char* name) -> std::span<const float> {
      return file.find(name) == nullptr ? std::span<const float>()
                                        : file.values<float>(name, latents.shape);
    };
    shard.latents_flip = like_latents("latents_flip");
    shard.deviations = like_latents("deviations");
    shard.deviations_flip = like_latents("deviations_flip");
    if (file.find("labels") != nullptr) shard.labels = labels_of(file, rows);
    if (shard.deviations_flip.empty() != (shard.deviations.empty() || shard.latents_flip.empty())) {
      fail(file.name(), "expected tensor 'deviations_flip' beside latents_flip and deviations");
    }
    if (!shards_.empty()) {
      const LatentShard& first = shards_.front();
      const auto same = [&](bool here, bool there, const char* what) {
        if (here == there) return;
        fail(file.name(), std::string("expected ") + (there ? "a" : "no") + " tensor '" + what +
                              "' as in " + files_.front().name());
      };
      same(!shard.latents_flip.empty(), !first.latents_flip.empty(), "latents_flip");
      same(!shard.deviations.empty(), !first.deviations.empty(), "deviations");
      same(!shard.labels.empty(), !first.labels.empty(), "labels");
    }
    for (const std::int32_t label : shard.labels) classes_ = (std::max)(classes_, label + 1);
    count_ += rows;
    constexpr std::size_t most_latents = 0x7fff'ffff;
    if (count_ > most_latents) fail(file.name(), "expected fewer than 2^31 latents in all files");
    files_.push_back(std::move(file));
    shards_.push_back(std::move(shard));
  }

  static std::vector<std::int32_t> labels_of(const SafetensorsFile& file, std::size_t rows) {
    std::vector<std::int32_t> labels;
    constexpr std::int64_t most = 0x7fff'fffe;
    for (const std::int64_t label : file.values<std::int64_t>("labels", std::vector{rows})) {
      if (label < 0 || label > most) {
        detail::io::fail(file.name(),
                         "tensor 'labels': expected 0 or more, found " + std::to_string(label));
      }
      labels.push_back(static_cast<std::int32_t>(label));
    }
    return labels;
  }

  static std::optional<double> scale_of(const SafetensorsFile& file) {
    const auto found = file.metadata().find(scale_key);
    if (found == file.metadata().end()) return std::nullopt;
    std::size_t end = 0;
    double value = 0;
    try {
      value = std::stod(found->second, &end);
    } catch (const std::exception&) {
      end = 0;
    }
    if (end == 0 || end != found->second.size() || !(value > 0) || !std::isfinite(value)) {
      detail::io::fail(file.name(), std::string("metadata ") + scale_key +
                                        ": expected a positive number, found " +
                                        detail::io::in_quotes(found->second));
    }
    return value;
  }

  std::vector<SafetensorsFile> files_;
  std::vector<LatentShard> shards_;
  std::vector<std::size_t> shape_;
  std::size_t count_ = 0;
  int classes_ = 0;
  std::optional<double> scale_;
};

}  // namespace vrfm
