// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Memory of devices on its way through the host: what ranks add or gather there is copied to the host before
// and from it behind, in the order of the execution space's work, and through memory that devices copy from
// directly (pinned). Memory that the host can use stays where it is.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/parallel/segment.hpp>

namespace vrfm::detail {

class HostStage {
 public:
  /// Calls add(host, roots, result) with an execution space of the host and memory that it can use; of
  /// the result of add the elements of `wanted` go back. Waits for the end.
  template <ExecutionSpace Exec, class S, class Add>
  void add(const Exec& exec, std::span<S* const> roots, S* result, std::size_t count,
           const Segment& wanted, const Add& add) {
    if constexpr (is_host_space<Exec>) {
      exec.fence();
      add(exec, roots, result);
    } else {
      S* const staged = take<S>((roots.empty() ? 1 : roots.size()) * count);
      auto& host_roots = std::get<std::vector<S*>>(roots_);
      host_roots.clear();
      for (std::size_t k = 0; k < roots.size(); ++k) {
        S* const slice = staged + k * count;
        copy_elements(exec, Host<S>(slice, count), Device<Exec, S>(roots[k], count));
        host_roots.push_back(slice);
      }
      exec.fence();
      add(Kokkos::DefaultHostExecutionSpace(), std::span<S* const>(host_roots), staged);
      copy_elements(exec, Device<Exec, S>(result + wanted.begin, wanted.count()),
                    Host<S>(staged + wanted.begin, wanted.count()));
      exec.fence();
    }
  }

  /// Calls gather(values) with memory of the host, of which the elements of `own` are the caller's; then
  /// all go back. Waits for the end.
  template <ExecutionSpace Exec, class S, class Gather>
  void gather(const Exec& exec, S* values, std::size_t count, const Segment& own,
              const Gather& gather) {
    exec.fence();
    if constexpr (is_host_space<Exec>) {
      gather(values);
    } else {
      S* const staged = take<S>(count);
      copy_elements(exec, Host<S>(staged + own.begin, own.count()),
                    Device<Exec, S>(values + own.begin, own.count()));
      exec.fence();
      gather(staged);
      copy_elements(exec, Device<Exec, S>(values, count), Host<S>(staged, count));
      exec.fence();
    }
  }

 private:
  template <class S>
  using Host = Kokkos::View<S*, Kokkos::HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  template <class Exec, class S>
  using Device =
      Kokkos::View<S*, typename Exec::memory_space, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;

#if defined(KOKKOS_ENABLE_CUDA)
  using Space = Kokkos::CudaHostPinnedSpace;
#else
  using Space = Kokkos::HostSpace;
#endif
  using Bytes = Kokkos::View<char*, Space>;

  template <class S>
  S* take(std::size_t count) {
    const std::size_t needed = count * sizeof(S);
    if (bytes_ == nullptr) {
      bytes_ = std::make_shared<Bytes>();
      // A communicator may live longer than Kokkos, its views may not.
      Kokkos::push_finalize_hook([weak = std::weak_ptr<Bytes>(bytes_)] {
        if (const auto bytes = weak.lock()) *bytes = Bytes();
      });
    }
    if (bytes_->size() < needed) {
      *bytes_ = Bytes(Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::HostStage"), needed);
    }
    return reinterpret_cast<S*>(bytes_->data());
  }

  std::shared_ptr<Bytes> bytes_;
  std::tuple<std::vector<float*>, std::vector<double*>> roots_;
};

}  // namespace vrfm::detail
