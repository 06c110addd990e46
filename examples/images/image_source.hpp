// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Images that become latents: an array in an .npz file, or a folder with one folder of PNG and JPEG files for each
// class. Those of a folder are read as they are needed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(VRFM_HAS_JPEG)
#include <vrfm/io/jpeg.hpp>
#endif
#include <vrfm/io/npz.hpp>
#include <vrfm/io/png.hpp>

#include <examples/images/data.hpp>

namespace images {

/// Whether a file's name is that of a picture, also in capitals, as ImageNet's are.
inline bool is_picture(const std::filesystem::path& path) {
  std::string end = path.extension().string();
  for (char& c : end) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return end == ".png" || end == ".jpg" || end == ".jpeg";
}

/// A picture in a PNG or JPEG file. What it begins with decides, not its name: one of ImageNet's .JPEG is a PNG. Throws
/// std::runtime_error that names the file.
inline vrfm::RgbImage read_picture(const std::filesystem::path& path) {
  vrfm::InputFile file(path);
  if (!vrfm::detail::io::first_bytes(file).starts_with("\xff\xd8\xff")) return vrfm::read_png(path);
#if defined(VRFM_HAS_JPEG)
  return vrfm::read_jpeg(path);
#else
  throw std::runtime_error(path.string() +
                           ": expected a PNG, found a JPEG, which this program cannot read: it was "
                           "built without libjpeg, which CMake did not find (Debian: libjpeg-dev)");
#endif
}

class ImageSource {
 public:
  /// Throws std::runtime_error that names what was expected and what was found.
  explicit ImageSource(const std::string& path) : path_(path) {
    std::filesystem::is_directory(path) ? open_folder() : open_archive();
  }

  std::size_t count() const { return count_; }
  std::size_t height() const { return height_; }
  std::size_t width() const { return width_; }
  std::size_t channels() const { return channels_; }
  /// Of all images, or empty.
  const std::vector<std::int64_t>& labels() const { return labels_; }

  /// The pixels of the images number first, ..., first + count - 1: [count][height][width][channels].
  std::vector<std::uint8_t> pixels(std::size_t first, std::size_t count) const {
    const std::size_t each = height_ * width_ * channels_;
    if (files_.empty()) {
      const auto begin = array_.begin() + static_cast<std::ptrdiff_t>(first * each);
      return {begin, begin + static_cast<std::ptrdiff_t>(count * each)};
    }
    std::vector<std::uint8_t> all;
    all.reserve(count * each);
    for (std::size_t i = first; i < first + count; ++i) {
      const auto image = read_picture(files_[i]);
      vrfm::expect(image.height == height_ && image.width == width_, files_[i].string(),
                   ": expected ", height_, " x ", width_, " pixels as in ", files_.front().string(),
                   ", found ", image.height, " x ", image.width);
      all.insert(all.end(), image.pixels.begin(), image.pixels.end());
    }
    return all;
  }

 private:
  void open_archive() {
    vrfm::NpzFile archive(path_);
    auto images = archive.read<std::uint8_t>("arr_0");
    vrfm::expect(images.shape.size() == 4 && !images.values.empty(), path_,
                 ": array 'arr_0': expected images [n, height, width, channels], found ",
                 vrfm::detail::io::format_shape(images.shape));
    count_ = images.shape[0];
    height_ = images.shape[1];
    width_ = images.shape[2];
    channels_ = images.shape[3];
    array_ = std::move(images.values);
    if (!archive.contains("labels")) return;
    auto labels = archive.read_integers("labels");
    vrfm::expect(labels.shape == std::vector{count_}, path_,
                 ": array 'labels': expected one for each of ", count_, " images, found the shape ",
                 vrfm::detail::io::format_shape(labels.shape));
    labels_ = std::move(labels.values);
    for (const std::int64_t label : labels_) {
      vrfm::expect(label >= 0 && label < 0x7fff'ffff, path_,
                   ": array 'labels': expected 0 or more, found ", label);
    }
  }

  void open_folder() {
    std::vector<std::filesystem::path> classes;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      if (entry.is_directory()) classes.push_back(entry.path());
    }
    std::sort(classes.begin(), classes.end());
    for (std::size_t label = 0; label < classes.size(); ++label) {
      std::vector<std::filesystem::path> files;
      for (const auto& entry : std::filesystem::directory_iterator(classes[label])) {
        if (is_picture(entry.path())) files.push_back(entry.path());
      }
      std::sort(files.begin(), files.end());
      files_.insert(files_.end(), files.begin(), files.end());
      labels_.resize(files_.size(), static_cast<std::int64_t>(label));
    }
    vrfm::expect(
        !files_.empty(), path_,
        ": expected a folder of PNG or JPEG files for each class, found no file */*.png, .jpg or "
        ".jpeg");
    const auto first = read_picture(files_.front());
    count_ = files_.size();
    height_ = first.height;
    width_ = first.width;
    channels_ = 3;
  }

  std::string path_;
  std::size_t count_ = 0, height_ = 0, width_ = 0, channels_ = 0;
  std::vector<std::int64_t> labels_;
  std::vector<std::uint8_t> array_;           // of an archive,
  std::vector<std::filesystem::path> files_;  // or a folder's
};

}  // namespace images
