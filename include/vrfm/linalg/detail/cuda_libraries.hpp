// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the engines of NVIDIA's libraries share: errors of the runtime, and one handle a stream. Empty without CUDA.
#pragma once

#include <vrfm/core/check.hpp>
#include <vrfm/core/compat.hpp>

#if defined(KOKKOS_ENABLE_CUDA)

#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace vrfm::detail {

inline void expect_success(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(text("vrfm: ", call, " says ", cudaGetErrorString(error)));
}

/// The `Library` of `exec`'s stream, made on first use; Kokkos::finalize releases all of them.
template <class Library>
Library& of_stream(const Kokkos::Cuda& exec) {
  using Key = std::pair<int, cudaStream_t>;
  static std::mutex mutex;
  // Never destroyed: the driver may be gone before the program's end.
  static auto& all = *new std::map<Key, std::unique_ptr<Library>>;
  const std::lock_guard lock(mutex);
  if (all.empty()) Kokkos::push_finalize_hook([] { all.clear(); });
  auto& one = all[{exec.cuda_device(), exec.cuda_stream()}];
  if (!one) one = std::make_unique<Library>(exec);
  return *one;
}

}  // namespace vrfm::detail

#endif
