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

#include <vrfm/core/concepts.hpp>

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

template <class List, class Reals>
struct WithReals;
template <class... E, class... T>
struct WithReals<std::tuple<E...>, std::tuple<T...>> {
  template <class One>
  using with_reals = std::tuple<Case<One, T>...>;
  using type = decltype(std::tuple_cat(std::declval<with_reals<E>>()...));
};

/// Spaces of hosts take turns with one of the two: they run one source. A space alone has both.
template <class List, class Places>
struct TurnsOfReals;
template <class... E, std::size_t... I>
struct TurnsOfReals<std::tuple<E...>, std::index_sequence<I...>> {
  template <class One, std::size_t Place>
  using with_reals =
      std::conditional_t<is_host_space<One> && (sizeof...(E) > 1),
                         std::tuple<Case<One, std::conditional_t<Place % 2 == 0, double, float>>>,
                         std::tuple<Case<One, float>, Case<One, double>>>;
  using type = decltype(std::tuple_cat(std::declval<with_reals<E, I>>()...));
};

/// Every space, with float or double, and both of them.
using SpacesAndReals =
    typename TurnsOfReals<Spaces, std::make_index_sequence<std::tuple_size_v<Spaces>>>::type;

#if defined(VRFM_TEST_BRIEFLY)
// For the preset sanitize, where all takes many times as long.
using SpacesTimesReals = SpacesAndReals;
#else
/// Every space with float and with double: for kernels that are written for one of them.
using SpacesTimesReals = typename WithReals<Spaces, std::tuple<float, double>>::type;
#endif

}  // namespace vrfm::test
