// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FolderLock: a folder that one process at a time writes to. Its file .vrfm-lock is locked by flock, which
// ends with the process whatever kills it, and tells who holds it. Some network file systems have no
// flock, or one that other hosts do not see: so the holder also changes the file every few seconds, and
// a file of another host, or any file where there is no flock, is watched for such a change before
// it counts as left behind.
#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vrfm/io/detail/descriptor.hpp>

namespace vrfm {

struct FolderLockOptions {
  std::chrono::milliseconds beat =
      std::chrono::seconds(5);  ///< how often the holder shows its life
  bool flock = true;            ///< false: as where the file system has none
  /// Told before a lock is watched that may have been left behind, which takes four beats.
  std::function<void(const std::string&)> waiting = {};
};

class FolderLock {
 public:
  static constexpr const char* file_name = ".vrfm-lock";

  /// Locks a folder that exists. Throws std::runtime_error that names the holder, if there is one.
  explicit FolderLock(const std::filesystem::path& folder, const FolderLockOptions& options = {})
      : folder_(folder.string()),
        path_((folder / file_name).string()),
        options_(options),
        file_(-1) {
    take();
    // Signals are for the threads that the program knows of.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before);
    heart_ = std::thread([this] { live(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// The file goes while it is locked: who opens it sees that it is gone, and makes another.
  ~FolderLock() {
    {
      const std::lock_guard guard(mutex_);
      ended_ = true;
    }
    end_.notify_one();
    heart_.join();
    if (is_at_path()) ::unlink(path_.c_str());
  }

 private:
  void take() {
    bool locks = true, made = false;
    do {
      made = open(O_EXCL) || !open(0);
      locks = lock();
    } while (!is_at_path());
    const std::string before = read(file_.get());
    const bool this_kernel = value(before, "boot") == boot();
    if (locks ? !before.empty() && !this_kernel : !made) {
      if (options_.waiting) {
        options_.waiting(folder_ + ": found the lock of " + holder(before) +
                         ", watching whether it lives");
      }
      watch(before);
    }
    if (!locks && !made) {
      ::unlink(path_.c_str());
      if (!open(O_EXCL)) refuse(read_at_path());
    }
    write();
    if (locks) return;
    // Of two that found the same file left behind, the one that was later stays.
    std::this_thread::sleep_for(options_.beat);
    if (!is_at_path()) refuse(read_at_path());
  }

  /// Whether the file could be opened; it cannot where `exclusive` and it is there already.
  bool open(int exclusive) {
    file_.reset(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | exclusive, 0666));
    if (file_.get() < 0 && (errno != EEXIST || exclusive == 0)) {
      const int error = errno;
      detail::io::fail_errno(path_, "cannot write: expected to create the folder's lock", error);
    }
    return file_.get() >= 0;
  }

  /// Whether there is a flock here. Throws if another process has it, and keeps it: one that was killed
  /// has it until the system has cleared it away, and one that has just begun says who it is in a moment.
  bool lock() const {
    if (!options_.flock) return false;
    for (int tries = 50;;) {
      if (::flock(file_.get(), LOCK_EX | LOCK_NB) == 0) return true;
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return false;
      if (--tries == 0) refuse(read(file_.get()));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  /// Throws if the file changes within four beats.
  void watch(const std::string& before) const {
    const auto end = std::chrono::steady_clock::now() + 4 * options_.beat;
    while (std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(options_.beat / 4);
      const std::string now = read_at_path();
      if (now != before) refuse(now.empty() ? before : now);
    }
  }

  [[noreturn]] void refuse(const std::string& record) const {
    detail::io::fail(folder_, "expected a folder that no other run writes to, found the lock of " +
                                  holder(record) + " (" + path_ + ")");
  }

  /// "process 4711 on host node17"
  static std::string holder(const std::string& record) {
    const std::string pid = value(record, "pid"), host = value(record, "host");
    return pid.empty() ? "a process that does not say who it is"
                       : "process " + pid + " on host " + host;
  }

  void write() {
    std::array<char, 256> name{};
    ::gethostname(name.data(), name.size() - 1);
    record_ = "pid " + std::to_string(::getpid()) + "\nhost " + name.data() + "\nboot " + boot() +
              "\nbeat ";
    if (::ftruncate(file_.get(), 0) != 0 || !beat()) {
      const int error = errno;
      ::unlink(path_.c_str());
      detail::io::fail_errno(path_, "cannot write: expected to store who holds the lock", error);
    }
  }

  /// Writes the record with the next number; of one size, so that a full disk does not matter.
  bool beat() {
    std::array<char, 32> number{};
    std::snprintf(number.data(), number.size(), "%012lld\n", ++beats_);
    const std::string text = record_ + number.data();
    const bool done =
        ::pwrite(file_.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
    // Other hosts see what has left this one.
    ::fsync(file_.get());
    return done;
  }

  void live() {
    std::unique_lock guard(mutex_);
    while (!end_.wait_for(guard, options_.beat, [this] { return ended_; })) beat();
  }

  /// Whether the file that is open is the one that the name stands for.
  bool is_at_path() const {
    struct stat here {
    }, there{};
    return ::fstat(file_.get(), &here) == 0 && ::stat(path_.c_str(), &there) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
  }

  static std::string read(int file) {
    std::array<char, 1024> text{};
    const ssize_t count = ::pread(file, text.data(), text.size(), 0);
    return {text.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
  }

  /// A network file system asks the server again when a file is opened.
  std::string read_at_path() const {
    const detail::io::Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    return file.get() < 0 ? "" : read(file.get());
  }

  static std::string value(const std::string& record, const std::string& key) {
    const auto at = ('\n' + record).find('\n' + key + ' ');
    if (at == std::string::npos) return "";
    const auto begin = at + key.size() + 1;
    return record.substr(begin, record.find('\n', begin) - begin);
  }

  /// What tells a running kernel from every other, where the system has it; else the same for all.
  static std::string boot() {
    const detail::io::Descriptor file(
        ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    const std::string text = file.get() < 0 ? "" : read(file.get());
    return text.substr(0, text.find('\n'));
  }

  std::string folder_, path_, record_;
  FolderLockOptions options_;
  detail::io::Descriptor file_;
  long long beats_ = 0;
  std::mutex mutex_;
  std::condition_variable end_;
  bool ended_ = false;
  std::thread heart_;
};

}  // namespace vrfm
