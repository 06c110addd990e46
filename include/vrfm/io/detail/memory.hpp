// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Memory for what a file holds. A file of a few megabytes may unpack to gigabytes, so the error
// says which file wanted how much.
#pragma once

#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace vrfm::detail::io {

/// What is thrown for a file or array that does not fit in memory. It is no std::runtime_error: the
/// file may be right.
class NotEnoughMemory : public std::bad_alloc {
 public:
  NotEnoughMemory(const std::string& name, std::size_t bytes)
      // An error's copies must not throw, which std::runtime_error's text ensures.
      : text_(name + ": expected memory for " + std::to_string(bytes) +
              " bytes, found too little") {}
  const char* what() const noexcept override { return text_.what(); }

 private:
  std::runtime_error text_;
};

/// allocate(), which needs `bytes` for what `name` holds. Throws NotEnoughMemory.
template <class Allocate>
auto with_memory(const std::string& name, std::size_t bytes, const Allocate& allocate) {
  try {
    return allocate();
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {  // more than a vector or a string can ever hold
  }
  throw NotEnoughMemory(name, bytes);
}

template <class T>
std::vector<T> allocate_values(const std::string& name, std::size_t count) {
  return with_memory(name, count * sizeof(T), [count] { return std::vector<T>(count); });
}

}  // namespace vrfm::detail::io
