// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The smallest velocity model, of which each case leaves out or changes one thing.
#include <tests/contracts/contracts.hpp>

#include <vector>

struct Model {
#if defined(CASE_not_trivial)
  std::vector<int> widths;
#endif
#if !defined(CASE_no_dimension)
  KOKKOS_FUNCTION int dimension() const { return 1; }
#endif
#if defined(CASE_inputs_is_int)
  KOKKOS_FUNCTION int inputs() const { return 0; }
#else
  KOKKOS_FUNCTION vrfm::ModelInputs inputs() const { return {}; }
#endif
#if !defined(CASE_no_prepared_cols)
  KOKKOS_FUNCTION int prepared_cols() const { return 0; }
#endif

#if !defined(CASE_no_saved)
  template <class T>
  struct Saved {};
#if !defined(CASE_no_prepared_saved)
  template <class T>
  struct PreparedSaved {};

#if !defined(CASE_no_prepare)
  template <class Ctx, class T>
  KOKKOS_FUNCTION void prepare(const Ctx&, const T*, const vrfm::Condition<T>&, vrfm::Matrix<T>,
                               PreparedSaved<T>*, vrfm::Arena<T>&) const {}
#endif
#if !defined(CASE_no_prepare_backward)
  template <class Ctx, class T>
  KOKKOS_FUNCTION void prepare_backward(const Ctx&, const T*, vrfm::Gradient<T>,
                                        vrfm::ConstMatrix<T>, const vrfm::ConditionGradient<T>&,
                                        const PreparedSaved<T>&, vrfm::Arena<T>&) const {}
#endif
#if defined(CASE_forward_without_draws)
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx&, const T*, const vrfm::Query<T>&, vrfm::ConstMatrix<T>,
                               vrfm::Matrix<T>, Saved<T>*, vrfm::Arena<T>&) const {}
#else
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx&, const T*, const vrfm::Query<T>&, vrfm::ConstMatrix<T>,
                               const vrfm::DrawAddress*, vrfm::Matrix<T>, Saved<T>*,
                               vrfm::Arena<T>&) const {}
#endif
#if !defined(CASE_no_backward)
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx&, const T*, vrfm::Gradient<T>, vrfm::ConstMatrix<T>,
                                const vrfm::QueryGradient<T>&, vrfm::Matrix<T>, const Saved<T>&,
                                vrfm::Arena<T>&) const {}
#endif
#endif
#endif
};

constexpr bool ok = vrfm::RequireVelocityModel<Model>::ok;
