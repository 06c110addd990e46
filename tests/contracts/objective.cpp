// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The smallest objective, of which each case leaves out or changes one thing.
#include <tests/contracts/contracts.hpp>

#include <vector>

struct SomeNetworks {};

struct OneLoss {
#if defined(CASE_not_trivial)
  std::vector<double> weights;
#endif
#if defined(CASE_terms_are_numbers)
  static constexpr std::array<int, 1> terms = {1};
#elif !defined(CASE_no_terms)
  static constexpr std::array<const char*, 1> terms = {"one"};
#endif

#if !defined(CASE_no_check)
  template <class Networks>
  void check(const Networks&) const {}
#endif

#if defined(CASE_call_without_arena)
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx&, const vrfm::LossProblem<Networks, T>&) const {}
#elif defined(CASE_call_returns_loss)
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION T operator()(const Ctx&, const vrfm::LossProblem<Networks, T>&,
                               vrfm::Arena<T>&) const {
    return T(0);
  }
#elif defined(CASE_call_is_not_const)
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx&, const vrfm::LossProblem<Networks, T>&,
                                  vrfm::Arena<T>&) {}
#else
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx&, const vrfm::LossProblem<Networks, T>&,
                                  vrfm::Arena<T>&) const {}
#endif
};

constexpr bool ok = vrfm::RequireObjective<OneLoss, SomeNetworks>::ok;
