// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// launch_each: one kernel over a range of indices. On hosts whose kernels have ended when Kokkos returns, all of
// them are one instantiation of Kokkos::parallel_for, which calls a kernel for each thread's share of the range
// through a pointer: an instantiation for every kernel made a tenth of the time that a program takes to compile.
#pragma once

#include <cstdint>
#include <string>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/concepts.hpp>

namespace vrfm {

namespace detail {

/// Spaces whose parallel_for returns behind the last call.
template <class E>
inline constexpr bool is_synchronous = false;
#if defined(KOKKOS_ENABLE_SERIAL)
template <>
inline constexpr bool is_synchronous<Kokkos::Serial> = true;
#endif
#if defined(KOKKOS_ENABLE_OPENMP)
template <>
inline constexpr bool is_synchronous<Kokkos::OpenMP> = true;
#endif

/// Calls a kernel of some type for the indices [first, last).
using CallShare = void (*)(const void* kernel, std::int64_t first, std::int64_t last);

template <class Index, class F>
void call_share(const void* kernel, std::int64_t first, std::int64_t last) {
  const F& f = *static_cast<const F*>(kernel);
  for (std::int64_t i = first; i < last; ++i) f(static_cast<Index>(i));
}

/// Share s of `shares` of [first, first + count).
struct HostKernel {
  CallShare call;
  const void* kernel;
  std::int64_t first, count, shares;

  void operator()(std::int64_t s) const {
    call(kernel, first + count * s / shares, first + count * (s + 1) / shares);
  }
};

template <ExecutionSpace Exec>
void launch_shares(const Exec& exec, const std::string& label, std::int64_t first,
                   std::int64_t count, CallShare call, const void* kernel) {
  const std::int64_t shares = math::minimum(count, static_cast<std::int64_t>(exec.concurrency()));
  using Policy = Kokkos::RangePolicy<Exec, Kokkos::IndexType<std::int64_t>>;
  Policy policy(exec, 0, shares);
  policy.set_chunk_size(1);
  Kokkos::parallel_for(label, policy, HostKernel{call, kernel, first, count, shares});
}

}  // namespace detail

/// f(i) for first <= i < end, all independent, as one kernel on `exec` called `label`; f is trivially copyable and
/// takes an Index. Asynchronous: does not fence.
template <ExecutionSpace Exec, class Index, class F>
void launch_each(const Exec& exec, const std::string& label, Index first, Index end, const F& f) {
  if (first >= end) return;
  if constexpr (detail::is_synchronous<Exec>) {
    detail::launch_shares(exec, label, first, static_cast<std::int64_t>(end) - first,
                          detail::call_share<Index, F>, &f);
  } else {
    using Policy = Kokkos::RangePolicy<Exec, LightKernel, Kokkos::IndexType<Index>>;
    Kokkos::parallel_for(label, Policy(exec, first, end), f);
  }
}

/// The same for 0 <= i < count.
template <ExecutionSpace Exec, class Index, class F>
void launch_each(const Exec& exec, const std::string& label, Index count, const F& f) {
  launch_each(exec, label, Index(0), count, f);
}

}  // namespace vrfm
