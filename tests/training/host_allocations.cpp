// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Replaces operator new by one that counts. The forms that are not here call these.
#include "host_allocations.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

// nvcc takes an operator new that it sees for the device's, too.
#if !defined(__CUDA_ARCH__)

namespace {

std::atomic<int> calls{0};

void* counted(void* block) {
  ++calls;
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

int vrfm::test::host_allocations() { return calls; }

// Sorting asks for its buffer so; under AddressSanitizer it would otherwise be another's to free.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++calls;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void* operator new(std::size_t bytes) { return counted(std::malloc(bytes == 0 ? 1 : bytes)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  return counted(std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit));
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }

#endif
