// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The smallest optimizer with a state, of which each case leaves out or changes one thing.
#include <tests/contracts/contracts.hpp>

struct Momentum {
#if defined(CASE_not_trivial)
  std::vector<double> rates;
#endif
#if defined(CASE_state_is_one_name)
  static constexpr const char* state = "momentum";
  static constexpr int arrays = 1;
#elif defined(CASE_names_twice)
  static constexpr std::array<const char*, 2> state = {"momentum", "momentum"};
  static constexpr int arrays = 2;
#else
  static constexpr std::array<const char*, 1> state = {"momentum"};
  static constexpr int arrays = 1;
#endif

#if !defined(CASE_no_check)
  void check() const {}
#endif

  template <class T>
  struct Step {
#if defined(CASE_no_default_step)
    KOKKOS_FUNCTION explicit Step(int) {}
#endif
#if defined(CASE_returns_nothing)
    KOKKOS_FUNCTION void operator()(T, T, vrfm::OptimizerState<T, arrays>&) const {}
#elif defined(CASE_other_state)
    KOKKOS_FUNCTION T operator()(T p, T, vrfm::OptimizerState<T, arrays + 1>&) const { return p; }
#else
    KOKKOS_FUNCTION T operator()(T p, T, vrfm::OptimizerState<T, arrays>&) const { return p; }
#endif
  };

#if defined(CASE_no_default_step)
  template <class T>
  KOKKOS_FUNCTION Step<T> at(std::int64_t) const {
    return Step<T>(0);
  }
#elif !defined(CASE_no_step)
  template <class T>
  KOKKOS_FUNCTION Step<T> at(std::int64_t) const {
    return {};
  }
#endif
};

constexpr bool ok = vrfm::RequireOptimizer<Momentum, float>::ok;
