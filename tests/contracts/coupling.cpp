// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The smallest coupling, and the source and target of one, of which each case leaves out or changes
// one thing.
#include <tests/contracts/contracts.hpp>

struct Pairs {
#if !defined(CASE_no_dimension)
  KOKKOS_FUNCTION int dimension() const { return 1; }
#endif
#if defined(CASE_draw_into_pointers)
  template <class T>
  KOKKOS_FUNCTION void draw(const vrfm::SampleAddress&, T*, T*) const {}
#elif defined(CASE_draw_is_not_const)
  template <class T>
  KOKKOS_FUNCTION void draw(const vrfm::SampleAddress&, const vrfm::Slot<T>&) {}
#else
  template <class T>
  KOKKOS_FUNCTION void draw(const vrfm::SampleAddress&, const vrfm::Slot<T>&) const {}
#endif
};

constexpr bool ok = vrfm::RequireCoupling<Pairs, float>::ok;

struct Zero {
  KOKKOS_FUNCTION int dimension() const { return 1; }
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t, std::uint32_t, const vrfm::RandomStream&, T*) const {}
};

struct Nothing {};

#if defined(CASE_source_without_dimension)
inline auto make() { return vrfm::independent(Nothing{}, Zero{}); }
#elif defined(CASE_target_without_dimension)
inline auto make() { return vrfm::independent(Zero{}, Nothing{}); }
#else
inline auto make() { return vrfm::independent(Zero{}, Zero{}); }
static_assert(vrfm::RequireCoupling<decltype(make()), double>::ok);
#endif
