// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The smallest posterior, of which each case leaves out or changes one thing.
#include <tests/contracts/contracts.hpp>

#include <string>

struct Model {
#if defined(CASE_not_trivial)
  std::string name;
#endif
#if !defined(CASE_no_latent)
  KOKKOS_FUNCTION int latent() const { return 1; }
#endif
#if defined(CASE_input_is_unsigned)
  KOKKOS_FUNCTION unsigned input() const { return 1; }
#else
  KOKKOS_FUNCTION vrfm::EncoderInput input() const { return vrfm::EncoderInput::x0; }
#endif
  KOKKOS_FUNCTION vrfm::ModelInputs inputs() const { return {.latent = 1}; }

#if !defined(CASE_no_saved)
  template <class T>
  struct Saved {};

#if defined(CASE_saved_by_reference)
  template <class Ctx, class T>
  KOKKOS_FUNCTION void moments(const Ctx&, const T*, const vrfm::LatentInputs<T>&, vrfm::Matrix<T>,
                               Saved<T>&, vrfm::Arena<T>&) const {}
#else
  template <class Ctx, class T>
  KOKKOS_FUNCTION void moments(const Ctx&, const T*, const vrfm::LatentInputs<T>&, vrfm::Matrix<T>,
                               Saved<T>*, vrfm::Arena<T>&) const {}
#endif
#if !defined(CASE_no_backward)
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx&, const T*, vrfm::Gradient<T>, vrfm::ConstMatrix<T>,
                                const vrfm::ConditionGradient<T>&, const Saved<T>&,
                                vrfm::Arena<T>&) const {}
#endif
#endif
};

constexpr bool ok = vrfm::RequireLatentModel<Model>::ok;
