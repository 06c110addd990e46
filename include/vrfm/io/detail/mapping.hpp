// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mapping: the bytes of a file in the address space, read from disk as they are looked at, so that a file may be
// larger than memory.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vrfm/io/detail/descriptor.hpp>

namespace vrfm::detail::io {

class Mapping {
 public:
  Mapping() = default;
  /// Throws std::runtime_error with the path and the reason. A file that is cut short while it is mapped ends the
  /// program when its bytes are looked at.
  explicit Mapping(const std::filesystem::path& path) {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) {
      fail_errno(path.string(), "cannot read: expected a readable file", errno);
    }
    if (!S_ISREG(status.st_mode)) {
      fail(path.string(), "cannot read: expected a regular file, found a folder, device or pipe");
    }
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0) return;  // nothing can be mapped of it
    begin_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (begin_ == MAP_FAILED) {
      begin_ = nullptr;
      fail_errno(path.string(),
                 "cannot read: expected to map its " + std::to_string(size_) + " bytes", errno);
    }
  }
  Mapping(Mapping&& other) noexcept
      : begin_(std::exchange(other.begin_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(begin_, other.begin_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Mapping() {
    if (begin_ != nullptr) ::munmap(begin_, size_);
  }

  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(begin_), size_};
  }

 private:
  void* begin_ = nullptr;
  std::size_t size_ = 0;
};

/// Lets go of the pages of `part`, which are bytes of a Mapping, in which `count` bytes from `first` on lie, and of what
/// the system mapped around them: they no longer count as resident, and come back from the file, or from the system's
/// cache of it, when they are looked at again.
inline void release_pages(std::span<const std::byte> part, std::size_t first, std::size_t count) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t around = 16 * page;  // Linux maps as many at a time, by default
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data()), end = begin + part.size();
  const auto low = (std::max)(begin / page * page, (begin + first) / around * around),
             high = (std::min)(end / page * page,
                               (begin + first + count + around - 1) / around * around);
  // If it fails, they stay.
  if (high > low) (void)::madvise(reinterpret_cast<void*>(low), high - low, MADV_DONTNEED);
}

}  // namespace vrfm::detail::io
