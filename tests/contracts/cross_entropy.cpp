// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Networks that are a classifier, or none.
#include <tests/contracts/contracts.hpp>

struct Networks {
#if defined(CASE_no_classifier)
  vrfm::MlpVelocity<> velocity;
#else
  vrfm::Dense<> classifier;
#endif
};

void call(const vrfm::LossProblem<Networks, float>& problem, vrfm::Arena<float>& arena) {
  vrfm::CrossEntropy{}.check(problem.networks);
  vrfm::CrossEntropy{}(vrfm::MeasureContext{}, problem, arena);
}
