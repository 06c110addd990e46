// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The smallest layer, of which each case leaves out or changes one thing.
#include <tests/contracts/contracts.hpp>

#include <vector>

struct Same {
#if defined(CASE_not_trivial)
  std::vector<int> offsets;
#endif
#if !defined(CASE_no_has_parameters)
  static constexpr bool has_parameters = false;
#endif
#if defined(CASE_inputs_is_size)
  KOKKOS_FUNCTION std::size_t inputs() const { return 1; }
#else
  KOKKOS_FUNCTION int inputs() const { return 1; }
#endif
  KOKKOS_FUNCTION int outputs() const { return 1; }

#if !defined(CASE_no_saved)
  template <class T>
  struct Saved {};

#if defined(CASE_forward_is_not_const)
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx&, const T*, vrfm::ConstMatrix<T>, vrfm::Matrix<T>,
                               Saved<T>*, vrfm::Arena<T>&) {}
#else
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx&, const T*, vrfm::ConstMatrix<T>, vrfm::Matrix<T>,
                               Saved<T>*, vrfm::Arena<T>&) const {}
#endif
#if !defined(CASE_no_backward)
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx&, const T*, vrfm::Gradient<T>, vrfm::ConstMatrix<T>,
                                vrfm::ConstMatrix<T>, vrfm::Matrix<T>, const Saved<T>&,
                                vrfm::Arena<T>&) const {}
#endif
#if !defined(CASE_no_tangent)
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx&, const T*, vrfm::ConstMatrix<T>, vrfm::Matrix<T>,
                               const Saved<T>&, vrfm::Arena<T>&) const {}
#endif
#endif
};

constexpr bool ok = vrfm::RequireLayer<Same>::ok;
