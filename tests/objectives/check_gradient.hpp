// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The gradient of an objective with respect to every parameter, in double, against central differences.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>

#include "problem.hpp"

namespace vrfm::test {

/// Checks the gradient of sum_ik weight factors[k] losses(i, k). Returns the names of the slots that
/// have an element whose gradient is exactly zero: a gradient that is missing would agree with a
/// difference of zero.
template <class Exec, class Networks = MlpNetworks<Gelu>, class Objective>
std::string check_gradient(const Objective& objective, const FlowOptions& options,
                           std::vector<double> factors, int rows = 4) {
  Problem<double, Exec, Networks> problem(options, rows);
  problem.draw_parameters();
  for (double& factor : factors) factor *= problem.weight;
  const auto total = [&] {
    return problem.evaluate(objective, Where::tile, Mode::ignore).total(factors);
  };
  // What is left as it was would be seen.
  const auto analytic = problem.evaluate(objective, Where::tile, Mode::overwrite, 12345).gradient;
  CHECK(total() > 0);

  // Balances h^2 of the difference quotient with eps / h of its cancellation.
  const double h = std::cbrt(epsilon<double>);
  std::vector<double> numeric;
  const auto parameters = problem.parameters();
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    problem.set_parameter(k, parameters[k] + h);
    const double high = total();
    problem.set_parameter(k, parameters[k] - h);
    const double low = total();
    problem.set_parameter(k, parameters[k]);
    numeric.push_back((high - low) / ((parameters[k] + h) - (parameters[k] - h)));
  }
  CHECK(difference(analytic, numeric, 50 * h * h * (1 + total())) == "");

  std::string zeros;
  for (const auto& slot : problem.flow().parameters().entries()) {
    const auto first = analytic.begin() + static_cast<std::ptrdiff_t>(slot.offset);
    const auto last = first + static_cast<std::ptrdiff_t>(slot.count);
    if (std::count(first, last, 0.0) > 0) zeros += slot.name + ' ';
  }
  return zeros;
}

}  // namespace vrfm::test
