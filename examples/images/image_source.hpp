// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Images that become latents: an array in an .npz file, or a folder with one folder of PNG and JPEG files for each
// class; all of one size, or brought to one. They are read as they are needed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/io/center_crop.hpp>
#include <vrfm/io/npz.hpp>

#include <examples/images/data.hpp>
#include <examples/images/picture_files.hpp>

namespace images {

class ImageSource {
 public:
  /// Images of size x size pixels, to which others are scaled and cropped (vrfm::center_crop); 0: all are as they come,
  /// and of one size. Throws std::runtime_error that names what was expected and what was found.
  ImageSource(const std::string& path, int size)
      : path_(path), size_(static_cast<std::size_t>(size)) {
    std::filesystem::is_directory(path) ? open_folder() : open_archive();
  }

  std::size_t count() const { return count_; }
  std::size_t height() const { return height_; }
  std::size_t width() const { return width_; }
  std::size_t channels() const { return channels_; }
  /// Of all images, or empty.
  const std::vector<std::int64_t>& labels() const { return labels_; }
  /// Of a folder: its folders, by commas.
  const std::string& class_names() const { return class_names_; }

  /// The pixels of the next images, at most as many as are left: [count][height][width][channels]. Throws
  /// std::runtime_error that names the file.
  std::vector<std::uint8_t> next(std::size_t count) {
    std::vector<std::uint8_t> all;
    all.reserve(count * height_ * width_ * channels_);
    for (const std::size_t end = next_ + count; next_ < end; ++next_) {
      const auto pixels = files_.empty() ? next_of_archive() : picture(files_[next_]).pixels;
      all.insert(all.end(), pixels.begin(), pixels.end());
    }
    return all;
  }

 private:
  /// They cannot be moved, and nvcc makes them in place as a member alone.
  struct Held {
    vrfm::NpzPieces<std::uint8_t, vrfm::InputFile> pieces;
  };

  void open_archive() {
    archive_.emplace(path_);
    const bool labelled = archive_->contains("labels");
    if (labelled) labels_ = archive_->read_integers("labels").values;
    held_.reset(new Held{archive_->pieces<std::uint8_t>("arr_0")});
    const auto& shape = held_->pieces.shape();
    vrfm::expect(shape.size() == 4 && held_->pieces.left() > 0, path_,
                 ": array 'arr_0': expected images [n, height, width, channels], found ",
                 vrfm::detail::io::format_shape(shape));
    count_ = shape[0];
    height_ = size_ > 0 ? size_ : shape[1];
    width_ = size_ > 0 ? size_ : shape[2];
    channels_ = shape[3];
    vrfm::expect(size_ == 0 || channels_ == 3, path_,
                 ": array 'arr_0': expected images of 3 channels for --size, found ", channels_);
    vrfm::expect(!labelled || labels_.size() == count_, path_,
                 ": array 'labels': expected one for each of ", count_, " images, found ",
                 labels_.size());
    for (const std::int64_t label : labels_) {
      vrfm::expect(label >= 0 && label < 0x7fff'ffff, path_,
                   ": array 'labels': expected 0 or more, found ", label);
    }
  }

  std::vector<std::uint8_t> next_of_archive() {
    const std::size_t height = held_->pieces.shape()[1], width = held_->pieces.shape()[2];
    std::vector<std::uint8_t> pixels(height * width * channels_);
    held_->pieces.read(pixels);
    if (size_ == 0) return pixels;
    return vrfm::center_crop({width, height, std::move(pixels)}, size_).pixels;
  }

  void open_folder() {
    std::vector<std::filesystem::path> classes;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      const bool hidden = entry.path().filename().string().starts_with('.');
      if (entry.is_directory() && !hidden) classes.push_back(entry.path());
    }
    std::sort(classes.begin(), classes.end());
    std::size_t others = 0;
    for (std::size_t label = 0; label < classes.size(); ++label) {
      std::vector<std::filesystem::path> files;
      for (const auto& entry : std::filesystem::directory_iterator(classes[label])) {
        is_picture(entry.path()) ? files.push_back(entry.path()) : void(++others);
      }
      vrfm::expect(!files.empty(), classes[label].string(),
                   ": expected PNG or JPEG files of class ", label, ", found none");
      class_names_ += (label > 0 ? ", " : "") + classes[label].filename().string();
      std::sort(files.begin(), files.end());
      files_.insert(files_.end(), files.begin(), files.end());
      labels_.resize(files_.size(), static_cast<std::int64_t>(label));
    }
    vrfm::expect(!files_.empty(), path_,
                 ": expected a folder of PNG or JPEG files for each class, found no file */*.png, "
                 ".jpg or .jpeg");
    common::say("%s: classes 0 to %zu are %s%s", path_.c_str(), classes.size() - 1,
                classes.size() <= 20 ? class_names_.c_str() : "its folders in the order of names",
                others > 0 ? (", without " + std::to_string(others) +
                              " files that are neither PNG nor JPEG by their names")
                                 .c_str()
                           : "");
    const auto first = picture(files_.front());
    count_ = files_.size();
    height_ = first.height;
    width_ = first.width;
    channels_ = 3;
  }

  vrfm::RgbImage picture(const std::filesystem::path& file) const {
    auto image = read_picture(file);
    if (size_ > 0) return vrfm::center_crop(std::move(image), size_);
    vrfm::expect(count_ == 0 || (image.height == height_ && image.width == width_), file.string(),
                 ": expected ", height_, " x ", width_, " pixels as in ", files_.front().string(),
                 ", found ", image.height, " x ", image.width,
                 "; --size brings pictures of any size to one");
    return image;
  }

  std::string path_, class_names_;
  std::size_t size_, count_ = 0, height_ = 0, width_ = 0, channels_ = 0, next_ = 0;
  std::vector<std::int64_t> labels_;
  std::optional<vrfm::NpzFile> archive_;  // of an archive,
  std::unique_ptr<Held> held_;
  std::vector<std::filesystem::path> files_;  // or a folder's
};

}  // namespace images
