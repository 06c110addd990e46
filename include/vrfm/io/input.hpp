// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where the readers take their bytes from: a regular file whose size is known before its first byte
// is taken, or memory.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vrfm/io/detail/descriptor.hpp>

namespace vrfm {

/// A regular file, read front to back unless told otherwise. Throws std::runtime_error with the path
/// and the reason.
class InputFile {
 public:
  // O_NONBLOCK: a pipe is refused below instead of waiting for its writer.
  explicit InputFile(const std::filesystem::path& path)
      : name_(path.string()), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    struct stat status {};
    if (fd_.get() < 0 || ::fstat(fd_.get(), &status) != 0) {
      const int error = errno;
      detail::io::fail_errno(name_, "cannot read: expected a readable file", error);
    }
    if (!S_ISREG(status.st_mode))
      detail::io::fail(name_,
                       "cannot read: expected a regular file, found a folder, device or pipe");
    size_ = static_cast<std::size_t>(status.st_size);
  }

  const std::string& name() const { return name_; }
  std::size_t size() const { return size_; }

  /// The next byte read is the one at `position`, at most size().
  void seek(std::size_t position) {
    if (::lseek(fd_.get(), static_cast<off_t>(position), SEEK_SET) < 0) {
      const int error = errno;
      detail::io::fail_errno(
          name_, "cannot read: expected to reach byte " + std::to_string(position), error);
    }
  }

  /// Fills `out` with the next bytes.
  void read(std::span<std::byte> out) {
    while (!out.empty()) {
      const ssize_t count =
          ::read(fd_.get(), out.data(), (std::min)(out.size(), detail::io::largest_transfer));
      if (count == 0)
        detail::io::fail(name_, "cannot read: expected " + std::to_string(out.size()) +
                                    " more bytes, found the end of the file");
      if (count > 0) {
        out = out.subspan(static_cast<std::size_t>(count));
      } else if (errno != EINTR) {
        const int error = errno;
        detail::io::fail_errno(
            name_, "cannot read: expected " + std::to_string(out.size()) + " more bytes", error);
      }
    }
  }

 private:
  std::string name_;
  detail::io::Descriptor fd_;
  std::size_t size_ = 0;
};

/// InputFile's twin over memory that the caller keeps; `name` stands in errors where a path would.
class InputBytes {
 public:
  InputBytes(std::span<const std::byte> bytes, std::string name)
      : name_(std::move(name)), bytes_(bytes), left_(bytes) {}

  const std::string& name() const { return name_; }
  std::size_t size() const { return bytes_.size(); }

  void seek(std::size_t position) { left_ = bytes_.subspan(position); }

  void read(std::span<std::byte> out) {
    if (out.size() > left_.size())
      detail::io::fail(name_, "cannot read: expected " + std::to_string(out.size()) +
                                  " more bytes, found " + std::to_string(left_.size()));
    if (!out.empty()) std::memcpy(out.data(), left_.data(), out.size());
    left_ = left_.subspan(out.size());
  }

 private:
  std::string name_;
  std::span<const std::byte> bytes_, left_;
};

}  // namespace vrfm
