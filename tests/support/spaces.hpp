// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The execution spaces that this Kokkos was built with, as lists of types for
// TEMPLATE_LIST_TEST_CASE: every test of device code runs in each of them.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include <Kokkos_Core.hpp>

namespace vrfm::test {

using Spaces = decltype(std::tuple_cat(
#if defined(KOKKOS_ENABLE_SERIAL)
    std::declval<std::tuple<Kokkos::Serial>>(),
#endif
#if defined(KOKKOS_ENABLE_OPENMP)
    std::declval<std::tuple<Kokkos::OpenMP>>(),
#endif
#if defined(KOKKOS_ENABLE_THREADS)
    std::declval<std::tuple<Kokkos::Threads>>(),
#endif
#if defined(KOKKOS_ENABLE_CUDA)
    std::declval<std::tuple<Kokkos::Cuda>>(),
#endif
#if defined(KOKKOS_ENABLE_HIP) && KOKKOS_VERSION >= 40000
    std::declval<std::tuple<Kokkos::HIP>>(),
#endif
    std::declval<std::tuple<>>()));

/// One execution space with one number type.
template <class E, class T>
struct Case {
  using Exec = E;
  using Real = T;
};

template <class List, class Places>
struct WithReals;

#if defined(VRFM_TEST_BRIEFLY)
// For the preset sanitize, where all takes many times as long. The spaces of hosts run one source.
template <class... E, std::size_t... I>
struct WithReals<std::tuple<E...>, std::index_sequence<I...>> {
  using type = std::tuple<Case<E, std::conditional_t<I % 2 == 0, double, float>>...>;
};
#else
template <class... E, std::size_t... I>
struct WithReals<std::tuple<E...>, std::index_sequence<I...>> {
  using type = std::tuple<Case<E, float>..., Case<E, double>...>;
};
#endif

/// Every space with float and with double; of few types, with one of the two.
using SpacesAndReals =
    typename WithReals<Spaces, std::make_index_sequence<std::tuple_size_v<Spaces>>>::type;

}  // namespace vrfm::test
