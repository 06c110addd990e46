// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts what Kokkos reports to tools: allocations, and fences where this version of Kokkos reports
// them. Kernels are not counted, because a tool that asks for them makes Kokkos fence around each.
#pragma once

#include <cstdint>

#include <Kokkos_Core.hpp>

namespace vrfm::test {

/// Allocations and fences since the object was made. One object at a time.
class KokkosEvents {
 public:
  KokkosEvents() {
    allocations_ = fences_ = 0;
    Kokkos::Tools::Experimental::set_allocate_data_callback([](const Kokkos_Profiling_SpaceHandle,
                                                               const char*, const void*,
                                                               const uint64_t) { ++allocations_; });
    Kokkos::Tools::Experimental::set_begin_fence_callback(
        [](const char*, const uint32_t, uint64_t*) { ++fences_; });
  }
  KokkosEvents(const KokkosEvents&) = delete;
  KokkosEvents& operator=(const KokkosEvents&) = delete;
  ~KokkosEvents() {
    Kokkos::Tools::Experimental::set_allocate_data_callback(nullptr);
    Kokkos::Tools::Experimental::set_begin_fence_callback(nullptr);
  }

  int allocations() const { return allocations_; }
  int fences() const { return fences_; }

 private:
  inline static int allocations_ = 0, fences_ = 0;
};

}  // namespace vrfm::test
