// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Files that are written whole or not at all. The new contents go to a temporary in the same
// folder, are synced, and are renamed over the old name; then the folder is synced. A reader, a
// full disk or a crash meets either the earlier file or the complete new one.
#pragma once

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vrfm/io/detail/descriptor.hpp>

namespace vrfm {

/// A file that appears under its name, complete, at commit(), or not at all: without a commit the
/// destructor removes the temporary and the earlier file stays as it was. A symbolic link at `path`
/// is replaced, not followed. Every failure throws std::runtime_error with the path, what was
/// expected and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path)
      : name_(path.string()), target_(path.filename().string()), folder_(-1), file_(-1) {
    using namespace detail::io;
    if (target_.empty() || target_ == "." || target_ == "..")
      fail(name_, "cannot write: expected a file name");

    const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    folder_.reset(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder_.get() < 0) {
      const int error = errno;
      fail_errno(name_, "cannot write: expected a folder '" + folder.string() + "'", error);
    }

    // Renaming over a device such as /dev/null would destroy it for everyone.
    struct stat status {};
    if (::fstatat(folder_.get(), target_.c_str(), &status, 0) == 0 && !S_ISREG(status.st_mode))
      fail(name_, "cannot write: expected a regular file or none, found a folder, device or pipe");

    // The name does not grow with the target's, so every legal target name has a legal temporary.
    constexpr int attempts = 1000;
    for (int attempt = 0; attempt < attempts && file_.get() < 0; ++attempt) {
      temporary_ = std::string(prefix) + std::to_string(::getpid()) + "-" +
                   std::to_string(attempt) + std::string(suffix);
      file_.reset(::openat(folder_.get(), temporary_.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
      if (file_.get() < 0 && (errno != EEXIST || attempt + 1 == attempts)) {
        const int error = errno;
        temporary_.clear();
        fail_errno(name_,
                   "cannot write: expected to create a file in folder '" + folder.string() + "'",
                   error);
      }
    }
  }

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  ~AtomicFile() {
    if (!temporary_.empty()) ::unlinkat(folder_.get(), temporary_.c_str(), 0);
  }

  /// Removes the temporaries in a folder that nobody writes to now: a kill left them. What cannot be
  /// removed stays.
  static void remove_temporaries(const std::filesystem::path& folder) {
    std::error_code none;
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(prefix) && name.ends_with(suffix)) found.push_back(entry.path());
    }
    for (const auto& file : found) std::filesystem::remove(file, none);
  }

  void write(std::span<const std::byte> bytes) { detail::io::write_all(file_.get(), bytes, name_); }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// The same `offset` bytes from the file's beginning on; where write() goes on stays.
  void write_at(std::size_t offset, std::span<const std::byte> bytes) {
    detail::io::write_all_at(file_.get(), offset, bytes, name_);
  }

  /// The temporary's name without its folder, for a FilePart of another process.
  const std::string& temporary() const { return temporary_; }

  /// Syncs the contents and moves them to the target's name. To be called once.
  void commit() {
    using namespace detail::io;
    if (sync(file_.get()) != 0 || file_.close() != 0) {
      const int error = errno;
      fail_errno(name_, "cannot write: expected the contents to reach the disk", error);
    }
    if (::renameat(folder_.get(), temporary_.c_str(), folder_.get(), target_.c_str()) != 0) {
      const int error = errno;
      fail_errno(name_, "cannot write: expected to rename '" + temporary_ + "' to it", error);
    }
    temporary_.clear();
    // EINVAL: a file system that has nothing to sync for a folder.
    if (sync(folder_.get()) != 0 && errno != EINVAL) {
      const int error = errno;
      fail_errno(name_, "written, but its folder's entry may not have reached the disk", error);
    }
  }

 private:
  static constexpr std::string_view prefix = ".vrfm-", suffix = ".tmp";

  std::string name_, target_, temporary_;
  detail::io::Descriptor folder_, file_;
};

/// The hand of another process in an AtomicFile: writes parts of its temporary, which must be done before the
/// file's commit(). Throws as AtomicFile does.
class FilePart {
 public:
  /// Of the AtomicFile for `path` whose temporary() it is.
  FilePart(const std::filesystem::path& path, const std::string& temporary)
      : name_((path.parent_path() / temporary).string()),
        file_(::open(name_.c_str(), O_WRONLY | O_CLOEXEC)) {
    if (file_.get() >= 0) return;
    const int error = errno;
    detail::io::fail_errno(name_,
                           "cannot write: expected the file that another process began, in a "
                           "folder that all of them see",
                           error);
  }

  void write_at(std::size_t offset, std::span<const std::byte> bytes) {
    detail::io::write_all_at(file_.get(), offset, bytes, name_);
  }

  /// Syncs what was written. To be called once, at the end.
  void commit() {
    if (detail::io::sync(file_.get()) == 0 && file_.close() == 0) return;
    const int error = errno;
    detail::io::fail_errno(name_, "cannot write: expected the contents to reach the disk", error);
  }

 private:
  std::string name_;
  detail::io::Descriptor file_;
};

/// Replaces `path` with what `writer` writes: `writer(AtomicFile&)`. If it throws, the earlier file
/// is untouched.
template <std::invocable<AtomicFile&> Writer>
void write_file_atomically(const std::filesystem::path& path, Writer&& writer) {
  AtomicFile file(path);
  std::forward<Writer>(writer)(file);
  file.commit();
}

/// Replaces `path` with `text`.
inline void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, [text](AtomicFile& file) { file.write(text); });
}

}  // namespace vrfm
