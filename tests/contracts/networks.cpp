// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A flow's networks, of which each case leaves out or changes one thing.
#include <tests/contracts/contracts.hpp>

struct Networks {
#if !defined(CASE_no_options)
  struct Options {};
#endif

  vrfm::MlpVelocity<> velocity;
#if !defined(CASE_no_posterior)
  vrfm::MlpPosterior<> posterior;
#endif
#if defined(CASE_prior_is_posterior)
  vrfm::MlpPosterior<> prior;
#else
  vrfm::StandardPrior prior;
#endif

#if defined(CASE_no_options)
  Networks(vrfm::ParameterList&, int) {}
#elif !defined(CASE_no_constructor)
  Networks(vrfm::ParameterList&, const Options&) {}
#endif
};

using Flow = vrfm::Flow<float, Kokkos::DefaultHostExecutionSpace, Networks>;
constexpr auto size = sizeof(Flow);
