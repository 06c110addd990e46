// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The smallest model, of which each case leaves out or changes one thing.
#include <tests/contracts/contracts.hpp>

struct Networks {
#if !defined(CASE_no_inputs)
  vrfm::ModelInputs inputs() const { return {.classes = 2}; }
#endif
};

struct Model {
  using value_type = float;
#if !defined(CASE_no_space)
  using execution_space = Kokkos::DefaultHostExecutionSpace;
#endif
  using Exec = Kokkos::DefaultHostExecutionSpace;
#if defined(CASE_values_of_double)
  using Values = vrfm::Array<double, Exec>;
#else
  using Values = vrfm::Array<float, Exec>;
#endif

  Exec exec() const { return {}; }
#if !defined(CASE_no_parameters)
  const vrfm::ParameterList& parameters() const { return list; }
#endif
  const Values& values() const { return numbers; }
#if !defined(CASE_no_dimension)
  int dimension() const { return 2; }
#endif
#if !defined(CASE_no_networks)
  const Networks& networks() const { return own; }
#endif

  vrfm::ParameterList list;
  Values numbers;
  Networks own;
};

constexpr bool ok = vrfm::RequireModel<Model>::ok;
