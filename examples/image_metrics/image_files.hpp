// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Images whose features are computed: an archive of an array, as samples.npz is; a folder of PNG and JPEG files, of any
// sizes; the files of MNIST and CIFAR-10. Archives and folders are read as they are needed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/io/cifar10.hpp>
#include <vrfm/io/mnist.hpp>
#include <vrfm/io/npz.hpp>

#include <examples/images/picture_files.hpp>

namespace image_metrics {

/// The images of a folder that holds the files of MNIST or CIFAR-10; nothing if it holds none of them. Throws
/// std::runtime_error that names the file that is damaged.
inline std::optional<vrfm::Images> read_data_set(const std::filesystem::path& folder,
                                                 vrfm::Split split) {
  const auto has = [&](const std::string& name) { return std::filesystem::exists(folder / name); };
  const std::string mnist =
      split == vrfm::Split::train ? "train-images-idx3-ubyte" : "t10k-images-idx3-ubyte";
  if (has(vrfm::cifar10_files(split).front())) return vrfm::read_cifar10(folder, split);
  if (has(mnist) || has(mnist + ".gz")) return vrfm::read_mnist(folder, split);
  return std::nullopt;
}

class ImageFiles {
 public:
  /// `split`: of a folder of a data set. Throws std::runtime_error that names what was expected and what was found.
  ImageFiles(const std::string& path, vrfm::Split split) : path_(path) {
    const std::filesystem::path file(path);
    if (std::filesystem::is_directory(file)) {
      open_folder(file, split);
    } else if (file.extension() == ".npz") {
      open_archive();
    } else if (file.extension() == ".bin") {
      vrfm::InputFile input(file);
      all_ = vrfm::detail::io::empty_cifar10();
      vrfm::detail::io::load_cifar10(input, all_);
      count_ = all_.count;
    } else {
      auto array = vrfm::read_idx(file, 3);
      all_ = {array.shape[0], array.shape[1], array.shape[2], 1, std::move(array.values), {}};
      count_ = all_.count;
    }
    vrfm::expect(count_ > 0, path_, ": expected images, found none");
  }

  std::size_t count() const { return count_; }

  /// The next images, at most so many, all of one size.
  vrfm::Images next(std::size_t most) {
    if (!files_.empty()) return next_pictures(most);
    vrfm::Images part{
        std::min(most, count_ - done_), all_.height, all_.width, all_.channels, {}, {}};
    const std::size_t each = part.height * part.width * part.channels;
    if (held_) {
      part.pixels.resize(part.count * each);
      held_->pieces.read(part.pixels);
    } else {
      const auto* begin = all_.pixels.data() + done_ * each;
      part.pixels.assign(begin, begin + part.count * each);
    }
    done_ += part.count;
    return part;
  }

 private:
  /// They cannot be moved, and nvcc makes them in place as a member alone.
  struct Held {
    vrfm::NpzPieces<std::uint8_t, vrfm::InputFile> pieces;
  };

  void open_archive() {
    archive_.emplace(path_);
    held_.reset(new Held{archive_->pieces<std::uint8_t>("arr_0")});
    const auto& shape = held_->pieces.shape();
    vrfm::expect(shape.size() == 4 && (shape[3] == 1 || shape[3] == 3), path_,
                 ": array 'arr_0': expected images [n, height, width, 1 or 3], found ",
                 vrfm::detail::io::format_shape(shape));
    count_ = held_->pieces.left() > 0 ? shape[0] : 0;
    all_ = {0, shape[1], shape[2], shape[3], {}, {}};
  }

  void open_folder(const std::filesystem::path& folder, vrfm::Split split) {
    if (auto set = read_data_set(folder, split)) {
      all_ = std::move(*set);
    } else {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file() && images::is_picture(entry.path())) {
          files_.push_back(entry.path());
        }
      }
      std::sort(files_.begin(), files_.end());
      vrfm::expect(!files_.empty(), path_,
                   ": expected a folder of PNG or JPEG files, or of the files of MNIST or "
                   "CIFAR-10's binary version (",
                   split == vrfm::Split::train ? "train" : "test", "), found none of them");
    }
    count_ = files_.empty() ? all_.count : files_.size();
  }

  vrfm::Images next_pictures(std::size_t most) {
    vrfm::Images part{0, 0, 0, 3, {}, {}};
    for (; part.count < most && done_ < count_; ++done_, ++part.count) {
      if (!ahead_) ahead_ = images::read_picture(files_[done_]);
      if (part.count == 0) {
        part.height = ahead_->height;
        part.width = ahead_->width;
      }
      if (ahead_->height != part.height || ahead_->width != part.width) break;
      part.pixels.insert(part.pixels.end(), ahead_->pixels.begin(), ahead_->pixels.end());
      ahead_.reset();
    }
    return part;
  }

  std::string path_;
  std::size_t count_ = 0, done_ = 0;
  std::optional<vrfm::NpzFile> archive_;  // of an archive,
  std::unique_ptr<Held> held_;
  std::vector<std::filesystem::path> files_;  // a folder's, and
  std::optional<vrfm::RgbImage> ahead_;       // the first of them that was read and not handed out,
  vrfm::Images all_;                          // or a data set's; of an archive their size alone
};

}  // namespace image_metrics
