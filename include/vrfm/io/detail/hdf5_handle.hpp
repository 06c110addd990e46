// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What all calls of HDF5's C library share (https://docs.hdfgroup.org). It keeps its state in global variables, so that
// one lock of the process is around every call of it: hold a Hdf5Lock. It would also print its errors: while a lock is
// held it does not, and what it had to say becomes a part of the exception. A program that calls HDF5 itself from other
// threads holds a Hdf5Lock meanwhile, too.
#pragma once

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>

#include <hdf5.h>

#include <vrfm/io/detail/descriptor.hpp>

namespace vrfm::detail::io {

class Hdf5Lock {
 public:
  Hdf5Lock() : lock_(mutex()) {
    known_ = H5Eget_auto2(H5E_DEFAULT, &print_, &data_) >= 0;
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  Hdf5Lock(const Hdf5Lock&) = delete;
  Hdf5Lock& operator=(const Hdf5Lock&) = delete;
  ~Hdf5Lock() {
    if (known_) H5Eset_auto2(H5E_DEFAULT, print_, data_);
  }

 private:
  static std::recursive_mutex& mutex() {
    static std::recursive_mutex one;
    return one;
  }

  std::lock_guard<std::recursive_mutex> lock_;
  bool known_ = false;
  H5E_auto2_t print_ = nullptr;
  void* data_ = nullptr;
};

/// Owns an identifier of HDF5; below 0 if the call that made it failed.
class Hdf5Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, Close closes) : id_(id), close_(closes) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept
      : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hdf5Handle() { close(); }

  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  /// Whether it went well; a file's last writes may fail only here.
  bool close() {
    if (id_ < 0) return true;
    const Hdf5Lock lock;
    return close_(std::exchange(id_, -1)) >= 0;
  }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

/// Throws std::runtime_error with what HDF5 says of its last call, which failed. A lock is held since before that.
[[noreturn]] inline void fail_hdf5(const std::string& name, const std::string& what) {
  std::string reason;
  // The first error is the one at the bottom, where it happened.
  const auto take = [](unsigned n, const H5E_error2_t* error, void* text) -> herr_t {
    if (n == 0 && error->desc != nullptr) *static_cast<std::string*>(text) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take, &reason);
  reason.erase(std::remove(reason.begin(), reason.end(), '\n'), reason.end());
  fail(name, what + ", but HDF5 says: " + (reason.empty() ? "nothing" : reason));
}

/// `id`, which HDF5 has just returned, as a handle; fail_hdf5 if it is none.
inline Hdf5Handle hold(hid_t id, Hdf5Handle::Close closes, const std::string& name,
                       const std::string& what) {
  if (id < 0) fail_hdf5(name, what);
  return {id, closes};
}

}  // namespace vrfm::detail::io
