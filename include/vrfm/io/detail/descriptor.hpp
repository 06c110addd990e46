// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What reading and writing files share on a POSIX system: errors that name the file, and an owned
// file descriptor.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace vrfm::detail::io {

[[noreturn]] inline void fail(const std::string& name, const std::string& what) {
  throw std::runtime_error(name + ": " + what);
}

[[noreturn]] inline void fail_errno(const std::string& name, const std::string& what, int error) {
  fail(name, what + ": " + std::generic_category().message(error));
}

/// Owns one file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  void reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  /// 0, or -1 with errno set: a network file system may report a lost write only here.
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

// Some systems refuse a single transfer of 2 GiB or more.
inline constexpr std::size_t largest_transfer = std::size_t{1} << 30;

/// Calls write(bytes), which returns how many of them it stored or sets errno, until all are.
template <class Write>
void write_by(Write write, std::span<const std::byte> bytes, const std::string& name) {
  const std::size_t total = bytes.size();
  while (!bytes.empty()) {
    const ssize_t count = write(bytes.first((std::min)(bytes.size(), largest_transfer)));
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      const int error = errno;
      fail_errno(name,
                 "cannot write: expected to store " + std::to_string(total) + " bytes, stored " +
                     std::to_string(total - bytes.size()),
                 error);
    }
  }
}

/// At the file's position.
inline void write_all(int fd, std::span<const std::byte> bytes, const std::string& name) {
  write_by([fd](auto part) { return ::write(fd, part.data(), part.size()); }, bytes, name);
}

/// `offset` bytes from the file's beginning on; its position stays.
inline void write_all_at(int fd, std::size_t offset, std::span<const std::byte> bytes,
                         const std::string& name) {
  const auto write = [fd, offset](auto part) mutable {
    const ssize_t count = ::pwrite(fd, part.data(), part.size(), static_cast<off_t>(offset));
    if (count > 0) offset += static_cast<std::size_t>(count);
    return count;
  };
  write_by(write, bytes, name);
}

inline int sync(int fd) {
  int result;
  do result = ::fsync(fd);
  while (result != 0 && errno == EINTR);
  return result;
}

}  // namespace vrfm::detail::io
