// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gradients of both objectives with respect to every parameter, in double, against central
// differences of the total loss. The noise of the posterior's draw is addressed, so it stays the
// same. One context is enough here: objectives.cpp compares the two.
#include <cmath>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>

#include "problem.hpp"

#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>

using vrfm::Elbo;
using vrfm::Reduction;
using vrfm::VelocityLoss;
using vrfm::test::difference;
using vrfm::test::epsilon;
using vrfm::test::Problem;
using vrfm::test::tiny_flow;
using vrfm::test::Where;

namespace {

template <class Exec, class Objective>
void check_gradient(const Objective& objective, int latent) {
  constexpr int rows = 3;
  Problem<double, Exec> problem(tiny_flow(latent), rows);
  const double weight = problem.weight, beta = objective.beta;
  const auto analytic = problem.evaluate(objective, Where::tile);
  const double total = analytic.total(weight, beta);
  CHECK(total > 0);

  // Balances h^2 of the difference quotient with eps / h of its cancellation.
  const double h = std::cbrt(epsilon<double>);
  std::vector<double> numeric;
  const auto parameters = problem.parameters();
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    problem.set_parameter(k, parameters[k] + h);
    const double high = problem.evaluate(objective, Where::tile).total(weight, beta);
    problem.set_parameter(k, parameters[k] - h);
    const double low = problem.evaluate(objective, Where::tile).total(weight, beta);
    problem.set_parameter(k, parameters[k]);
    numeric.push_back((high - low) / ((parameters[k] + h) - (parameters[k] - h)));
  }
  CHECK(difference(analytic.gradient, numeric, 50 * h * h * (1 + total)) == "");

  // No parameter may be missing: a gradient of zero would agree with a difference of zero.
  std::size_t zeros = 0;
  for (const double g : analytic.gradient) zeros += g == 0 ? 1u : 0u;
  CHECK(zeros == 0);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("gradient of the velocity loss", "[objectives][gradient]",
                        vrfm::test::Spaces) {
  check_gradient<TestType>(VelocityLoss{}, 0);
  check_gradient<TestType>(VelocityLoss{.velocity = Reduction::mean}, 0);
}

TEMPLATE_LIST_TEST_CASE("gradient of the evidence bound", "[objectives][gradient]",
                        vrfm::test::Spaces) {
  check_gradient<TestType>(Elbo{.beta = 0.7}, 3);
  check_gradient<TestType>(Elbo{.beta = 2, .velocity = Reduction::mean, .kl = Reduction::mean}, 3);
  check_gradient<TestType>(Elbo{.beta = 0}, 3);
}
