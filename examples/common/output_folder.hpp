// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// OutputFolder: the folder that --output names. It is locked while its program writes to it, results of an
// earlier run are written over only if that was asked for, and a program that ends without a result leaves
// no folder that it made. Of several ranks the root alone does all this.
#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <unistd.h>

#include <vrfm/io/file.hpp>
#include <vrfm/io/folder_lock.hpp>

#include <examples/common/ranks.hpp>

namespace common {

class OutputFolder {
 public:
  /// Makes the folder if need be, and locks it. Throws std::runtime_error that names --output.
  explicit OutputFolder(const std::filesystem::path& path) : path_(path) {
    if (!is_root()) return;
    std::error_code none;
    if (std::filesystem::exists(path_, none) && !std::filesystem::is_directory(path_, none)) {
      throw std::runtime_error("--output " + path_.string() +
                               ": expected the name of a folder, found a file");
    }
    try {
      make(path_);
      lock();
      vrfm::AtomicFile::remove_temporaries(path_);
    } catch (...) {
      remove_empty();
      throw;
    }
  }
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;
  ~OutputFolder() {
    lock_.reset();
    remove_empty();
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

  /// Makes a folder in it. Throws std::runtime_error that names --output.
  void add(const std::string& name) {
    if (!is_root()) return;
    make(path_ / name);
    vrfm::AtomicFile::remove_temporaries(path_ / name);
  }

  /// Throws std::runtime_error if one of the files `names` is here; `advice` says what to do.
  void refuse_results(const std::vector<std::string>& names, const std::string& advice) const {
    if (!is_root()) return;
    for (const std::string& name : names) {
      if (!std::filesystem::exists(path_ / name)) continue;
      throw std::runtime_error("--output " + path_.string() + ": expected no results, found " +
                               (path_ / name).string() + "; " + advice);
    }
  }

  /// Removes the files `names`.
  void remove(const std::vector<std::string>& names) const {
    if (!is_root()) return;
    for (const std::string& name : names) std::filesystem::remove(path_ / name);
  }

  /// The files with such an extension of a folder in it.
  std::vector<std::filesystem::path> files(const std::string& folder,
                                           const std::vector<std::string>& extensions) const {
    std::error_code none;
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(path_ / folder, none)) {
      for (const auto& extension : extensions) {
        if (entry.path().extension() == extension) found.push_back(entry.path());
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  void remove_files(const std::string& folder, const std::vector<std::string>& extensions) const {
    if (!is_root()) return;
    for (const auto& file : files(folder, extensions)) std::filesystem::remove(file);
  }

 private:
  /// With all folders above it, which are noted.
  void make(const std::filesystem::path& folder) {
    std::error_code error;
    if (std::filesystem::is_directory(folder, error)) return;
    const auto parent = folder.parent_path();
    if (!parent.empty() && parent != folder) make(parent);
    if (std::filesystem::create_directory(folder, error)) made_.push_back(folder);
    if (error && !std::filesystem::is_directory(folder)) {
      throw std::runtime_error("--output " + path_.string() + ": cannot create the folder " +
                               folder.string() + ": " + error.message());
    }
  }

  void lock() {
    const auto say = [](const std::string& what) { std::fprintf(stderr, "%s\n", what.c_str()); };
    try {
      lock_.emplace(path_, vrfm::FolderLockOptions{.waiting = say});
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(std::string("--output ") + error.what());
    }
  }

  /// Removes those that it made and that are empty: only these can be removed.
  void remove_empty() {
    while (!made_.empty()) {
      ::rmdir(made_.back().c_str());
      made_.pop_back();
    }
  }

  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;
  std::optional<vrfm::FolderLock> lock_;
};

}  // namespace common
