// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary of the library's templates: real types, execution spaces, which of them run on the
// host, arrays and tables.
#pragma once

#include <concepts>

#include <Kokkos_Core.hpp>

namespace vrfm {

/// Real types with full support.
template <class T>
concept Real = std::same_as<T, float> || std::same_as<T, double>;

/// A Kokkos execution space (`Kokkos::Serial`, `Kokkos::OpenMP`, `Kokkos::Cuda`, ...).
template <class E>
concept ExecutionSpace = Kokkos::is_execution_space<E>::value;

/// True for execution spaces whose kernels run on the host's processor.
template <ExecutionSpace E>
inline constexpr bool is_host_space =
    Kokkos::SpaceAccessibility<E, Kokkos::HostSpace>::accessible &&
    Kokkos::SpaceAccessibility<Kokkos::HostSpace, typename E::memory_space>::accessible &&
    std::same_as<typename E::memory_space, Kokkos::HostSpace>;

/// A contiguous array in `E`'s memory.
template <class T, ExecutionSpace E>
using Array = Kokkos::View<T*, typename E::memory_space>;

/// A row-major table in `E`'s memory: one sample a row.
template <class T, ExecutionSpace E>
using Table = Kokkos::View<T**, Kokkos::LayoutRight, typename E::memory_space>;

}  // namespace vrfm
